"""The user's stack in a record, with its source lines and what the carets below them mark."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from graphfix.printed import PrintedFrame, stack_of

SOURCE = """\
def f(x):
    return x.nonzero().sum() + x[x > 1].sum()
    größe = 3;  z = torch.full((2,), y.sum().item())
    名前 = "日本"; z = y.item() + 1
    print(x)
"""
MARKED = ("x.nonzero()", "y.sum().item()", "y.item()", "print(x)")


def test_frames_as_this_python_prints_them(tmp_path: Path) -> None:
    """Dynamo gives no end line: Python 3.11 and 3.12 then draw carets to the end, 3.13 draws them as they are."""
    (tmp_path / "s.py").write_text(SOURCE, encoding="utf-8")
    frames = [_summary(tmp_path / "s.py", text) for text in MARKED]
    found = stack_of("User code traceback:\n" + "".join(traceback.format_list(frames)))
    assert [frame.line for frame in found] == [2, 3, 4, 5]
    for frame, text in zip(found[:3], MARKED, strict=False):
        assert frame.code is not None
        assert frame.start == frame.code.index(text)
        assert frame.end in (None, frame.start + len(text))
    assert (found[3].code, found[3].start) in (("print(x)", None), ("print(x)", 0))


def _summary(path: Path, text: str) -> traceback.FrameSummary:
    number, line = next((n, line) for n, line in enumerate(SOURCE.splitlines(), 1) if text in line)
    start = line.encode().index(text.encode())
    columns = {"colno": start, "end_colno": start + len(text.encode())}
    return traceback.FrameSummary(str(path), number, "f", lookup_line=False, **columns)


def test_a_stack_of_3_13() -> None:
    (frame, last) = stack_of(
        """User code traceback:
  File "/srv/a.py", line 5, in f
    n = (x.max()
        ^^^^^^^^
         .item())
         ^^^^^^^
  File "/srv/b.py", line 2, in g
    return x.nonzero().sum() + x[x > 1].sum()
           ~~~~~~~~~^^
"""
    )
    assert frame == PrintedFrame("/srv/a.py", 5, "f", "n = (x.max()", 4, None)
    assert last == PrintedFrame("/srv/b.py", 2, "g", "return x.nonzero().sum() + x[x > 1].sum()", 7, 18)


def test_the_longer_stack_that_dynamo_prints_when_verbose() -> None:
    record = """User code traceback:
  File "/srv/a.py", line 29, in <module>
    net(x)

========== most recent `torch.compile` tracing attempt started here ==========

  File "/srv/a.py", line 12, in forward
    n = self.pick(x)
        ^^^^^^^^^^^^
  [Previous line repeated 2 more times]
  File "<frozen runpy>", line 88, in _run_code
  File "/srv/a.py", line 9, in pick
    return x.max().item()

NOTE: the most recent `torch.compile` tracing attempt might not be where you applied `torch.compile`!
  File "/srv/other.py", line 1, in other
"""
    assert [frame.line for frame in stack_of(record)] == [29, 12, 88, 9]
    assert [frame.code for frame in stack_of(record)][2] is None


@pytest.mark.parametrize("carets", ["^^^^", "      ^^^^^"], ids=["left", "right"])
def test_carets_that_lost_their_line_are_left_out(carets: str) -> None:
    record = f'from user code:\nFile "/srv/a.py", line 9, in pick\nreturn x.max().item()\n{carets}\n'
    assert stack_of(record) == [PrintedFrame("/srv/a.py", 9, "pick", "return x.max().item()")]


def test_no_stack() -> None:
    assert stack_of("Graph break in user code at /srv/a.py:3\nReason: odd") == []
    assert stack_of("from user code:\n\nnothing") == []
