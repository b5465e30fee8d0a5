"""Every guard that torch was seen to fail on gets a sentence on what to do."""

from __future__ import annotations

import pytest

from graphfix.scan.advice import advice

SEEN = {
    "tensor 'x' size mismatch at index 0. expected 3, actual 4": "mark_dynamic(x, 0)",
    "2 <= x.size()[0]": "a size of x decides",
    "x.size()[1] == 7": "a size of x decides",
    "n == 2": "the Python int n varies",
    "tensor 'x' rank mismatch. expected 1, actual 2": "the rank of x differs",
    "tensor 'x' dtype mismatch. expected Float, actual Half": "the dtype of x differs",
    "tensor 'x' requires_grad mismatch. expected requires_grad=0": "the requires_grad of x differs",
    "tensor 'tensors[1]' stride mismatch at index 0. expected 80, actual 8000": "the stride of tensors[1] differs",
    "len(xs) == 1": "the length of xs varies",
    "s == 'a'": "the option s varies",
    "flag == True": "the option flag varies",
    "self.n == 0": "the attribute self.n changes",
    "self.cache is None": "self.cache is filled or left out",
    "s == 0.5": "the Python float s varies",
    'Duplicate tensors found: ["a", "b"]': "the same tensor was passed twice",
    "___check_obj_id(m, 140048713822608), type=<class 'M'>": "m is another object",
    "___stack0 == 50": "an earlier graph break handed over",
}


@pytest.mark.parametrize("guard", SEEN)
def test_a_guard_is_answered(guard: str) -> None:
    assert SEEN[guard] in (advice(guard) or "")


def test_an_unknown_guard_is_left_alone() -> None:
    assert advice("GLOBAL_STATE changed: grad_mode") is None
