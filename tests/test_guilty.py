"""A log names lines, sometimes the column to begin at: the one expression that fits is found, or none."""

from __future__ import annotations

import pytest

from graphfix.message import Message, parse
from graphfix.scan.logs.guilty import About, about, calling, guilty
from graphfix.source.module import Module

CONTEXT = "\n\n  Developer debug context: "
ITEM = f"Unsupported Tensor.item() call{CONTEXT}call_method TensorVariable() item () {{}}\n"
SHAPE = "Dynamic shape operator\n  Explanation: Operator `aten.nonzero.default`'s output shape depends on data."
SUBSCRIPT = (
    "Encountered graph break when attempting to trace BINARY_SUBSCR: a binary subscript, e.g. x[attr]:\n\n" + SHAPE
)
STORE = (
    "Encountered graph break when attempting to trace STORE_ATTR: storing:\n\nFailed to mutate tensor data attribute"
)
PRINT = f"Failed to trace builtin operator{CONTEXT}builtin print [<class 'X'>] False"
TIME = f"Attempted to call function marked as skipped{CONTEXT}module: time, qualname: time, skip reason"
LOGGER = f"logging.Logger method not supported{CONTEXT}method: <Logger x (INFO)>.info, args: []"
BRANCH = f"Data-dependent branching{CONTEXT}attempted to jump with TensorVariable()"
WITH = "Unsupported context manager\n  Explanation: Dynamo does not know how to enter a `lock` context manager."
ITERABLE = f"missing tp_iter{CONTEXT}tp_iter_impl not implemented for array"
GETITEM = (
    "Backend compiler exception\n\n    While executing %z : [x] = call_function[target=operator.getitem](args = ())"
)

IDS = {
    "Data-dependent branching": "GB0170",
    "Unsupported context manager": "GB0142",
    "missing tp_iter": "GB0811",
}


def marked(source: str, record: str | About, carets: str = "", function: str = "f") -> str | None:
    """The source of what is found on the line that has ⟦ (taken out); `carets` stand below the line."""
    line = source[: source.index("⟦")].count("\n") + 1
    text = source.replace("⟦", "")
    module = Module("s.py", text)
    known = record if isinstance(record, About) else about(_message(record), record, function)
    start = carets.index("^") if carets else None
    end = len(carets) if carets and len(carets) < len(module.line(line)) else None
    columns = (None if at is None else len(module.line(line)[:at].encode()) for at in (start, end))
    found = guilty(module, line, known, *columns)
    return None if found is None else module.segment(found)


def _message(record: str) -> Message:
    return parse(record.rpartition(":\n\n")[2] if record.startswith("Encountered") else record, IDS)[0]


@pytest.mark.parametrize(
    ("line", "record", "found"),
    [
        ("n = ⟦x.max().item()", ITEM, "x.max().item()"),
        ("n = ⟦x.max().item() + 1; print(n)", ITEM, "x.max().item()"),
        ("n = ⟦int(x.sum())", ITEM, "int(x.sum())"),
        ("n = ⟦float(x.sum().item())", ITEM, "x.sum().item()"),
        ("n = ⟦x.max().item() + x.min().item()", ITEM, None),
        ("print(⟦x.sum())", PRINT, "print(x.sum())"),
        ("began = ⟦time.time()", TIME, "time.time()"),
        ("⟦log.info(x.sum())", LOGGER, "log.info(x.sum())"),
        ("⟦return x.nonzero().sum()", SHAPE, "x.nonzero()"),
        ("⟦return x[x > 1].sum()", SHAPE, "x[x > 1]"),
        ("⟦x[m] *= 2", SHAPE, "x[m]"),
        ("⟦y[m] = x[m]", SHAPE, "x[m]"),
        ("⟦return x.nonzero().sum() + x[x > 1]", SHAPE, None),
        ("⟦return x.nonzero().sum() + x[x > 1]", SUBSCRIPT, "x[x > 1]"),
        ("⟦return x[:, 0]", SUBSCRIPT, "x[:, 0]"),
        ("⟦y.data = x.real * 2", STORE, "y.data"),
        ("⟦z = y[t]", GETITEM, "y[t]"),
        ("⟦if x.sum() > 0: pass", BRANCH, "x.sum() > 0"),
        ("⟦if not x.any(): pass", BRANCH, "x.any()"),
        ("⟦if x.any() or y.any(): pass", BRANCH, "x.any() or y.any()"),
        ("⟦while x.sum() > 0: x = x - 1", BRANCH, "x.sum() > 0"),
        ("⟦assert x.sum() > 0, 'text'", BRANCH, "x.sum() > 0"),
        ("y = ⟦x if x.sum() > 0 else -x", BRANCH, "x.sum() > 0"),
        ("y = ⟦[v for v in x if v > 0]", BRANCH, "v > 0"),
        ("flag = ⟦x.any() or y.any()", BRANCH, "x.any() or y.any()"),
        ("y = ⟦(x if x.any() else y) if y.any() else z", BRANCH, None),
        ("with ⟦lock: pass", WITH, "lock"),
        ("with ⟦lock, open(name) as file: pass", WITH, None),
        ("for a in ⟦numbers: pass", ITERABLE, "numbers"),
        ("n = ⟦x.max()", ITEM, None),
        ("⟦x = something(that)", "Nobody knows this", None),
    ],
)
def test_what_the_message_says_decides(line: str, record: str, found: str | None) -> None:
    assert marked(line, record) == found


