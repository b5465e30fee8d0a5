"""GF401: a length computed from data, where a dimension that is known equals it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from graphfix.model import Assumption
from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module
from graphfix.source.names import import_name

from ._lengths import (
    Def,
    Parameter,
    Translate,
    as_tensor_text,
    candidates,
    handed_in,
    inserted,
    lengths_read,
    optional_parameters,
    statement_of,
    tensor_of,
)
from ._match import dotted, is_pure


class LengthRead(Rule):
    """What it does:
        Takes the dimension that a length read from a tensor equals, where Dynamo compiles: in the function that reads
        it, or in the code that calls this function, in its file or another, which then hands the dimension in.

    Why it breaks the graph:
        `lengths.max().item()` is known at run time only (GB0124; GB0033 where the tensor itself is taken for a size),
        and all that is made in that size with it. A batch is padded to its longest member, so that some tensor has
        this dimension.

    Example:
        mask = torch.arange(lengths.max().item()) < lengths[:, None]
        x = x * mask

        if torch.compiler.is_compiling():
            torch._assert_async(lengths.max() == x.shape[1], "graphfix: lengths.max() is not x.shape[1]")
        mask = torch.arange(x.shape[1] if torch.compiler.is_compiling() else lengths.max().item()) < lengths[:, None]
        x = x * mask

    Safety:
        Eager code does what it did. Compiled code asserts on the device that length and dimension are equal, and raises
        where they are not. Offered only where they were equal on every call of the target.
    """

    code, name = "GF401", "length-from-data"
    title = "take the dimension that the length equals"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0124", "GB0033", "GB0170", "GB0059"})
    dual = True

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        if not site.dual:
            return
        for read in lengths_read(site.module, site.node):
            if is_pure(read):
                yield from _at(site, read, read)
                if (returned := _returned(site, read)) is not None:
                    yield from _at(*returned)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x, lengths):
                    longest = lengths.max().item()
                    keep = torch.arange(longest, device=x.device) < lengths[:, None]
                    return x * keep
            """,
            after="""
                import torch

                def f(x, lengths):
                    if torch.compiler.is_compiling():
                        torch._assert_async(lengths.max() == x.shape[1], "graphfix: lengths.max() is not x.shape[1]")
                    longest = x.shape[1] if torch.compiler.is_compiling() else lengths.max().item()
                    keep = torch.arange(longest, device=x.device) < lengths[:, None]
                    return x * keep
            """,
            calls=("f(torch.ones(2, 5), torch.tensor([5, 3]))", "f(torch.ones(2, 7), torch.tensor([2, 7]))"),
        ),
        Rewrites(
            before="""
                import torch

                def pad_mask(lengths: torch.Tensor, max_len: int = 0) -> torch.Tensor:
                    lengths = lengths.long()
                    max_len = max_len if max_len > 0 else lengths.max().item()
                    return torch.arange(max_len)[None] >= lengths[:, None]

                class Encoder(torch.nn.Module):
                    def forward(self, x, x_lens):
                        h = x + 1.0
                        # nothing behind the end
                        mask = (~pad_mask(x_lens)).to(h)
                        return h * mask

                f = Encoder()
            """,
            after="""
                import torch

                def pad_mask(lengths: torch.Tensor, max_len: int = 0) -> torch.Tensor:
                    lengths = lengths.long()
                    max_len = max_len if max_len > 0 else lengths.max().item()
                    return torch.arange(max_len)[None] >= lengths[:, None]

                class Encoder(torch.nn.Module):
                    def forward(self, x, x_lens):
                        h = x + 1.0
                        # nothing behind the end
                        if torch.compiler.is_compiling():
                            torch._assert_async(x_lens.max() == h.shape[1], "graphfix: x_lens.max() is not h.shape[1]")
                        mask = (~pad_mask(x_lens, max_len=h.shape[1] if torch.compiler.is_compiling() else 0)).to(h)
                        return h * mask

                f = Encoder()
            """,
            calls=("f(torch.ones(2, 5), torch.tensor([5, 3]))", "f(torch.ones(3, 7), torch.tensor([2, 7, 1]))"),
        ),
        Rewrites(
            before="""
                import torch

                class Mask(torch.nn.Module):
                    def forward(self, lens):
                        size = int(torch.max(lens))
                        return torch.arange(size, device=lens.device).unsqueeze(0) < lens.unsqueeze(1)

                class Model(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.mask = Mask()

                    def forward(self, x, n):
                        keep = self.mask(n)
                        return x.masked_fill(~keep.unsqueeze(-1), 0.0)

                f = Model()
            """,
            after="""
                import torch

                class Mask(torch.nn.Module):
                    def forward(self, lens, size=None):
                        size = int(torch.max(lens)) if size is None else size
                        return torch.arange(size, device=lens.device).unsqueeze(0) < lens.unsqueeze(1)

                class Model(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.mask = Mask()

                    def forward(self, x, n):
                        if torch.compiler.is_compiling():
                            torch._assert_async(torch.max(n) == x.shape[1], "graphfix: torch.max(n) is not x.shape[1]")
                        keep = self.mask(n, size=x.shape[1] if torch.compiler.is_compiling() else None)
                        return x.masked_fill(~keep.unsqueeze(-1), 0.0)

                f = Model()
            """,
            calls=("f(torch.ones(2, 5, 3), torch.tensor([5, 3]))", "f(torch.ones(2, 7, 3), torch.tensor([2, 7]))"),
        ),
        Rewrites(
            before="""
                import torch

                def sequence_mask(length, max_length=None):
                    if max_length is None:
                        max_length = length.max()
                    x = torch.arange(max_length, dtype=length.dtype, device=length.device)
                    return x.unsqueeze(0) < length.unsqueeze(1)

                def f(x, n):
                    return (
                        x
                        * sequence_mask(
                            n,  # in frames
                        )
                    ).sum()
            """,
            after="""
                import torch

                def sequence_mask(length, max_length=None):
                    if max_length is None:
                        max_length = length.max()
                    x = torch.arange(max_length, dtype=length.dtype, device=length.device)
                    return x.unsqueeze(0) < length.unsqueeze(1)

                def f(x, n):
                    if torch.compiler.is_compiling():
                        torch._assert_async(n.max() == x.shape[1], "graphfix: n.max() is not x.shape[1]")
                    return (
                        x
                        * sequence_mask(
                            n, max_length=x.shape[1] if torch.compiler.is_compiling() else None,  # in frames
                        )
                    ).sum()
            """,
            calls=("f(torch.ones(2, 5), torch.tensor([5, 3]))", "f(torch.ones(2, 7), torch.tensor([2, 7]))"),
        ),
        Leaves(
            source="""
                import torch

                def f(x, scale):
                    return x.new_full((2, 3), scale.item()) + x
            """,
            calls=("f(torch.ones(2, 3), torch.tensor(3.0))",),
        ),
        Leaves(
            source="""
                import torch

                def f(lengths):
                    return torch.arange(lengths.max().item())
            """,
            calls=("f(torch.tensor([4, 2]))",),
        ),
    )


