"""GF400: a shape that depends on what a tensor holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Finds, Leaves, Rule, Safety, Site
from graphfix.source.module import Module

_COUNTING = frozenset("nonzero argwhere masked_select unique unique_consecutive bincount combinations".split())
"""Functions of torch and methods of a tensor whose result is as long as the values say."""
_NO_MASKS = (ast.Constant, ast.Slice, ast.List, ast.JoinedStr)


class DataDependentShape(Rule):
    """What it does:
        Finds masks that select (`x[mask]`), `nonzero`, `unique`, `repeat_interleave`, `one_hot` without a number of
        classes and their like. It repairs nothing: other rules know the repair of some of them.

    Why it breaks the graph:
        How much comes out is known at run time only, and Dynamo needs shapes while it traces (GB0036).

    Example:
        loss = error[mask].sum()

        loss = torch.where(mask, error, 0.0).sum()

    Safety:
        Nothing is changed. A person can keep the full shape and mask the values, or say the size (`output_size=`).
    """

    code, name = "GF400", "data-dependent-shape"
    title = "makes a shape that depends on the values in a tensor"
    safety = Safety.UNSAFE
    names = frozenset({"GB0036", "GB0246", "GB0033"})

    def find(self, module: Module) -> Iterator[Site]:
        for node in module.analysis.calls(_NAMES):
            sure = _counts(module, node)
            if sure is not None:
                yield Site(module, node, sure=sure)
        for place in module.analysis.nodes(ast.Subscript):
            assert isinstance(place, ast.Subscript)
            reads = isinstance(place.ctx, ast.Load) or isinstance(next(module.parents(place), None), ast.AugAssign)
            parts = place.slice.elts if isinstance(place.slice, ast.Tuple) else [place.slice]
            if reads and any(not isinstance(part, _NO_MASKS) and _is_mask(module, part) for part in parts):
                yield Site(module, place, message="selects by a mask")

    cases = (
        Finds(
            source="""
                import torch
                import torch.nn.functional as F

                class Net(torch.nn.Module):
                    def forward(self, x: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor):
                        keep = (x > 0) & ~torch.isnan(x)
                        total = x[keep].sum()
                        rows, columns = torch.where(keep)
                        y = x.clone()
                        y[keep] *= 2
                        classes = F.one_hot(labels)
                        z = x.repeat_interleave(lengths, dim=0)
                        return total, y, classes.sum(), z.sum(), len(rows), keep.nonzero().sum(), labels.unique().sum()

                f = Net()
            """,
            lines=(7, 8, 10, 11, 12, 13, 13),
            calls=(
                "f(torch.ones(2, 3), torch.tensor([0, 1]), torch.tensor([1, 2]))",
                "f(torch.ones(2, 4), torch.tensor([0, 1]), torch.tensor([1, 2]))",
            ),
        ),
        Leaves(
            source="""
                import torch
                import torch.nn.functional as F

                class Net(torch.nn.Module):
                    def forward(self, x: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor):
                        keep = x > 0
                        x = torch.where(keep, x, 0.0)
                        x[keep] = 0.0
                        y = x.repeat_interleave(2, dim=0) + x[labels].sum()
                        z = x.repeat_interleave(lengths, dim=0, output_size=3)
                        return F.one_hot(labels, num_classes=4), y, z

                f = Net()
            """,
            calls=("f(torch.ones(2, 3), torch.tensor([0, 1]), torch.tensor([1, 2]))",),
        ),
    )


def _is_mask(module: Module, node: ast.expr) -> bool:
    value = module.analysis.value(node)
    return value.is_tensor and value.boolean and value.sure


def _counts(module: Module, node: ast.Call) -> bool | None:
    """Whether a call's result has a shape that values decide: for certain, perhaps (False), or not (None)."""
    if not isinstance(node.func, ast.Attribute):
        return None
    meaning = module.analysis.meaning(node.func)
    owner, _, name = meaning.rpartition(".")
    if owner not in ("torch", "torch.nn.functional", "torch.linalg"):
        sure = module.analysis.tensor(node.func.value, optional=True)
        if sure is None:
            return None
        owner, name = "", node.func.attr
    else:
        sure = True
    given = node.args[1:] if owner else node.args
    if name in _COUNTING:
        return sure if owner != "torch.nn.functional" else None
    decides = _DECIDES.get(name)
    return sure if decides is not None and decides(module, node, given) else None


def _is_tensor(module: Module, node: ast.expr | None) -> bool:
    return node is not None and module.analysis.tensor(node) is True


def _keyword(node: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in node.keywords if keyword.arg == name), None)


def _repeats(module: Module, node: ast.Call, given: list[ast.expr]) -> bool:
    repeats = given[0] if given else _keyword(node, "repeats")
    return _is_tensor(module, repeats) and _keyword(node, "output_size") is None


def _one_hot(module: Module, node: ast.Call, given: list[ast.expr]) -> bool:
    return not given and _keyword(node, "num_classes") is None


def _where(module: Module, node: ast.Call, given: list[ast.expr]) -> bool:
    return len(node.args) == 1 and not given and not node.keywords


def _always(module: Module, node: ast.Call, given: list[ast.expr]) -> bool:
    return True


_DECIDES = {
    "repeat_interleave": _repeats,
    "one_hot": _one_hot,
    "where": _where,
    "ctc_loss": _always,
    "lstsq": _always,
}
_NAMES = frozenset({*_COUNTING, *_DECIDES})
