"""What rewritten code assumes, it asserts: input that violates it raises in compiled code."""

from __future__ import annotations

import textwrap
from pathlib import Path
from types import ModuleType

import pytest

from graphfix.registry import all_rules
from graphfix.rule import Rewrites, Rule

pytestmark = pytest.mark.torch

VIOLATIONS = [
    ("GF102", 3, "f(torch.ones(3), -torch.ones(1))"),
    ("GF106", 5, "f(torch.ones(3))"),
    ("GF108", 0, "f(torch.ones(2, 5), torch.tensor([-2, -3]))"),
    ("GF108", 1, "f(torch.ones(2, 5), torch.tensor([-1, 3]))"),
    ("GF108", 2, "f(torch.ones(2, 5), torch.tensor(-3))"),
    ("GF112", 0, "f(torch.ones(5, 5), torch.tensor([-2, 3]))"),
    ("GF112", 1, "f(torch.ones(5, 2), torch.tensor([0, -2, 5]))"),
    ("GF414", 1, "f(torch.ones(5, 2), torch.arange(2.0), torch.tensor([-2, 3]))"),
    ("GF111", 1, "f(-torch.ones(3))"),
    ("GF116", 0, "f(torch.ones(3, 2), torch.arange(20.0).reshape(10, 2), torch.tensor([8, 9, 10]))"),
    ("GF116", 2, "f(torch.arange(24.0).reshape(2, 3, 4), torch.tensor([0, 3]))"),
    ("GF116", 1, "f(torch.ones(2, 3, 3), torch.tensor(-1))"),
    ("GF210", 0, "f(torch.full((3,), torch.nan))"),
    ("GF210", 1, "f(torch.arange(30))"),
    ("GF210", 2, "f(-torch.ones(3), 'root')"),
    ("GF211", 0, "f(-torch.ones(3))"),
    ("GF211", 1, "f(torch.ones(2, 3), torch.tensor([True, True, True]))"),
    ("GF211", 2, "f(torch.full((3,), torch.nan))"),
    ("GF214", 0, "f(torch.tensor([-1]), torch.ones(3, 2))"),
    ("GF214", 1, "f(torch.tensor([5, 1, 5]), torch.ones(3))"),
    ("GF214", 2, "f(torch.ones(3), torch.zeros(3))"),
    ("GF215", 0, "f(torch.ones(2, 3), torch.tensor([2, 30]))"),
    ("GF215", 1, "f(torch.ones(3), torch.zeros(3) > 0)"),
    ("GF401", 0, "f(torch.ones(2, 5), torch.tensor([4, 3]))"),
    ("GF401", 1, "f(torch.ones(2, 5), torch.tensor([4, 3]))"),
    ("GF401", 2, "f(torch.ones(2, 5, 3), torch.tensor([4, 3]))"),
    ("GF402", 2, "f(torch.full((2,), torch.nan), torch.ones(2))"),
    ("GF405", 4, "f(torch.tensor([0.0, 2.0, 1.0, 3.0]), 5.0)"),
    ("GF405", 5, "f(torch.rand(2, 3), torch.tensor([[0, 0, 0], [7, 0, 0]]), False)"),
    ("GF405", 6, "f(torch.rand(2), torch.tensor([0, 3, 4, 1]))"),
    ("GF407", 0, "f(torch.rand(1, 3, 4), torch.tensor([[9, 9, 9]]))"),
    ("GF407", 1, "f(torch.rand(1, 3, 4), torch.tensor([[1, 0, 3]]), 2)"),
    ("GF408", 0, "f(torch.tensor([7]))"),
    ("GF408", 1, "f(torch.tensor([[99]]))"),
    ("GF409", 0, "f(torch.ones(1), torch.tensor([1, 0]))"),
    ("GF409", 1, "f(torch.tensor([1.0, 0.0]), 3)"),
    ("GF409", 2, "f(torch.tensor([0]))"),
    ("GF410", 0, "f(torch.rand(2, 3), torch.rand(5, 3), torch.tensor([2, 2]))"),
    ("GF410", 1, "f(torch.rand(2, 3), torch.tensor([2, 2]), 5)"),
    ("GF410", 3, "f(torch.tensor([2, 1, 1]), torch.rand(5))"),
    ("GF410", 4, "f(torch.rand(2, 3), torch.rand(1), torch.rand(2, 4, 5), torch.tensor([2, 1, 3]))"),
    ("GF411", 0, "f(torch.ones(2), torch.ones(3, 3).triu())"),
    ("GF411", 1, "f(torch.tensor([3, 4]), torch.ones(2))"),
    ("GF411", 3, "f(torch.ones(3), torch.arange(3.0))"),
    ("GF412", 0, "f(torch.tensor([[5, 2, 7, 2], [5, 2, 1, 4]]), torch.randn(2, 4, 3))"),
    ("GF412", 1, "f(torch.randn(2, 3, 4), torch.tensor([[False, True, True], [True, False, False]]))"),
    ("GF415", 0, "f(torch.rand(5, 3), torch.tensor([5, 0]))"),
    ("GF415", 1, "f(torch.rand(5, 3), torch.tensor([0, 5, 5]))"),
    ("GF415", 2, "f(torch.rand(5, 3), torch.tensor([0, 5]))"),
    ("GF415", 3, "f(torch.rand(5, 3), torch.tensor([5, 0]))"),
    ("GF416", 0, "f(torch.rand(3, 4, 2), torch.tensor([3, 1, 2]))"),
    ("GF416", 0, "f(torch.rand(3, 4, 2), torch.tensor([4, -1, 2]))"),
    ("GF416", 1, "f(torch.rand(3, 4, 2), torch.tensor([3, 5, 2]))"),
    ("GF416", 2, "f(torch.arange(6).reshape(2, 3), torch.tensor([[False, True, True], [True, True, False]]))"),
    ("GF219", 0, "[f.initted.zero_(), f(torch.ones(2, 3))]"),
    ("GF219", 1, "[f.ready.zero_(), f(torch.ones(2, 3))]"),
    ("GF408", 3, "f(torch.tensor([1, 1, 255]), torch.tensor([2, 1, 0]), 2)"),
    ("GF420", 0, "f(torch.ones(2, 4, 3), torch.tensor([-2, 4]))"),
    ("GF420", 1, "f(torch.ones(2, 4, 3), torch.tensor([2, -4]))"),
    ("GF420", 2, "f(torch.ones(2, 4, 3), torch.tensor([[0, 1, 2, 0], [1, 1, 1, 0]]), torch.tensor([0, 4]))"),
    ("GF420", 3, "f(torch.ones(2, 4, 3), torch.tensor(-3))"),
    ("GF420", 4, "f(torch.tensor([[[1.0], [3.0], [9.0], [9.0]]]), torch.tensor([-0.5]))"),
]
"""A rule, the number of its case from 0, and a call of the case's rewritten code that it must refuse."""