def _at(site: Site, read: ast.expr, length: ast.expr) -> Iterator[Rewrite | None]:
    """The dimension where a length is read: handed in by the caller, or known there."""
    yield from _handed_in(site, read, length, adding=False)
    yield from _known_here(site, read, length)
    yield from _handed_in(site, read, length, adding=True)


def _returned(site: Site, read: ast.expr) -> tuple[Site, ast.expr, ast.expr] | None:
    """The call of a function that returns the length that it reads, and the length in the caller's words."""
    outer, function = site.around, site.module.function_of(read)
    if outer is None or function is None or not isinstance(outer.node, ast.Call) or not _calls(outer.node, function):
        return None
    around = next((one for one in site.module.parents(read) if not isinstance(one, ast.IfExp)), None)
    given = handed_in(function, outer.node)
    if not isinstance(around, ast.Return) or given is None:
        return None
    words = Translate(site.module, function, given).of(tensor_of(read))
    return (outer, outer.node, words) if words is not None and is_pure(words) else None


def _known_here(site: Site, read: ast.expr, length: ast.expr) -> Iterator[Rewrite | None]:
    """The dimension in place of the read of a length."""
    statement = statement_of(site.module, read)
    if statement is None or isinstance(statement, ast.While):
        return
    tensor = as_tensor_text(length)
    direct = replace(site, dual=False)
    for dimension, besides in candidates(site.module, statement, statement, length):
        if (guard := _guard(site, statement, tensor, dimension, besides)) is None:
            continue
        template = f"{dimension} if {{torch}}.compiler.is_compiling() else {{read}}"
        yield site.together(guard, direct.replace(read, template, read=read))


