"""Comparing what two runs did: every difference is named, and nothing but a difference."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from graphfix.dynamo.compare import compare, digest, snapshot


@dataclasses.dataclass
class Output:
    logits: torch.Tensor
    cache: Any = None


ONE = torch.ones(3)
NAN = torch.tensor([1.0, float("nan"), float("inf")])


@pytest.mark.parametrize(
    ("expected", "actual", "says"),
    [
        (ONE, ONE.clone(), None),
        (NAN, NAN.clone(), None),
        (NAN, torch.tensor([1.0, -float("nan"), float("inf")]), None),
        (NAN, torch.tensor([1.0, -float("nan"), -float("inf")]), "differs in its bits"),
        ({"a": [ONE, None]}, {"a": [ONE, None]}, None),
        (Output(ONE, (1, "x")), Output(ONE, (1, "x")), None),
        (ONE, ONE + 1e-7, "differs in its bits"),
        (torch.tensor(0.0), torch.tensor(-0.0), "differs in its bits"),
        (ONE, ONE.double(), "dtype is torch.float64, was torch.float32"),
        (ONE, torch.ones(1, 3), "shape is torch.Size([1, 3]), was torch.Size([3])"),
        (ONE.int(), torch.tensor([1, 1, 2], dtype=torch.int32), "has other values"),
        ({"a": ONE}, {"b": ONE}, "has other keys: "),
        ([ONE], [ONE, ONE], "has 2 items, had 1"),
        (ONE, 1.0, "is float, was Tensor"),
        (3, 4, "is 4, was 3"),
        (1, True, "is True, was 1"),
        (float("nan"), float("nan"), None),
        (Output(ONE, ONE), Output(ONE, ONE + 1), ".cache differs"),
        ([{"x": (ONE,)}], [{"x": (ONE * 2,)}], "[0]['x'][0] differs"),
    ],
)
def test_exact(expected: Any, actual: Any, says: str | None) -> None:
    found = compare(snapshot(expected), snapshot(actual), exact=True).difference
    assert (found is None) if says is None else (found is not None and says in found), found


@pytest.mark.parametrize(
    ("dtype", "gap", "agrees"),
    [
        (torch.float32, 1e-5, True),
        (torch.float32, 1e-2, False),
        (torch.float64, 1e-9, True),
        (torch.float64, 1e-5, False),
        (torch.bfloat16, 1e-2, True),
        (torch.bfloat16, 1e-1, False),
    ],
)
def test_tolerance_is_the_dtypes(dtype: torch.dtype, gap: float, agrees: bool) -> None:
    values = torch.linspace(0.5, 1, 7, dtype=dtype)
    found = compare(snapshot(values), snapshot(values + gap), exact=False)
    assert (found.difference is None) is agrees
    assert found.max_abs_diff is not None
    assert found.max_abs_diff <= gap * 2


def test_tolerance_never_covers_a_nan_or_an_integer() -> None:
    assert "infinities or NaN" in (compare(snapshot(ONE), snapshot(NAN), exact=False).difference or "")
    assert compare(snapshot(NAN), snapshot(torch.tensor([1.0, 2.0, float("inf")])), exact=False).difference is not None
    assert compare(snapshot(ONE.long()), snapshot(ONE.long() + 1), exact=False).difference is not None


def test_a_cycle_ends() -> None:
    class Node:
        pass

    node = Node()
    node.next = node  # type: ignore[attr-defined]
    assert compare(snapshot(node), snapshot(node), exact=True).difference is None


def test_a_snapshot_does_not_follow_later_writes() -> None:
    tensor = torch.zeros(2)
    kept = snapshot(tensor)
    tensor.add_(1)
    assert compare(kept, snapshot(torch.zeros(2)), exact=True).difference is None


@pytest.mark.parametrize(
    "other", [{"a": ONE * 2}, {"b": ONE}, {"a": ONE.double()}, {"a": ONE.reshape(1, 3)}, {"a": ONE, "b": ONE}]
)
def test_digest_tells_states_apart(other: dict[str, torch.Tensor]) -> None:
    assert digest({"a": ONE}) == digest({"a": ONE.clone()})
    assert digest({"a": ONE}) != digest(other)
