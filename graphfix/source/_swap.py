"""Puts one libcst node in place of another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import libcst as cst

from graphfix.errors import CannotRewrite
from graphfix.source._places import Places


def swap(
    tree: cst.Module,
    places: Places,
    old: cst.CSTNode,
    new: cst.CSTNode | list[cst.BaseStatement],
    gone: Iterable[cst.CSTNode] = (),
) -> cst.Module:
    """The tree with `new` in place of `old`, and the statements `gone` left out.

    Raises CannotRewrite for an elif that would become several statements.
    """
    swapped = tree.visit(_Swap(old, new, places.around(old), frozenset(gone)))
    assert isinstance(swapped, cst.Module)
    return swapped


class _Swap(cst.CSTTransformer):
    """Puts `new` in place of `old`; looks at no node but the ones `around` it."""

    def __init__(
        self,
        old: cst.CSTNode,
        new: cst.CSTNode | list[cst.BaseStatement],
        around: Sequence[cst.CSTNode],
        gone: frozenset[cst.CSTNode],
    ) -> None:
        super().__init__()
        self._old, self._new, self._around, self._gone = old, new, frozenset(around), gone
        self._is_elif = any(isinstance(node, cst.If) and node.orelse is old for node in around)

    def on_visit(self, node: cst.CSTNode) -> bool:
        return node in self._around

    def on_leave(  # type: ignore[override]
        self, original_node: cst.CSTNode, updated_node: cst.CSTNode
    ) -> cst.CSTNode | cst.FlattenSentinel[cst.BaseStatement]:
        if original_node in self._gone:
            return cst.FlattenSentinel([])
        if original_node is not self._old:
            return super().on_leave(original_node, updated_node)  # type: ignore[arg-type, return-value]
        if not isinstance(self._new, list):
            return self._new
        if self._is_elif:
            if len(self._new) == 1 and isinstance(self._new[0], cst.If):
                return self._new[0]
            raise CannotRewrite("an elif cannot become several statements.")
        return cst.FlattenSentinel(self._new)
