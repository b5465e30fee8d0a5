"""Other inputs made from recorded ones, to reach the ways of a branch that no call took."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

Change = Callable[[Any], Any]


def mutations(inputs: Any) -> Iterator[tuple[str, Any]]:
    """Named variants of nested inputs: one change of one leaf at a time, then the same change of all leaves.

    Tensors become zeros, ones, negative, flipped, larger, not finite (all of them or one element), empty or twice as
    long; numbers and flags change their value. A leaf that a change has no meaning for stays as it is.
    """
    leaves, spec = tree_flatten(inputs)
    for name, change in {**_VALUES, **_SHAPES}.items():
        changed = [change(leaf) for leaf in leaves]
        different = [number for number, leaf in enumerate(changed) if leaf is not None]
        if name in _VALUES and len(different) > 1:
            for number in different:
                one = [changed[i] if i == number else copied(leaf) for i, leaf in enumerate(leaves)]
                yield f"input {number + 1}: {name}", tree_unflatten(one, spec)
        if different:
            every = [copied(leaf) if new is None else new for leaf, new in zip(leaves, changed, strict=True)]
            yield f"all inputs: {name}", tree_unflatten(every, spec)


def copied(leaf: Any) -> Any:
    """A leaf of its own; modules and other objects are shared."""
    if isinstance(leaf, torch.Tensor):
        return leaf.detach().clone().requires_grad_(leaf.requires_grad)
    return leaf if isinstance(leaf, torch.nn.Module) or hasattr(leaf, "__dict__") else copy.deepcopy(leaf)


def _tensor(change: Callable[[torch.Tensor], torch.Tensor | None]) -> Change:
    def apply(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor) or isinstance(leaf, torch.nn.Parameter):
            return None
        changed = change(leaf.detach())
        return None if changed is None else changed.requires_grad_(leaf.requires_grad)

    return apply


def _number(kind: type, change: Callable[[Any], Any]) -> Change:
    return lambda leaf: change(leaf) if type(leaf) is kind else None


def _first_of(*changes: Change) -> Change:
    return lambda leaf: next((made for change in changes if (made := change(leaf)) is not None), None)


def _filled(value: float) -> Callable[[torch.Tensor], torch.Tensor | None]:
    return lambda tensor: torch.full_like(tensor, value) if tensor.is_floating_point() else None


def _one_element(value: float) -> Callable[[torch.Tensor], torch.Tensor | None]:
    def change(tensor: torch.Tensor) -> torch.Tensor | None:
        if not tensor.is_floating_point() or not tensor.numel():
            return None
        changed = tensor.clone(memory_format=torch.contiguous_format)
        changed.view(-1)[-1] = value
        return changed

    return change


def _first_row_zero(tensor: torch.Tensor) -> torch.Tensor | None:
    if tensor.dim() < 2 or not tensor.numel():
        return None
    changed = tensor.clone()
    changed[0] = 0
    return changed


def _larger(tensor: torch.Tensor) -> torch.Tensor | None:
    return None if tensor.dtype is torch.bool else tensor * 100 + 100


def _negative(tensor: torch.Tensor) -> torch.Tensor | None:
    return None if tensor.dtype is torch.bool else -tensor.abs() - 1


def _flipped(tensor: torch.Tensor) -> torch.Tensor | None:
    return ~tensor if tensor.dtype is torch.bool else None


_VALUES: dict[str, Change] = {
    "zero": _first_of(_tensor(torch.zeros_like), _number(bool, lambda _: False), _number(int, lambda _: 0)),
    "one": _first_of(_tensor(torch.ones_like), _number(bool, lambda _: True), _number(int, lambda _: 1)),
    "flipped": _first_of(_tensor(_flipped), _number(bool, lambda flag: not flag)),
    "negative": _first_of(
        _tensor(_negative), _number(int, lambda n: -abs(n) - 1), _number(float, lambda n: -abs(n) - 1)
    ),
    "larger": _first_of(_tensor(_larger), _number(int, lambda n: n + 1), _number(float, lambda n: n * 100 + 100)),
    "first row zero": _tensor(_first_row_zero),
    "one element inf": _tensor(_one_element(float("inf"))),
    "one element nan": _tensor(_one_element(float("nan"))),
    "inf": _first_of(_tensor(_filled(float("inf"))), _number(float, lambda _: float("inf"))),
    "nan": _first_of(_tensor(_filled(float("nan"))), _number(float, lambda _: float("nan"))),
}

_SHAPES: dict[str, Change] = {
    "twice as long": _tensor(lambda tensor: torch.cat([tensor, tensor]) if tensor.dim() else None),
    "empty": _tensor(lambda tensor: tensor[:0].clone() if tensor.dim() else None),
}
