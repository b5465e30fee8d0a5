"""From what a file shows to what is reported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from graphfix.model import Certainty, Finding, Location
from graphfix.registry import all_rules
from graphfix.rule import Rule
from graphfix.scan.filtered import Filter
from graphfix.scan.static import FileScan, scan_text
from graphfix.source.suppress import UNUSED

TEXT = """\
import torch


class Net(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        print("step", x.shape)
        y = torch.zeros(3)
        y.fill_(x.mean().item())
        return y
"""
ALL = frozenset({UNUSED, *(rule.code for rule in all_rules())})


class OnlyRuns(Rule):
    """Found by no text."""

    code, name, title = "GF999", "only-runs", "nothing to read"


def filter_of(*codes: str, **settings: object) -> Filter:
    selected = frozenset(code for code in ALL if code.startswith(codes)) if codes else ALL
    return Filter(all_rules(), selected, **settings)  # type: ignore[arg-type]


def shown(text: str, to: Filter, path: str = "m.py") -> list[tuple[str | None, int]]:
    return [(one.rule, one.location.line) for one in to.kept(scan_text(path, text, all_rules()))]


def unused(line: str, *codes: str) -> list[str]:
    """What is said of the comment at the end of a line that replaces the print."""
    text = TEXT.replace('print("step", x.shape)', line)
    found = filter_of(*codes or ("GF",)).kept(scan_text("m.py", text, all_rules()))
    return [one.message for one in found if one.rule == UNUSED]


def test_selection() -> None:
    assert shown(TEXT, filter_of()) == [("GF301", 6), ("GF101", 8)]
    assert shown(TEXT, filter_of("GF1")) == [("GF101", 8)]
    assert shown(TEXT, filter_of("GF2")) == []


@pytest.mark.parametrize(
    ("pattern", "codes", "left"),
    [
        ("a/*", ["GF3"], ["GF101"]),
        ("a", ["GF3"], ["GF101"]),
        ("m.py", ["item-in-fill"], ["GF301"]),
        ("*.py", ["GF"], []),
        ("b/*", ["GF"], ["GF301", "GF101"]),
        ("m", ["GF"], ["GF301", "GF101"]),
    ],
)
def test_codes_per_file(pattern: str, codes: list[str], left: list[str], tmp_path: Path) -> None:
    to = filter_of(ignores={pattern: codes}, root=tmp_path)
    assert [code for code, _ in shown(TEXT, to, str(tmp_path / "a/m.py"))] == left


def test_several_patterns_for_one_file(tmp_path: Path) -> None:
    to = filter_of(ignores={"m.py": ["GF1"], "a": ["GF3"]}, root=tmp_path)
    assert shown(TEXT, to, str(tmp_path / "a/m.py")) == []
    assert len(shown(TEXT, to, str(tmp_path / "m.py"))) == 1


def test_comments() -> None:
    silenced = TEXT.replace(".item())", ".item())  # graphfix: ignore[GF1]")
    assert shown(silenced, filter_of()) == [("GF301", 6)]
    assert shown("# graphfix: ignore-file[log-call]\n" + TEXT, filter_of()) == [("GF101", 9)]
    assert shown(TEXT + "# graphfix: ignore-file", filter_of()) == []


def test_a_statement_of_several_lines() -> None:
    call = 'print(\n            "step",{}\n            x.shape,\n        ){}'
    for comments in (("", "  # graphfix: ignore[GF301]"), ("  # graphfix: ignore[GF301]", "")):
        text = TEXT.replace('print("step", x.shape)', call.format(*comments))
        assert shown(text, filter_of()) == [("GF101", 11)]


PRINT = 'print("step", x.shape)'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{PRINT}  # graphfix: ignore[GF301]", None),
        (f"{PRINT}  # graphfix: ignore[GF3]", None),
        (f"{PRINT}  # graphfix: ignore[log-call]", None),
        (f"{PRINT}  # graphfix: ignore", None),
        (f"{PRINT}  # graphfix: ignore[GF301, GB0059]", None),
        (f"{PRINT}  # graphfix: ignore[GF301, GF101]", "GF101 silences nothing here"),
        (f"{PRINT}  # graphfix: ignore[GF1, GF301, tqdm-loop]", "GF1, tqdm-loop silence nothing here"),
        (f"{PRINT}  # graphfix: ignore[GF301, GF301x]", "no rule is called 'GF301x', did you mean 'GF301'?"),
        (f"{PRINT}  # graphfix: ignore[GF301, log-cal]", "no rule is called 'log-cal', did you mean 'log-call'?"),
        (f"{PRINT}  # graphfix: ignore[GF301, W605]", "no rule is called 'W605'"),
        (f"{PRINT}  # graphfix: ignore[GF101, W605]", "GF101 silences nothing here; no rule is called 'W605'"),
        (f"{PRINT}  # graphfix: ignore[GF301, GF101, GF001]", None),
        (f"{PRINT}  # graphfix: ignore[GF301, GF101, unused-suppression]", None),
        ("pass  # graphfix: ignore", "the comment silences nothing"),
        ("pass  # graphfix: ignore[]", "the comment names no rule, and silences nothing"),
        ("pass  # graphfix: ignore[GB0124]", None),
        ("pass  # graphfix: ignore-file[GF2]", "GF2 silences nothing here"),
        ("pass  # graphfix: ignore-file[GF1]", None),
        ("pass  # graphfix: ignore-file", None),
        ("x = '# graphfix: ignore'", None),
    ],
)
def test_comments_that_silence_nothing(line: str, said: str | None) -> None:
    assert unused(line) == ([f"unused-suppression: {said}"] if said else [])


def test_only_selected_rules_are_asked_for() -> None:
    line = "pass  # graphfix: ignore[GF101, GF301]"
    assert unused(line, "GF001", "GF3") == ["unused-suppression: GF301 silences nothing here"]
    assert unused(line, "GF1", "GF3") == []
    assert unused(f"{PRINT}  # graphfix: ignore", "GF001", "GF1") == [], "it silences a rule that is not selected"
    to = filter_of(ignores={"m.py": ["GF3"]})
    text = TEXT.replace(PRINT, "pass  # graphfix: ignore[GF301]")
    assert shown(text, to) == [("GF101", 8)]
    assert shown(text, filter_of(ignores={"m.py": ["GF001"]})) == [("GF101", 8)]


def test_a_file_may_ask_for_idle_comments() -> None:
    text = TEXT.replace(PRINT, "pass  # graphfix: ignore[GF301]")
    assert shown(text, filter_of()) == [(UNUSED, 6), ("GF101", 8)]
    assert shown("# graphfix: ignore-file[GF001]\n" + text, filter_of()) == [("GF101", 9)]


def test_a_comment_in_a_file_without_torch() -> None:
    assert shown("x = 1  # graphfix: ignore\n", filter_of()) == [(UNUSED, 1)]


def test_where_an_idle_comment_stands() -> None:
    text = TEXT.replace(PRINT, "pass  # why # graphfix: ignore[GF301]  # end")
    found = filter_of().kept(scan_text("m.py", text, all_rules()))[0]
    assert found.location == Location("m.py", 6, 20, 6, 45)
    assert found.code == text.splitlines()[5]
    assert found.certainty is Certainty.CERTAIN


def test_a_rule_that_reads_no_text_is_not_asked() -> None:
    to = Filter((*all_rules(), OnlyRuns()), ALL | {"GF999"})
    for comment, idle in (("GF999", False), ("only-runs", False), ("GF301", True)):
        scan = scan_text("m.py", f"import torch\nx = 1  # graphfix: ignore[{comment}]\n", all_rules())
        assert bool(to.kept(scan)) is idle


def likely(scan: FileScan) -> FileScan:
    return replace(scan, findings=tuple(replace(one, certainty=Certainty.LIKELY) for one in scan.findings))


def test_what_is_likely_is_hidden_and_its_comment_still_used() -> None:
    scan = likely(scan_text("m.py", TEXT, all_rules()))
    assert filter_of().kept(scan) == []
    assert filter_of(likely=True).kept(scan) == list(scan.findings)
    silenced = likely(scan_text("m.py", TEXT.replace(PRINT, f"{PRINT}  # graphfix: ignore[GF3]"), all_rules()))
    assert filter_of().kept(silenced) == []
    assert [one.rule for one in filter_of(likely=True).kept(silenced)] == ["GF101"]


def test_a_file_that_could_not_be_read_shows_nothing() -> None:
    scan = scan_text("m.py", "import torch  # graphfix: ignore\nprint 1\n", all_rules())
    assert scan.error is not None
    assert filter_of().kept(scan) == []


def test_the_order_is_that_of_the_text() -> None:
    text = TEXT.replace(PRINT, f"print(1); {PRINT}; pass").replace(
        "y = torch", "pass  # graphfix: ignore\n        y = torch"
    )
    found: list[Finding] = filter_of().kept(scan_text("m.py", text, all_rules()))
    places = [(one.location.line, one.location.column) for one in found]
    assert places == sorted(places, key=lambda place: (place[0], place[1] or 0))
    assert [one.rule for one in found] == ["GF301", "GF301", UNUSED, "GF101"]