@pytest.mark.parametrize(
    ("line", "carets", "record", "found"),
    [
        ("n = x.max().item() + y.item()⟦", "    ^^^^^^^^^^^^^^", ITEM, "x.max().item()"),
        ("n = x.max().item() + y.item()⟦", "    ^^^^^^^^^^^^^^^^^^^^^^^^^", ITEM, "x.max().item()"),
        ("n = x.max().item() + y.item()⟦", "                     ^^^^^^^^", ITEM, "y.item()"),
        ("if x.any() or not y.any(): pass⟦", "                  ^^^^^^^^^^^^^", BRANCH, "y.any()"),
        ("größe = 3; n = x.item() + größe⟦", "               ^^^^^^^^^^^^^^^^", ITEM, "x.item()"),
        ("n = sum(v.item() for v in x) + 1⟦", "    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^", ITEM, "v.item()"),
        ("y = odd(x)⟦", "    ^^^^^^", "Nobody knows this", "odd(x)"),
        ("y = odd(x).sum()⟦", "    ^^^^^^^^^^^^", "Nobody knows this", None),
        ("y = odd(x)⟦", "  ^^^^^^^^", ITEM, None),
    ],
)
def test_carets_decide_where_an_expression_begins(line: str, carets: str, record: str, found: str | None) -> None:
    assert marked(line, record, carets) == found


def test_a_chain_over_lines_is_reported_at_the_name_of_its_last_method() -> None:
    chain = "n = (\n    x.max(\n        dim=0\n    ).values\n    .item⟦()\n)"
    assert marked(chain, ITEM) == "x.max(\n        dim=0\n    ).values\n    .item()"
    assert marked(chain, ITEM, "     ^^^^^^") == marked(chain, ITEM)


def test_the_instruction_says_nothing_of_a_function_that_it_leads_into() -> None:
    item = "Encountered graph break when attempting to trace BINARY_SUBSCR: a subscript:\n\n" + ITEM
    line = "return self.x * self.x[index].item()⟦"
    assert marked(line, item, "                ^^^^^^^^^^^^^^^^^^^^", function="__getitem__") == "self.x[index].item()"


@pytest.mark.parametrize(
    ("line", "carets", "found"),
    [
        ("y = ⟦helper(x) + other(x)", "", "helper(x)"),
        ("y = ⟦self.net(x)", "", None),
        ("y = self.net(x)⟦", "    ^^^^^^^^^^^", "self.net(x)"),
        ("y = space['helper'](x) + 1⟦", "    ^^^^^^^^^^^^^^^^^^^^^^", "space['helper'](x)"),
        ("y = self.helper⟦", "", None),
    ],
)
def test_one_frame_leads_to_the_next(line: str, carets: str, found: str | None) -> None:
    assert marked(line, calling("helper"), carets) == found
