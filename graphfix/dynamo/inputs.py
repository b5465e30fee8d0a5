"""The arguments of a call, restored in place before every run, so that their addresses stay the same."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import torch

from graphfix.dynamo.capture import copy_arguments
from graphfix.model import Call


class Inputs:
    """What a call is run with, many times.

    A server keeps its buffers, and CUDA graphs are recorded for addresses that were marked as static (a cache of keys
    and values, say): a deep copy for every run would have them recorded anew each time. So the tensors of one copy are
    filled with their first values again. Where a call swaps tensors for others (a cache that grows), each run gets a
    deep copy after all; `copied` says so.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._kept: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._working: Any = None
        self.copied = False

    def fresh(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with their first values."""
        if not self.copied and self._working is not None and self._restore():
            return self._working  # type: ignore[no-any-return]
        if self._working is not None:
            self.copied = True
        if not self.copied:
            self._make()
        return self._working if self._working is not None and not self.copied else copy_arguments(self._call)

    def bytes_of_arguments(self) -> int:
        """The size of all tensors on a GPU that the call is handed."""
        return sum(t.numel() * t.element_size() for _, t in self._kept if t.device.type == "cuda")

    def _make(self) -> None:
        try:
            self._working, self._kept = _copied_tensors((self._call.args, self._call.kwargs))
        except RuntimeError:  # deepcopy refuses tensors that have a gradient history
            self.copied = True

    def _restore(self) -> bool:
        """Whether the copy still holds the same tensors; if so, with their first values again."""
        if _reachable(self._working) != {id(tensor) for _, tensor in self._kept}:
            return False
        with torch.no_grad():
            for original, working in self._kept:
                if original.shape != working.shape:
                    return False
                working.copy_(original)
        return True


def _copied_tensors(value: Any) -> tuple[Any, list[tuple[torch.Tensor, torch.Tensor]]]:
    """A deep copy, and each tensor in it beside its original."""
    memo: dict[int, Any] = {}
    copied = copy.deepcopy(value, memo)
    originals = memo.get(id(memo), [])  # deepcopy keeps what it copied alive there
    pairs = [(one, memo[id(one)]) for one in originals if isinstance(one, torch.Tensor)]
    return copied, pairs


class _Walker(pickle.Pickler):
    """Visits what an object holds, as pickling it would; tensors are noted and not followed."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO())
        self.tensors: set[int] = set()

    def persistent_id(self, obj: Any) -> str | None:
        if isinstance(obj, torch.Tensor):
            self.tensors.add(id(obj))
            return "tensor"
        return "other" if callable(obj) or isinstance(obj, torch.nn.Module) else None


def _reachable(value: Any) -> set[int] | None:
    """The ids of the tensors that a value holds; None where it cannot be walked."""
    walker = _Walker()
    try:
        walker.dump(value)
    except Exception:  # what an object's own reduction raises
        return None
    return walker.tensors