@pytest.mark.parametrize(("code", "number", "call"), VIOLATIONS, ids=[f"{c}-{n}" for c, n, _ in VIOLATIONS])
def test_a_violated_guard_raises_in_compiled_code(tmp_path: Path, code: str, number: int, call: str) -> None:
    import torch

    case = rules()[code].cases[number]
    assert isinstance(case, Rewrites)
    module = ModuleType("rewritten")
    path = tmp_path / "rewritten.py"
    path.write_text(textwrap.dedent(case.after))
    exec(compile(path.read_text(), str(path), "exec"), vars(module))
    torch._dynamo.reset()
    names = {"torch": torch, "f": torch.compile(module.f, backend="aot_eager")}
    eval(case.calls[0], names)
    with pytest.raises(RuntimeError):
        eval(call, names)


def test_every_guard_of_a_case_is_violated_above() -> None:
    """A guard that a new case shows needs a call here that it refuses."""
    shown = {
        (code, number)
        for code, rule in rules().items()
        for number, case in enumerate(rule.cases)
        if isinstance(case, Rewrites) and "_assert_async" in case.after and "_assert_async" not in case.before
    }
    assert {(code, number) for code, number, _ in VIOLATIONS} >= shown - UNTOLD


UNTOLD = {("GF215", 2), ("GF401", 3), ("GF408", 2), ("GF410", 2)}
"""Cases whose guard says the same as another one of the rule."""


def rules() -> dict[str, Rule]:
    return {rule.code: rule for rule in all_rules()}
