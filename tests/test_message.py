"""Dynamo's messages as versions 2.6 to 2.13 word them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from graphfix.message import NESTED, parse, reason_of, registry, registry_ids, skips_frame

LINK = "\n\n For more details about this graph break, please visit: https://pytorch.org/gb/gb0059.html"
PRINT = """Failed to trace builtin operator
  Explanation: Dynamo does not know how to trace builtin operator `print`
  Hint: Avoid calling builtin `print`.
  Hint: Add it to `reorderable_logging_functions`,
    on two lines.

  Developer debug context: builtin print [<class 'ConstantVariable'>] False"""
LOOP = """

graph break in loop
  Explanation: torch.compile detected a graph break in a for/while loop.
  Hint: This may have been caused by an earlier graph break.

  Developer debug context: frame skipped: g (/s.py line 20)

 For more details about this graph break, please visit: https://pytorch.org/gb/gb7000.html"""


def test_a_message_of_2_13() -> None:
    (found,) = parse(PRINT + LINK, {})
    assert found.id == "GB0059"
    assert found.type == "Failed to trace builtin operator"
    assert found.explanation == "Dynamo does not know how to trace builtin operator `print`"
    assert found.hints == (
        "Avoid calling builtin `print`.",
        "Add it to `reorderable_logging_functions`,\n    on two lines.",
    )


def test_without_a_link_the_type_tells() -> None:
    assert parse(PRINT, {"Failed to trace builtin operator": "GB0059"})[0].id == "GB0059"
    assert parse("Something new\n  Explanation: x", {})[0].id is None


def test_what_broke_while_it_was_handled_comes_after() -> None:
    first, second = parse(PRINT + LINK + "\n\n" + NESTED + LOOP, {})
    assert (first.id, second.id, second.type) == ("GB0059", "GB7000", "graph break in loop")
    assert second.explanation == "torch.compile detected a graph break in a for/while loop."
    assert first.hints != second.hints


@pytest.mark.parametrize(
    ("reason", "id_"),
    [
        ("Tensor.item", "GB0124"),
        ("Data-dependent jump", "GB0170"),
        ("generic_jump TensorVariable()", "GB0170"),
        ("builtin: print [<class 'ConstantVariable'>] False", "GB0059"),
        ("dynamic shape operator: aten.nonzero.default", "GB0036"),
        ("'inline in skipfiles: f'", None),
    ],
)
def test_reasons_of_2_6(reason: str, id_: str | None) -> None:
    record = f"Graph break in user code at /s.py:3\nReason: Unsupported: {reason}\nUser code traceback:\n  File\n"
    (found,) = parse(reason_of(record), {})
    assert (found.id, found.type) == (id_, reason)


@pytest.mark.parametrize(
    "about",
    [
        "",
        "Encountered graph break when attempting to trace CALL: a function call, e.g. f(x, y):\n\n",
        "Failed to handle graph break gracefully. Skipping the function and falling back to eager:\n\n",
    ],
)
def test_what_dynamo_was_about_is_no_part_of_the_reason(about: str) -> None:
    record = (
        f"Graph break in user code at /s.py:3\nGraph Break Reason: {about}{PRINT}{LINK}\n\nUser code traceback:\n  F"
    )
    assert reason_of(record).rstrip() == PRINT + LINK
    assert skips_frame(record) is about.startswith("Failed")


def test_the_registry_is_read_without_importing_torch() -> None:
    root = Path(__file__).resolve().parent.parent
    script = f"import sys, json; sys.path.insert(0, {str(root)!r})\n"
    script += "from graphfix.message import registry_ids\nprint(json.dumps(registry_ids()))\n"
    script += "assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    ids = json.loads(done.stdout)
    assert ids == registry_ids()
    if not registry():
        pytest.skip("this torch has no registry")
    assert ids["Failed to trace builtin operator"] == "GB0059"
