"""GF414: some rows of a tensor, picked by a mask or a slice, computed apart and put back into the same rows."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._condition import Build
from ._masks import Put, mask_text
from ._match import block_of, is_atom, is_pure, same
from ._numbers import Numbers
from ._reads import parent
from ._selection import leaves_out
from ._windows import refusal, within

_Change = tuple[ast.expr, str, Mapping[str, ast.expr]]


class RowsApart(Rule):
    """What it does:
        Computes for all rows what code computes for those that a mask or a slice between two tensors picks, and takes
        the result in these rows alone.

    Why it breaks the graph:
        How many rows are picked is known at run time only (GB0036; GB0124 where the bounds of a slice are tensors).

    Example:
        packed = self.feed_forward(hidden[real])
        out[real] = packed

        packed = self.feed_forward(hidden.flatten(0, real.dim() - 1))
        out.copy_(torch.where(real[(...,) + (None,) * (out.dim() - real.dim())], packed.reshape(out.shape), out))

    Safety:
        Proven. Right only where each row stands for itself, as in linear layers, norms and activations; a run must show
        that. The rows that are not picked are computed for nothing: with a mask of padding that is little, in a loop
        over experts as many times the work as there are experts. A negative bound of a slice counts from the end, which
        the mask does not: an assert on the device refuses it.
    """

    code, name = "GF414", "rows-apart"
    title = "compute all rows, and take the result where it is asked for"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0036", "GB0124", "GB0033"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module = site.module
        picked = parent(module, site.node) if isinstance(site.node, ast.Slice) else site.node
        if not isinstance(picked, ast.Subscript) or not _is_pick(picked.slice) or not is_pure(picked.slice):
            return None
        span = _span(module, picked)
        if span is None:
            return None
        if not isinstance(picked.slice, ast.Slice) and not leaves_out(
            site, span.put, f"({ast.unparse(picked.slice)}).all()"
        ):
            return None
        reads = [read for part in span.between for read in _reads(part, picked.slice)]
        put, inner = span.put, list(_reads(span.put.value, picked.slice))
        if not reads or not all(is_pure(read.value) for read in (*reads, *inner)):
            return None
        build = Build(module, picked)
        changes: list[_Change] = [(read, _all_rows(read), {"of": read.value}) for read in reads]
        value = Put({read: ast.unparse(_filled(read)) for read in inner}).text(put.value)
        out = ast.unparse(span.out)
        if "{" in value + out:
            return None
        text = _store(build, picked.slice, span.out, value)
        return site.together(site.replace_each(changes), build.put(site, put, text))

    cases = (
        Rewrites(
            before="""
                import torch
                from torch import nn

                class Unpadded(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.norm = nn.LayerNorm(4)

                    def forward(self, hidden, attention_mask):
                        real = attention_mask.bool()
                        packed = self.norm(hidden[real])
                        out = torch.zeros_like(hidden)
                        # back to where they were
                        out[real] = packed
                        return out

                f = Unpadded().requires_grad_(False)
            """,
            after="""
                import torch
                from torch import nn

                class Unpadded(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.norm = nn.LayerNorm(4)

                    def forward(self, hidden, attention_mask):
                        real = attention_mask.bool()
                        packed = self.norm(hidden.flatten(0, real.dim() - 1))
                        out = torch.zeros_like(hidden)
                        # back to where they were
                        out.copy_(torch.where(real[(...,) + (None,) * (out.dim() - real.dim())], packed.reshape(out.shape), out))
                        return out

                f = Unpadded().requires_grad_(False)
            """,  # noqa: E501
            calls=(
                "f(torch.arange(24.0).view(2, 3, 4), torch.tensor([[1, 1, 0], [1, 0, 0]]))",
                "f(torch.ones(1, 5, 4), torch.tensor([[1, 1, 1, 1, 0]]))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, weights, counts):
                    ends = torch.cumsum(counts, 0)
                    out = torch.zeros_like(x)
                    for n in range(weights.shape[0]):
                        start = ends[n] - counts[n]
                        rows = x[start : ends[n]]
                        out[start : ends[n]] = rows * weights[n]
                    return out
            """,
            after="""
                import torch

                def f(x, weights, counts):
                    ends = torch.cumsum(counts, 0)
                    out = torch.zeros_like(x)
                    for n in range(weights.shape[0]):
                        start = ends[n] - counts[n]
                        rows = x
                        torch._assert_async(
                            (start >= 0) & (ends[n] >= 0),
                            "graphfix: out[start:ends[n]] has a negative bound",
                        )
                        row = torch.arange(out.shape[0], device=out.device)
                        picked = ((row >= start) & (row < ends[n]))[(...,) + (None,) * (out.dim() - 1)]
                        out.copy_(torch.where(picked, rows * weights[n], out))
                    return out
            """,
            calls=(
                "f(torch.ones(5, 2), torch.arange(3.0), torch.tensor([2, 0, 3]))",
                "f(torch.ones(4, 3), torch.arange(2.0), torch.tensor([3, 1]))",
            ),
        ),
        Leaves(
            source="""
                def f(x, keep):
                    some = x[keep]
                    x = x.clone()
                    x[keep] = some * 2
                    return x, some.shape[0]
            """,
            calls=("f(torch.ones(3), torch.tensor([True, False, True]))",),
        ),
        Leaves(
            source="""
                def f(x, n):
                    y = x.clone()
                    part = x[:2]
                    y[:2] = part * n.item()
                    return y
            """,
            calls=("f(torch.ones(3), torch.tensor(2.0))",),
        ),
    )


