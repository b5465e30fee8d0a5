"""GF415: `h.split(sizes.tolist())`, and the largest or smallest of each piece."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._match import block_of, follow_one_another, is_pure, only_value, same
from ._numbers import statement_of
from ._reads import parent, without_host_moves
from ._uses import target_of

_REDUCES = {"amax": "max", "amin": "min"}
_SPLITS = frozenset({"split", "split_with_sizes"})
_GUARD = '{torch}._assert_async(({sizes} > 0).all(), "graphfix: a piece without elements has no WHICH")'
_REDUCED = 'list({torch}.segment_reduce({whole}, "WHICH", lengths={sizes}, axis=0))'


class SplitByTensor(Rule):
    """What it does:
        Takes the largest or smallest of each piece of a tensor in one call, where Dynamo compiles and code splits the
        tensor by sizes that it reads out of another one.

    Why it breaks the graph:
        `split` needs the sizes, which exist only at run time (GB0033, GB0124).

    Example:
        pieces = points.split(sizes.tolist())
        tops = [piece.amax(dim=0) for piece in pieces]

        if torch.compiler.is_compiling():
            torch._assert_async((sizes > 0).all(), "graphfix: a piece without elements has no max")
            tops = list(torch.segment_reduce(points, "max", lengths=sizes, axis=0))
        else:
            pieces = points.split(sizes.tolist())
            tops = [piece.amax(dim=0) for piece in pieces]

    Safety:
        Eager code does what it did. Compiled code has the same values and gradients; it asserts on the device that no
        piece is empty, and `segment_reduce` refuses sizes that do not add up. For floating point, and for `amax` and
        `amin` only: of a sum or mean the last bits would differ, and `max(dim=0)` gives the gradient to one of several
        equal elements.
    """

    code, name = "GF415", "split-by-tensor"
    title = "reduce the pieces in one call, without splitting"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0033", "GB0124"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module = site.module
        split = _split_at(module, site.node) if site.dual else None
        reduced = _reduced(module, split.pieces) if split is not None else None
        if split is None or reduced is None or not all(map(is_pure, (split.whole, split.sizes))):
            return None
        guard, new = (text.replace("WHICH", reduced.which) for text in (_GUARD, _REDUCED))
        parts: dict[str, ast.AST] = {"whole": split.whole, "sizes": split.sizes}
        statement = statement_of(module, reduced.made)
        if isinstance(reduced.made, ast.ListComp) and not split.statements and statement is not None:
            return site.together(site.before(statement, guard, **parts), site.replace(reduced.made, new, **parts))
        gone, name = [*split.statements, *reduced.statements], reduced.name or ast.unparse(split.pieces)
        run = gone if reduced.name or statement is None else [*gone, statement]
        if not gone or not follow_one_another(module, run) or not _serve_only(module, gone, name):
            return None
        template = f"if {{torch}}.compiler.is_compiling():\n    {guard}\n    {name} = {new}\nelse:\n    {{original}}"
        both = replace(site, dual=False)
        if reduced.name:
            return both.replace(gone, template, original=gone, **parts)
        moved = both.replace(gone, f"{template}\n    {name} = {{made}}", original=gone, made=reduced.made, **parts)
        return both.together(moved, both.replace(reduced.made, name))

    cases = (
        Rewrites(
            before="""
                import torch

                def f(points, counts):
                    groups = points.split(counts.tolist())
                    tops = [group.amax(0) for group in groups]  # of each
                    return torch.stack(tops) * 2
            """,
            after="""
                import torch

                def f(points, counts):
                    if torch.compiler.is_compiling():
                        torch._assert_async((counts > 0).all(), "graphfix: a piece without elements has no max")
                        tops = list(torch.segment_reduce(points, "max", lengths=counts, axis=0))
                    else:
                        groups = points.split(counts.tolist())
                        tops = [group.amax(0) for group in groups]  # of each
                    return torch.stack(tops) * 2
            """,
            calls=("f(torch.rand(5, 3), torch.tensor([2, 3]))", "f(torch.rand(4), torch.tensor([1, 2, 1]))"),
        ),
        Rewrites(
            before="""
                import torch as t

                class Lowest(t.nn.Module):
                    def forward(self, rows, ends):
                        sizes = ends.diff().cpu().tolist()
                        lows = []
                        for part in t.split(rows * 2, sizes, dim=0):
                            lows.append(t.amin(part, dim=0))
                        return t.cat(lows) + len(lows)

                f = Lowest()
            """,
            after="""
                import torch as t

                class Lowest(t.nn.Module):
                    def forward(self, rows, ends):
                        if t.compiler.is_compiling():
                            t._assert_async((ends.diff() > 0).all(), "graphfix: a piece without elements has no min")
                            lows = list(t.segment_reduce(rows * 2, "min", lengths=ends.diff(), axis=0))
                        else:
                            sizes = ends.diff().cpu().tolist()
                            lows = []
                            for part in t.split(rows * 2, sizes, dim=0):
                                lows.append(t.amin(part, dim=0))
                        return t.cat(lows) + len(lows)

                f = Lowest()
            """,
            calls=("f(torch.rand(5, 3), torch.tensor([0, 2, 5]))",),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, n):
                    return torch.stack([one.amax(dim=0) for one in x.split_with_sizes(n.tolist())])
            """,
            after="""
                import torch

                def f(x, n):
                    if torch.compiler.is_compiling():
                        torch._assert_async((n > 0).all(), "graphfix: a piece without elements has no max")
                    return torch.stack(
                        list(torch.segment_reduce(x, "max", lengths=n, axis=0))
                        if torch.compiler.is_compiling()
                        else [one.amax(dim=0) for one in x.split_with_sizes(n.tolist())]
                    )
            """,
            calls=("f(torch.rand(5, 3), torch.tensor([2, 3]))",),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, n):
                    pieces = torch.split(x, n.tolist())
                    return torch.stack([torch.amin(piece, 0) for piece in pieces]) - 1
            """,
            after="""
                import torch

                def f(x, n):
                    if torch.compiler.is_compiling():
                        torch._assert_async((n > 0).all(), "graphfix: a piece without elements has no min")
                        pieces = list(torch.segment_reduce(x, "min", lengths=n, axis=0))
                    else:
                        pieces = torch.split(x, n.tolist())
                        pieces = [torch.amin(piece, 0) for piece in pieces]
                    return torch.stack(pieces) - 1
            """,
            calls=("f(torch.rand(5, 3), torch.tensor([2, 3]))",),
        ),
        Leaves(
            source="""
                import torch

                def f(points, counts):
                    groups = points.split(counts.tolist())
                    return torch.stack([group.sum(0) for group in groups])
            """,
            calls=("f(torch.rand(5, 3), torch.tensor([2, 3]))",),
        ),
        Leaves(
            source="""
                import torch

                def f(points, counts):
                    groups = points.split(counts.tolist())
                    tops = torch.stack([group.amax(0) for group in groups])
                    return tops * len(groups)
            """,
            calls=("f(torch.rand(5, 3), torch.tensor([2, 3]))",),
        ),
        Leaves(
            source="""
                import torch

                def f(points, counts):
                    groups = points.split(counts.tolist(), dim=1)
                    return torch.stack([group.amax(0) for group in groups])
            """,
            calls=("f(torch.rand(3, 4), torch.tensor([2, 2]))",),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Split:
    """What is split, the tensor of sizes, the pieces where they are read, and the statements that only name these."""

    whole: ast.expr
    sizes: ast.expr
    pieces: ast.expr
    statements: tuple[ast.stmt, ...]


@dataclass(frozen=True, slots=True)
class _Reduced:
    """The list of what is left of each piece (`max` or `min`): its name, what makes it, and the statements that do."""

    which: str
    name: str
    made: ast.ListComp | ast.For
    statements: tuple[ast.stmt, ...]


def _split_at(module: Module, node: ast.AST) -> _Split | None:
    """The split along the first dimension that a break is in, or whose sizes are read there."""
    if isinstance(node, ast.Call) and _method(node) == "tolist":
        node = parent(module, _where_read(module, node)) or node
    if not isinstance(node, ast.Call) or _method(node) not in _SPLITS:
        return None
    given = _given(module, node)
    if len(given) < 2 or not _are_zero([*given[2:], *(one.value for one in node.keywords)]):
        return None
    read = only_value(module, given[1]) if isinstance(given[1], ast.Name) else given[1]
    if not isinstance(read, ast.Call) or _method(read) != "tolist":
        return None
    sizes = without_host_moves(read)
    above = (parent(module, one) for one in (read, node))
    return _Split(
        given[0], sizes, _where_read(module, node), tuple(one for one in above if isinstance(one, ast.Assign))
    )


def _reduced(module: Module, pieces: ast.expr) -> _Reduced | None:
    """The list of the largest or smallest of each piece, where a comprehension or a loop does no more than this."""
    loop = parent(module, pieces)
    if isinstance(loop, ast.comprehension):
        made = parent(module, loop)
        if not isinstance(made, ast.ListComp) or len(made.generators) != 1 or loop.ifs:
            return None
        which, holder, target = _which(module, made.elt, loop.target), parent(module, made), target_of(module, made)
        name = target.id if isinstance(target, ast.Name) else ""
        return _Reduced(which, name, made, (holder,) if isinstance(holder, ast.Assign) else ()) if which else None
    if not isinstance(loop, ast.For) or len(loop.body) != 1 or loop.orelse or not isinstance(loop.body[0], ast.Expr):
        return None
    call, block = loop.body[0].value, block_of(next(module.parents(loop)), loop)
    empty = block[block.index(loop) - 1]
    if not isinstance(call, ast.Call) or len(call.args) != 1 or not isinstance(empty, ast.Assign):
        return None
    name = ast.unparse(empty.targets[0])
    which = _which(module, call.args[0], loop.target)
    fills = ast.unparse(empty) == f"{name} = []" and ast.unparse(call.func) == f"{name}.append" and name.isidentifier()
    return _Reduced(which, name, loop, (empty, loop)) if which and fills else None


def _which(module: Module, element: ast.expr, piece: ast.expr) -> str:
    """`max` of `piece.amax(0)`, `min` of `piece.amin(0)`, else nothing."""
    if not isinstance(element, ast.Call) or _method(element) not in _REDUCES:
        return ""
    given = [*_given(module, element), *(one.value for one in element.keywords)]
    along_first = len(given) == 2 and same(given[0], piece) and _are_zero(given[1:])
    return _REDUCES[_method(element)] if along_first else ""


def _method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _given(module: Module, call: ast.Call) -> list[ast.expr]:
    """The plain arguments of a method, its tensor first, or of a function of torch."""
    of_torch = module.analysis.meaning(call.func).startswith("torch.")
    assert isinstance(call.func, ast.Attribute)
    return [*call.args] if of_torch else [call.func.value, *call.args]


def _are_zero(dims: Sequence[ast.expr]) -> bool:
    """Whether at most one dimension is named, the first."""
    return len(dims) <= 1 and all(isinstance(one, ast.Constant) and one.value == 0 for one in dims)


def _where_read(module: Module, value: ast.expr) -> ast.expr:
    """Where a value is read: its own place, or that of the name that it alone gets and that is read once."""
    target, function = target_of(module, value), module.function_of(value)
    if not isinstance(target, ast.Name) or function is None:
        return value
    names = [one for one in ast.walk(function) if isinstance(one, ast.Name) and one.id == target.id]
    return next((one for one in names if one is not target), value) if len(names) == 2 else value


def _serve_only(module: Module, statements: Sequence[ast.stmt], name: str) -> bool:
    """Whether statements give this name its value, and the others that they bind are read by them alone."""
    inside = {one for part in statements for one in ast.walk(part) if isinstance(one, ast.Name)}
    bound = {one.id for one in inside if not isinstance(one.ctx, ast.Load)}
    names = (one for one in ast.walk(module.function_of(statements[0]) or module.tree) if isinstance(one, ast.Name))
    return name in bound and all(one in inside for one in names if one.id in bound - {name})
