"""GF416: `pad_sequence` of the beginnings of rows, or of what a mask keeps of each."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from graphfix.model import Assumption
from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._condition import Build
from ._match import block_of, is_atom, is_named, is_pure, is_whole, meaning, only_value, without_conversion
from ._numbers import statement_of
from ._reads import parent

_PADS = "torch.nn.utils.rnn.pad_sequence"
_HOST_MOVES = frozenset({"tolist", "cpu", "detach", "numpy"})


class PaddedRows(Rule):
    """What it does:
        Fills the ends of all rows at once, where code cuts each row to a length of its own, or to what a mask keeps of
        it, and pads them to the longest again.

    Why it breaks the graph:
        How long each piece is exists only at run time (GB0124, GB0033; GB0036 for a mask). The longest of them may be a
        whole row, whose length is known.

    Example:
        padded = pad_sequence([row[:n] for row, n in zip(hidden, lengths)], batch_first=True)

        if torch.compiler.is_compiling():
            torch._assert_async(
                (lengths.min() >= 0) & (lengths.max() == hidden.shape[1]),
                "graphfix: the longest of lengths is not hidden.shape[1]",
            )
            outside = torch.arange(hidden.shape[1], device=hidden.device) >= lengths[:, None]
        padded = (
            hidden.masked_fill(outside.reshape(hidden.shape[:2] + (1,) * (hidden.dim() - 2)), 0)
            if torch.compiler.is_compiling()
            else pad_sequence([row[:n] for row, n in zip(hidden, lengths)], batch_first=True)
        )

    Safety:
        Eager code does what it did. Offered only where the longest piece is a whole row on every call of the target;
        compiled code asserts that on the device.
    """

    code, name = "GF416", "padded-rows"
    title = "fill the ends of all rows at once"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0124", "GB0033", "GB0036"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module = site.module
        padded = _padded_at(module, site.node) if site.dual else None
        statement = statement_of(module, padded.call) if padded is not None else None
        if padded is None or statement is None:
            return None
        first = padded.made[0] if padded.made else statement
        assumed = Assumption(module.path, first.lineno, padded.assumed)
        if not _follow_one_another(module, [*padded.made, statement]) or not site.may_hold(assumed):
            return None
        block, filled = padded.compiled(Build(module, padded.call))
        named = {"x": padded.x, "by": padded.by, "value": padded.value, "count": padded.count}
        parts = {name: part for name, part in named.items() if part is not None}
        if padded.made:
            both = f"if {{torch}}.compiler.is_compiling():\n{textwrap.indent(block, '    ')}else:\n    {{made}}"
            prepared = replace(site, dual=False).replace(padded.made, both, made=padded.made, **parts)
        else:
            prepared = site.before(statement, block, **parts)
        both_ways = site.together(prepared, site.replace(padded.call, filled, **parts))
        return None if both_ways is None else replace(both_ways, assumption=assumed)

    cases = (
        Rewrites(
            before="""
                from torch.nn.utils.rnn import pad_sequence

                def f(hidden, lengths):
                    # to the longest
                    padded = pad_sequence([row[:n] for row, n in zip(hidden, lengths)], batch_first=True)
                    return padded * 2
            """,
            after="""
                import torch
                from torch.nn.utils.rnn import pad_sequence

                def f(hidden, lengths):
                    # to the longest
                    if torch.compiler.is_compiling():
                        torch._assert_async(
                            (lengths.min() >= 0) & (lengths.max() == hidden.shape[1]),
                            "graphfix: the longest of lengths is not hidden.shape[1]",
                        )
                        outside = torch.arange(hidden.shape[1], device=hidden.device) >= lengths[:, None]
                    padded = (
                        hidden.masked_fill(outside.reshape(hidden.shape[:2] + (1,) * (hidden.dim() - 2)), 0)
                        if torch.compiler.is_compiling()
                        else pad_sequence([row[:n] for row, n in zip(hidden, lengths)], batch_first=True)
                    )
                    return padded * 2
            """,
            calls=(
                "f(torch.rand(3, 4, 2), torch.tensor([4, 1, 2]))",
                "f(torch.rand(2, 3), torch.tensor([0, 3]))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, sizes):
                    pieces = []
                    for i, n in enumerate(sizes.tolist()):
                        pieces.append(x[i, :n])
                    return torch.nn.utils.rnn.pad_sequence(pieces, padding_value=-1.0) + 1
            """,
            after="""
                import torch

                def f(x, sizes):
                    if torch.compiler.is_compiling():
                        torch._assert_async(
                            (sizes.min() >= 0) & (sizes.max() == x.shape[1]),
                            "graphfix: the longest of sizes is not x.shape[1]",
                        )
                        outside = torch.arange(x.shape[1], device=x.device) >= sizes[:, None]
                    else:
                        pieces = []
                        for i, n in enumerate(sizes.tolist()):
                            pieces.append(x[i, :n])
                    return (
                        x.masked_fill(outside.reshape(x.shape[:2] + (1,) * (x.dim() - 2)), -1.0).transpose(0, 1).contiguous()
                        if torch.compiler.is_compiling()
                        else torch.nn.utils.rnn.pad_sequence(pieces, padding_value=-1.0)
                    ) + 1
            """,  # noqa: E501
            calls=("f(torch.rand(3, 4, 2), torch.tensor([4, 1, 2]))",),
        ),
        Rewrites(
            before="""
                import torch
                from torch import nn

                class Unpad(nn.Module):
                    def forward(self, tokens, mask):
                        kept = [tokens[i][mask[i]] for i in range(tokens.size(0))]
                        return nn.utils.rnn.pad_sequence(kept, batch_first=True, padding_value=7)

                f = Unpad()
            """,
            after="""
                import torch
                from torch import nn

                class Unpad(nn.Module):
                    def forward(self, tokens, mask):
                        if torch.compiler.is_compiling():
                            torch._assert_async(mask.all(1).any(), "graphfix: mask keeps no row whole")
                            stays, order = mask.byte().sort(dim=1, descending=True, stable=True)
                            rows = tokens[torch.arange(tokens.shape[0], device=tokens.device)[:, None], order]
                        else:
                            kept = [tokens[i][mask[i]] for i in range(tokens.size(0))]
                        return (
                            rows.masked_fill((stays == 0).reshape(tokens.shape[:2] + (1,) * (tokens.dim() - 2)), 7)
                            if torch.compiler.is_compiling()
                            else nn.utils.rnn.pad_sequence(kept, batch_first=True, padding_value=7)
                        )

                f = Unpad()
            """,
            calls=("f(torch.arange(6).reshape(2, 3), torch.tensor([[False, True, True], [True, True, True]]))",),
        ),
        Leaves(
            source="""
                from torch.nn.utils.rnn import pad_sequence

                def f(x, n):
                    pieces = [row[:k] for row, k in zip(x, n)]
                    return pad_sequence(pieces, batch_first=True), len(pieces)
            """,
            calls=("f(torch.rand(3, 4), torch.tensor([4, 2, 2]))",),
        ),
        Leaves(
            source="""
                from torch.nn.utils.rnn import pad_sequence

                def f(x, n):
                    return pad_sequence([row[k:] for row, k in zip(x, n)], batch_first=True)
            """,
            calls=("f(torch.rand(3, 4), torch.tensor([0, 2, 2]))",),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Loop:
    """How a list is made: an element, what the loop binds and goes through, and the statements that only make it."""

    element: ast.expr
    target: ast.expr
    source: ast.expr
    statements: tuple[ast.stmt, ...] = ()


@dataclass(frozen=True, slots=True)
class _Padded:
    """A call that pads pieces of the rows of `x`: the first `by[i]` elements of row `i`, or those where a mask `by[i]`
    is true. `count` is how many rows are read, where the code says it apart; `made` holds the statements that only make
    the list of pieces."""

    call: ast.Call
    x: ast.expr
    by: ast.expr
    masks: bool
    count: ast.expr | None
    value: ast.expr | None
    batch_first: bool
    made: tuple[ast.stmt, ...]

    @property
    def assumed(self) -> str:
        """What must hold on every call, as Python."""
        x, by = ast.unparse(self.x), ast.unparse(self.by)
        holds = f"{by}.min() >= 0 and {by}.max() == {x}.shape[1]"
        if self.masks:
            holds = f'str({by}.dtype) == "torch.bool" and {by}.shape == {x}.shape[:2] and {by}.all(1).any()'
        return f"{holds} and {ast.unparse(self.count)} == {x}.shape[0]" if self.count is not None else holds

    def compiled(self, build: Build) -> tuple[str, str]:
        """The statements before the call, and the expression in its place."""
        x, by = ast.unparse(self.x), ast.unparse(self.by)
        if self.masks:
            holds, said = ["{by}.all(1).any()"], f"{by} keeps no row whole"
            stays, order, rows = map(build.fresh, ("stays", "order", "rows"))
            places = f"{stays}, {order} = {{by}}.byte().sort(dim=1, descending=True, stable=True)\n"
            places += f"{rows} = {{x}}[{{torch}}.arange({{x}}.shape[0], device={{x}}.device)[:, None], {order}]\n"
            outside = f"({stays} == 0)"
        else:
            holds = ["({by}.min() >= 0)", "({by}.max() == {x}.shape[1])"]
            said = f"the longest of {by} is not {x}.shape[1]"
            rows, outside = "{x}", build.fresh("outside")
            places = f"{outside} = {{torch}}.arange({{x}}.shape[1], device={{x}}.device) >= {{by}}[:, None]\n"
        if self.count is not None:
            holds.append("({count} == {x}.shape[0])")
        guard = build.wrapped(f'{{torch}}._assert_async({" & ".join(holds)}, "graphfix: {said}")')
        value = "{value}" if self.value is not None else "0"
        filled = f"{rows}.masked_fill({outside}.reshape({{x}}.shape[:2] + (1,) * ({{x}}.dim() - 2)), {value})"
        return f"{guard}\n{places}", filled if self.batch_first else f"{filled}.transpose(0, 1).contiguous()"


def _padded_at(module: Module, node: ast.AST) -> _Padded | None:
    """The call of `pad_sequence` in whose pieces, or in the making of whose list, a node stands."""
    function = module.function_of(node)
    for call in ast.walk(function) if function is not None else ():
        if isinstance(call, ast.Call) and meaning(module, call.func) == _PADS:
            padded = _padded(module, call)
            if padded is not None and any(node in ast.walk(one) for one in (call, *padded.made)):
                return padded
    return None


def _padded(module: Module, call: ast.Call) -> _Padded | None:
    """What a call of `pad_sequence` pads; None for what the rule does not know."""
    names = ("sequences", "batch_first", "padding_value")
    given = dict(zip(names, call.args, strict=False)) | {one.arg: one.value for one in call.keywords}
    first, value = given.get("batch_first", ast.Constant(False)), given.get("padding_value")
    loop = _loop(module, given.get("sequences"))
    pieces = _pieces(module, loop) if loop is not None else None
    if loop is None or pieces is None or not given.keys() <= {*names} or not isinstance(first, ast.Constant):
        return None
    x, by, masks, count = pieces
    by, read = _without_list(module, by)
    parts = [part for part in (x, by, count, value) if part is not None]
    if not all(map(is_pure, parts)) or not is_atom(x) or not is_atom(by) or set(ast.unparse(by)) & {*'{"'}:
        return None
    return _Padded(call, x, by, masks, count, value, bool(first.value), (*read, *loop.statements))


def _loop(module: Module, made: ast.expr | None) -> _Loop | None:
    """How a list is made: by a comprehension, with a name for it or without, or by a loop that only appends to it."""
    if isinstance(made, ast.ListComp):
        (loop, *more) = made.generators
        return None if more or loop.ifs or loop.is_async else _Loop(made.elt, loop.target, loop.iter)
    value = only_value(module, made) if isinstance(made, ast.Name) else None
    if not isinstance(made, ast.Name) or value is None:
        return None
    first, (_, *uses) = parent(module, value), _named_like(module, made)
    assert isinstance(first, ast.stmt)
    if uses == [made]:
        found = _loop(module, value) if isinstance(value, ast.ListComp) else None
        return found and replace(found, statements=(first,))
    after = [node for node in _following(module, first) if isinstance(node, ast.For)]
    append = after[0].body[0] if after and len(after[0].body) == 1 and not after[0].orelse else None
    call = append.value if isinstance(append, ast.Expr) else None
    if not isinstance(call, ast.Call) or len(call.args) != 1 or ast.unparse(call.func) != f"{made.id}.append":
        return None
    if ast.unparse(value) != "[]" or len(uses) != 2 or uses[0] not in ast.walk(call.func) or uses[1] is not made:
        return None
    return _Loop(call.args[0], after[0].target, after[0].iter, (first, after[0]))


def _pieces(module: Module, loop: _Loop) -> tuple[ast.expr, ast.expr, bool, ast.expr | None] | None:
    """The tensor of rows, what cuts them, whether that is a mask, and how many are read if the loop says it apart."""
    index, rows, count = _bound(loop)
    if not isinstance(loop.element, ast.Subscript):
        return None
    base, cut = loop.element.value, loop.element.slice
    first, *others = cut.elts if isinstance(cut, ast.Tuple) else [cut]
    x = _of_row(base, index, rows)
    if x is None and others and is_named(first, index):
        x, first, *others = base, *others
    masks = not isinstance(first, ast.Slice)
    if isinstance(first, ast.Slice):
        start = first.lower is None or (isinstance(first.lower, ast.Constant) and first.lower.value == 0)
        bound = first.upper if start and first.step is None else None
    else:
        bound = None if others else first
    by = _of_row(without_conversion(bound), index, rows) if bound is not None else None
    if x is None or by is None or not all(map(is_whole, others)):
        return None
    if count is not None and _is_number_of_rows(module, count, (x, by)):
        count = None
    return x, by, masks, count


def _bound(loop: _Loop) -> tuple[str, dict[str, ast.expr], ast.expr | None]:
    """The name of the row's number, what each other name is a row of, and how often the loop runs, if it is told."""
    call, names = loop.source, loop.target.elts if isinstance(loop.target, ast.Tuple) else [loop.target]
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.keywords:
        return "", {}, None
    said = [one.id if isinstance(one, ast.Name) else "" for one in names]
    if call.func.id == "range" and len(call.args) == len(said) == 1:
        return said[0], {}, call.args[0]
    if call.func.id == "enumerate" and len(call.args) == 1 and len(said) == 2:
        return said[0], {said[1]: call.args[0]}, None
    if call.func.id == "zip" and len(call.args) == len(said):
        return "", dict(zip(said, call.args, strict=True)), None
    return "", {}, None


def _of_row(node: ast.expr, index: str, rows: dict[str, ast.expr]) -> ast.expr | None:
    """What a node is one row of: `x` of `x[i]`, or of a name that a loop gives to the rows of `x`."""
    if isinstance(node, ast.Name):
        return rows.get(node.id)
    return node.value if isinstance(node, ast.Subscript) and index and is_named(node.slice, index) else None


def _is_number_of_rows(module: Module, count: ast.expr, tensors: Sequence[ast.expr]) -> bool:
    """Whether a number is that of the rows of one of the tensors for certain."""
    if isinstance(count, ast.Name) and (value := only_value(module, count)) is not None:
        count = value
    texts = [ast.unparse(one) for one in tensors]
    return ast.unparse(count) in {form.format(x) for x in texts for form in ("{}.shape[0]", "{}.size(0)", "len({})")}


def _without_list(module: Module, by: ast.expr) -> tuple[ast.expr, tuple[ast.stmt, ...]]:
    """The tensor whose elements a list holds, and the statement that only makes the list."""
    made: tuple[ast.stmt, ...] = ()
    if isinstance(by, ast.Name) and (value := only_value(module, by)) is not None and _moved(value):
        statement = parent(module, value)
        if len(_named_like(module, by)) == 2 and isinstance(statement, ast.stmt):
            by, made = value, (statement,)
    while (moved := _moved(by)) is not None:
        by = moved
    return by, made


def _moved(node: ast.expr) -> ast.expr | None:
    """`t` of `t.tolist()`, `t.cpu()` and their like."""
    called = node.func if isinstance(node, ast.Call) else None
    return called.value if isinstance(called, ast.Attribute) and called.attr in _HOST_MOVES else None


def _named_like(module: Module, name: ast.Name) -> list[ast.Name]:
    """Where a local name stands in its function."""
    function = module.function_of(name)
    found = ast.walk(function) if function is not None else ()
    places = [one for one in found if isinstance(one, ast.Name) and one.id == name.id]
    return sorted(places, key=lambda one: (one.lineno, one.col_offset))


def _following(module: Module, statement: ast.stmt) -> list[ast.stmt]:
    """The next statement of the block, if there is one."""
    block = block_of(next(module.parents(statement)), statement)
    return block[block.index(statement) + 1 :][:1]


def _follow_one_another(module: Module, statements: Sequence[ast.stmt]) -> bool:
    """Whether nothing stands between statements."""
    return all(_following(module, one) == [other] for one, other in pairwise(statements))