@dataclass(frozen=True)
class _Span:
    """The statements from the one that picks rows up to the one before `put`, which puts them back into `out`."""

    between: Sequence[ast.stmt]
    put: ast.Assign
    out: ast.expr


def _is_pick(by: ast.expr) -> bool:
    """Whether a subscript may pick rows: by a mask, or by a slice with a bound that may be a tensor."""
    if isinstance(by, ast.Slice):
        bounds = [bound for bound in (by.lower, by.upper) if bound is not None]
        return by.step is None and any(not isinstance(bound, ast.Constant) for bound in bounds)
    return isinstance(by, ast.Name | ast.Attribute)


def _span(module: Module, picked: ast.Subscript) -> _Span | None:
    """The statements between, None where what is picked goes on to others, or the rows are not put back."""
    first = next((one for one in module.parents(picked) if isinstance(one, ast.stmt)), None)
    function = module.function_of(picked)
    if first is None or function is None:
        return None
    block = block_of(next(module.parents(first)), first)
    between: list[ast.stmt] = []
    for statement in block[block.index(first) :]:
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            return None
        out = _puts(statement, picked.slice)
        if out is not None and between:
            assert isinstance(statement, ast.Assign)
            return _Span(between, statement, out) if _stays(function, between, statement, picked.slice, out) else None
        between.append(statement)
    return None


def _puts(statement: ast.stmt, by: ast.expr) -> ast.expr | None:
    """The tensor into whose rows a statement stores."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    if not isinstance(target, ast.Subscript) or not same(_key(target.slice), _key(by)):
        return None
    return target.value if isinstance(target.value, ast.Name | ast.Attribute) else None


def _stays(function: ast.AST, between: Sequence[ast.stmt], put: ast.Assign, by: ast.expr, out: ast.expr) -> bool:
    """Whether what is made of picked rows is used there alone, and nobody changes by what they are picked meanwhile."""
    inside = {node for statement in (*between, put) for node in ast.walk(statement)}
    names = [node for node in inside if isinstance(node, ast.Name)]
    bound = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    made: set[str] = set()
    for statement in between:
        loads = {
            node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        if any(True for _ in _reads(statement, by)) or loads & made:
            made |= {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    if bound & {node.id for node in ast.walk(by) if isinstance(node, ast.Name)} or made & {ast.unparse(out)}:
        return False
    elsewhere = (node for node in ast.walk(function) if isinstance(node, ast.Name) and node not in inside)
    return bool(made) and not any(node.id in made and isinstance(node.ctx, ast.Load) for node in elsewhere)


def _reads(node: ast.AST, by: ast.expr) -> list[ast.Subscript]:
    """Where rows are picked by the same."""
    found = [one for one in ast.walk(node) if isinstance(one, ast.Subscript) and isinstance(one.ctx, ast.Load)]
    return [one for one in found if same(_key(one.slice), _key(by))]


def _key(by: ast.expr) -> ast.expr:
    """A subscript as an expression that can be compared; a slice as a tuple of its bounds."""
    if not isinstance(by, ast.Slice):
        return by
    bounds = [bound or ast.Constant(None) for bound in (by.lower, by.upper, by.step)]
    return ast.Tuple([ast.Constant("slice"), *bounds], ast.Load())


def _all_rows(read: ast.Subscript) -> str:
    if isinstance(read.slice, ast.Slice):
        return "{of}"
    return f"{{of}}.flatten(0, {ast.unparse(read.slice)}.dim() - 1)"


def _filled(read: ast.Subscript) -> ast.expr:
    return ast.parse(_all_rows(read).replace("{of}", ast.unparse(read.value)), mode="eval").body


def _store(build: Build, by: ast.expr, out: ast.expr, value: str) -> str:
    """The statements that put a value for all rows into the picked ones."""
    tensor = build.slot(out)
    if not isinstance(by, ast.Slice):
        mask = mask_text(build.module, out, by)
        value = value if is_atom(ast.parse(value, mode="eval").body) else f"({value})"
        return f"{tensor}.copy_({{torch}}.where({mask}, {value}.reshape({tensor}.shape), {tensor}))\n"
    row, picked, numbers = build.fresh("row"), build.fresh("picked"), Numbers(build.module, keeps_gradient=True)
    inside = numbers.written(within(numbers, row, by))
    lines = [
        build.wrapped(numbers.written(refusal(numbers, ast.Subscript(out, by, ast.Load())))),
        f"{row} = {{torch}}.arange({tensor}.shape[0], device={tensor}.device)",
        f"{picked} = ({inside})[(...,) + (None,) * ({tensor}.dim() - 1)]",
        f"{tensor}.copy_({{torch}}.where({picked}, {value}, {tensor}))",
    ]
    return "\n".join(filter(None, lines)) + "\n"
