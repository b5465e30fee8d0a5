"""GF200: a decision on what a tensor holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from graphfix.rule import Finds, Leaves, Rule, Safety, Site
from graphfix.source.module import Module
from graphfix.source.values import Kind


class TensorBranch(Rule):
    """What it does:
        Finds branches, loops, asserts and `and`, `or`, `not` that decide on the values in a tensor. It repairs nothing:
        other rules know the repair of some of them.

    Why it breaks the graph:
        Which way to go is known at run time only, so Dynamo ends the graph and lets Python decide (GB0170).

    Example:
        if mask.any():
            x = x.masked_fill(mask, 0.0)

        x = x.masked_fill(mask, 0.0)

    Safety:
        Nothing is changed. A person can compute both ways and choose with `torch.where`, or use `torch.cond`.
    """

    code, name = "GF200", "tensor-branch"
    title = "decides on the values in a tensor"
    safety = Safety.UNSAFE
    names = frozenset({"GB0170"})

    def find(self, module: Module) -> Iterator[Site]:
        inner = set[ast.expr]()
        for node in module.analysis.nodes(ast.If, ast.While, ast.IfExp, ast.Assert):
            test: ast.expr = node.test  # type: ignore[attr-defined]
            inner.add(test)
            parts = _asserted(node) if isinstance(node, ast.Assert) else _parts(test)
            yield from _decided(module, node, list(parts))
        for generator in module.analysis.nodes(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp):
            for test in (test for one in generator.generators for test in one.ifs):  # type: ignore[attr-defined]
                yield from _decided(module, test, list(_parts(test)))
        for node in module.analysis.nodes(ast.BoolOp):
            if node not in inner:
                assert isinstance(node, ast.BoolOp)
                if not any(parent in inner for parent in _operators(module, node)):
                    yield from (site for part in node.values[:-1] for site in _decided(module, part, [part]))
        for call in module.analysis.calls(("any", "all")):
            if isinstance(call.func, ast.Name) and len(call.args) == 1:
                value = module.analysis.value(call.args[0])
                if value.kind in (Kind.TENSOR, Kind.TENSORS) and not value.optional:
                    yield Site(module, call, sure=value.sure)

    cases = (
        Finds(
            source="""
                import torch

                class Net(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("limit", torch.tensor(3.0))

                    def forward(self, x, scale=None):
                        if scale is None and x.shape[0] > 100:
                            scale = 2.0
                        total = x.unsqueeze(0).sum()
                        if total > self.limit:
                            x = x / total
                        y = x if x.max() < 1 else x.clamp(max=1.0)
                        while y.norm() > 10:
                            y = y / 2
                        assert not torch.isnan(y).any()
                        assert y.sum() > 0, f"of {len(y)}"
                        return y * any(y > 0)

                f = Net()
            """,
            lines=(12, 14, 15, 17, 18, 19),
            calls=("f(torch.ones(3))", "f(torch.ones(4))"),
        ),
        Leaves(
            source="""
                import torch

                class Net(torch.nn.Module):
                    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None, causal: bool = False):
                        if mask is not None and mask.dim() == 2 and mask.shape[0] > 1:
                            x = x + mask
                        if x.dtype == torch.float16 or x.numel() == 0 or len(x) > 3:
                            x = x.float()
                        if not torch.compiler.is_compiling() and x.isnan().any():
                            raise ValueError("NaN")
                        assert x.isfinite().all(), "not finite"
                        assert len(x) > 0 and x.abs().sum() >= 0, "negative"
                        return x * 2 if causal and self.training else x

                f = Net()
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4), torch.ones(4, 4))"),
        ),
    )


def _asserted(node: ast.Assert) -> Iterator[ast.expr]:
    """The parts of an assert that Python decides.

    Dynamo keeps an assert in the graph (2.6 to 2.13) where its message is a literal or missing and its last part is
    asked for its truth as it is.
    """
    parts = list(_parts(node.test))
    last = node.test.values[-1] if isinstance(node.test, ast.BoolOp) else node.test
    plain = not isinstance(last, ast.BoolOp | ast.UnaryOp) and not _is_chain(last)
    yield from parts[:-1] if plain and (node.msg is None or _is_literal(node.msg)) else parts


def _is_literal(message: ast.expr) -> bool:
    fields = message.values if isinstance(message, ast.JoinedStr) else [message]
    return all(isinstance(part, ast.Constant) for part in fields)


def _decided(module: Module, node: ast.AST, parts: Sequence[ast.expr]) -> Iterator[Site]:
    """The site, where any part of a condition is a tensor."""
    found = [module.analysis.tensor(part) for part in parts if not _is_guess(module, part)]
    if True in found:
        yield Site(module, node)
    elif False in found:
        yield Site(module, node, sure=False)


def _is_guess(module: Module, part: ast.expr) -> bool:
    """A name that stands alone is more often a flag than a tensor that is asked for its truth."""
    return isinstance(part, ast.Name) and module.analysis.tensor(part) is False


def _parts(test: ast.expr) -> Iterator[ast.expr]:
    """The parts of a condition whose truth Python asks for, one by one."""
    if isinstance(test, ast.BoolOp):
        for value in test.values:
            yield from _parts(value)
    elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        yield from _parts(test.operand)
    elif isinstance(test, ast.Compare) and _is_chain(test):
        yield from (test.left, *test.comparators)  # a tensor on either side makes a tensor of the comparison
    else:
        yield test


def _is_chain(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and len(test.ops) > 1


def _operators(module: Module, node: ast.expr) -> Iterator[ast.AST]:
    """The operators of truth around an expression."""
    for parent in module.parents(node):
        if not isinstance(parent, ast.BoolOp | ast.UnaryOp):
            return
        yield parent