def _guard(site: Site, statement: ast.stmt, tensor: str, dimension: str, besides: str) -> Rewrite | None:
    """The assertion above the statement, and what it assumes; None where that did not hold on the target's calls."""
    said = f"graphfix: {tensor} is not {dimension}"
    condition = f"{besides} and {tensor} == {dimension}" if besides else f"{tensor} == {dimension}"
    assumption = Assumption(site.module.path, statement.lineno, condition)
    if "{" in tensor or '"' in tensor or not site.may_hold(assumption):
        return None
    guard = site.before(statement, f'{{torch}}._assert_async({tensor} == {dimension}, "{said}")')
    return guard and replace(guard, assumption=assumption)


def _handed_in(site: Site, read: ast.expr, length: ast.expr, adding: bool) -> Iterator[Rewrite | None]:
    """The dimension as an argument of the call that leads here; for a parameter that is new if `adding`."""
    outer, function = site.around, site.module.function_of(read)
    if outer is None or function is None or not isinstance(outer.node, ast.Call) or not _calls(outer.node, function):
        return
    statement, given = statement_of(outer.module, outer.node), handed_in(function, outer.node)
    if given is None or statement is None or isinstance(statement, ast.While):
        return
    known = next(iter(_parameters(site.module, read, function)), None)
    if adding == (known is not None):
        return
    words = Translate(site.module, function, given).of(tensor_of(length))
    parameter, change = (known, Rewrite(())) if known else _new_parameter(site, read, function)
    if words is None or parameter is None or not is_pure(words):
        return
    tensor = as_tensor_text(words)
    for dimension, besides in candidates(outer.module, statement, statement, words):
        if (guard := _guard(replace(outer, dual=True), statement, tensor, dimension, besides)) is None:
            continue
        yield site.together(guard, _with_argument(outer, parameter, given, dimension), change)


def _calls(call: ast.Call, function: Def) -> bool:
    return dotted(call.func).rpartition(".")[2] == function.name or function.name in ("forward", "__call__")


def _parameters(module: Module, read: ast.expr, function: Def) -> Iterator[Parameter]:
    """The optional parameters on which it depends whether the length is read."""
    optional = {one.name: one for one in optional_parameters(function)}
    child: ast.AST = read
    for parent in module.parents(read):
        if parent is function:
            return
        tests: list[ast.AST] = [parent.test] if isinstance(parent, ast.If | ast.IfExp) else []
        if isinstance(parent, ast.BoolOp):
            tests = [value for value in parent.values if value is not child]
        for test in tests:
            for name in ast.walk(test):
                if isinstance(name, ast.Name) and name.id in optional:
                    yield optional[name.id]
        child = parent


def _with_argument(site: Site, parameter: Parameter, given: dict[str, ast.expr], dimension: str) -> Rewrite | None:
    """The call with the dimension for the parameter, where Dynamo compiles."""
    call = site.node
    assert isinstance(call, ast.Call)
    torch = import_name(site.module, call) or "torch"
    value = f"{dimension} if {torch}.compiler.is_compiling() else {ast.unparse(parameter.default)}"
    if (old := given.get(parameter.name)) is not None:
        same = ast.unparse(old) == ast.unparse(parameter.default)
        return replace(site, dual=False).replace(old, value) if same else None
    last = max([*call.args, *(keyword.value for keyword in call.keywords)], key=_end, default=None)
    if last is None or isinstance(last, ast.GeneratorExp):
        return None
    return inserted(site, last, f", {parameter.name}={value}")


def _end(node: ast.expr) -> tuple[int, int]:
    return (node.end_lineno or 0, node.end_col_offset or 0)


def _new_parameter(site: Site, read: ast.expr, function: Def) -> tuple[Parameter | None, Rewrite | None]:
    """An optional parameter for the length, and what it changes in the function."""
    plain = [*function.args.posonlyargs, *function.args.args]
    if not plain or function.args.vararg is not None:
        return None, None
    parent = next(site.module.parents(read), None)
    target = parent.targets[0] if isinstance(parent, ast.Assign) else None
    name = target.id if isinstance(target, ast.Name) else "size"
    taken = {one.id for one in ast.walk(function) if isinstance(one, ast.Name)} if target is None else set()
    if name in taken | {arg.arg for arg in ast.walk(function.args) if isinstance(arg, ast.arg)}:
        return None, None
    last: ast.AST = function.args.defaults[-1] if function.args.defaults else plain[-1]
    direct = replace(site, dual=False)
    signature = inserted(direct, last, f", {name}=None")
    body = direct.replace(read, f"{{read}} if {name} is None else {name}", read=read)
    return Parameter(name, None, ast.Constant(None)), site.together(signature, body)
