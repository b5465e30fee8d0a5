"""GF116: `x[start : start + n]` with a start that is read out of a tensor."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module
from graphfix.source.values import Kind

from ._condition import Build
from ._match import is_named, is_pure, only_value
from ._numbers import Numbers, index_text, statement_of
from ._reads import read_at
from ._windows import are_plain, dim_of


class WindowOfKnownLength(Rule):
    """What it does:
        Indexes by the places of a window, where a slice began at a number that is read out of a tensor, or at a tensor,
        and is as long as a number that Python knows.

    Why it breaks the graph:
        The read ends the graph (GB0124), and a slice between two unknown bounds has an unknown length. The places are a
        tensor of known length.

    Example:
        start = int(position[0])
        end = start + length
        cos = table[start:end]

        start = position[0].long()
        end = start + length
        cos = table[start + torch.arange(length, device=start.device)]

    Safety:
        Proven. The same elements are read or written. What is read is a copy, no view: a run must show that nobody
        writes through it. A slice is cut short at the end and a negative start counts from there, which places are not:
        an assert on the device refuses both.
    """

    code, name = "GF116", "window-of-known-length"
    title = "index by the places of a window"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0124", "GB0033"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module, read = site.module, read_at(site.module, site.node)
        statement = site.enclosing(ast.Assign)
        if read is not None and (statement is None or statement.value is not read.node):
            return None
        start = _only_name(statement) if read is not None and statement is not None else _begun(module, site.node)
        windows = _windows(module, site.node, start, alone=read is not None) if start else None
        if not windows:
            return None
        changes: list[Rewrite | None] = []
        if read is not None:
            numbers = Numbers(module, (read.node,))
            changes = [site.replace(read.node, numbers.template(read.node), **numbers.parts)]
        by_statement: dict[ast.stmt | None, list[_Window]] = {}
        for window in windows:
            by_statement.setdefault(statement_of(module, window.place), []).append(window)
        for holder, together in by_statement.items():
            changes.append(_changed(site, holder, start, together))
        return site.together(*changes)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x, table, position):
                    length = x.shape[0]
                    start = position[0].item()
                    end = start + length
                    # the rows of these positions
                    return x * table[start:end] + table[..., start:end, 0].sum()
            """,
            after="""
                import torch

                def f(x, table, position):
                    length = x.shape[0]
                    start = position[0].detach().reshape(())
                    end = start + length
                    # the rows of these positions
                    torch._assert_async(
                        (start >= 0) & (start + length <= table.shape[0]) & (start + length <= table.shape[-2]),
                        "graphfix: table[start:end] does not lie inside",
                    )
                    return x * table[start + torch.arange(length, device=start.device)] + table[..., start + torch.arange(length, device=start.device), 0].sum()
            """,  # noqa: E501
            calls=(
                "f(torch.ones(3, 2), torch.arange(20.0).reshape(10, 2), torch.tensor([4, 5, 6]))",
                "f(torch.ones(2, 2), torch.arange(12.0).reshape(6, 2), torch.tensor([0, 1]))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                class Cache(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("keys", torch.zeros(2, 8, 3))

                    def forward(self, key: torch.Tensor, offset: torch.Tensor):
                        keys = self.keys.clone()
                        at = int(offset)
                        keys[:, at : at + key.shape[1], :] = key
                        return keys

                f = Cache()
            """,
            after="""
                import torch

                class Cache(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("keys", torch.zeros(2, 8, 3))

                    def forward(self, key: torch.Tensor, offset: torch.Tensor):
                        keys = self.keys.clone()
                        at = offset.reshape(()).long()
                        torch._assert_async(
                            (at >= 0) & (at + key.shape[1] <= keys.shape[1]),
                            "graphfix: keys[:, at:at + key.shape[1], :] does not lie inside",
                        )
                        keys[:, at + torch.arange(key.shape[1], device=at.device), :] = key
                        return keys

                f = Cache()
            """,
            calls=(
                "f(torch.ones(2, 3, 3), torch.tensor(2))",
                "f(torch.ones(2, 1, 3), torch.tensor(7))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, starts, size: int = 2):
                    segments = torch.zeros_like(x[:, :, :size])
                    for i in range(x.size(0)):
                        start = starts[i]
                        end = start + size
                        segments[i] = x[i, :, start:end]
                    return segments
            """,
            after="""
                import torch

                def f(x, starts, size: int = 2):
                    segments = torch.zeros_like(x[:, :, :size])
                    for i in range(x.size(0)):
                        start = starts[i]
                        end = start + size
                        torch._assert_async(
                            (start >= 0) & (start + size <= x.shape[2]),
                            "graphfix: x[i, :, start:end] does not lie inside",
                        )
                        segments[i] = x[i, :, start + torch.arange(size, device=start.device)]
                    return segments
            """,
            calls=(
                "f(torch.arange(24.0).reshape(2, 3, 4), torch.tensor([0, 2]))",
                "f(torch.arange(10.0).reshape(1, 2, 5), torch.tensor([3]))",
            ),
        ),
        Leaves(
            source="""
                def f(x, n):
                    end = n.item()
                    return x[:end].sum(), x[1:end] * 2
            """,
            calls=("f(torch.ones(5), torch.tensor(3))",),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Window:
    """`place` is the subscript, `part` the slice in it that begins at the number, `length` how long that is."""

    place: ast.Subscript
    part: ast.Slice
    length: ast.expr

    @property
    def parts(self) -> list[ast.expr]:
        """All parts of the index."""
        index = self.place.slice
        return list(index.elts) if isinstance(index, ast.Tuple) else [index]


_Change = tuple[ast.Subscript, str, dict[str, ast.AST]]


def _only_name(statement: ast.Assign) -> str:
    target = statement.targets[0]
    return target.id if len(statement.targets) == 1 and isinstance(target, ast.Name) else ""


def _begun(module: Module, node: ast.AST) -> str:
    """The name of the tensor at which the slice that Dynamo names begins, where it is bound once."""
    place = next((one for one in (node, *module.parents(node)) if isinstance(one, ast.Subscript)), node)
    lower = next((part.lower for part in _slices(place) if part.upper is not None), None)
    function = module.function_of(node)
    if not isinstance(lower, ast.Name) or function is None:
        return ""
    names = (one for one in ast.walk(function) if isinstance(one, ast.Name) and one.id == lower.id)
    return lower.id if sum(isinstance(one.ctx, ast.Store) for one in names) == 1 else ""


def _windows(module: Module, at: ast.AST, start: str, alone: bool) -> list[_Window] | None:
    """The windows that begin at the name; None where something else uses it, or the name of an end, and the windows
    must be `alone`: what uses a number may not be able to use a tensor."""
    function = module.function_of(at)
    if function is None:
        return None
    found, accounted = list[_Window](), set[ast.AST]()
    for place in ast.walk(function):
        for part in _slices(place):
            sum_ = only_value(module, part.upper) if isinstance(part.upper, ast.Name) else part.upper
            if not is_named(part.lower, start) or (length := _added(sum_, start)) is None:
                continue
            assert isinstance(place, ast.Subscript)
            window = _Window(place, part, length)
            others = [one for one in window.parts if one is not part]
            if part.step is not None or not is_pure(place.value) or not are_plain(module, others):
                return None
            found.append(window)
            accounted |= {part.lower, part.upper, *ast.walk(sum_)} if part.lower and part.upper and sum_ else set()
    names = {start} | {window.part.upper.id for window in found if isinstance(window.part.upper, ast.Name)}
    if not alone:
        return found
    uses = {one for one in ast.walk(function) if isinstance(one, ast.Name) and one.id in names}
    return found if uses - accounted == {one for one in uses if isinstance(one.ctx, ast.Store)} else None


def _slices(place: ast.AST) -> list[ast.Slice]:
    if not isinstance(place, ast.Subscript):
        return []
    parts = place.slice.elts if isinstance(place.slice, ast.Tuple) else [place.slice]
    return [part for part in parts if isinstance(part, ast.Slice)]


def _added(node: ast.expr | None, start: str) -> ast.expr | None:
    """`n` of `start + n`."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add):
        return None
    if is_named(node.left, start) == is_named(node.right, start):
        return None
    return node.right if is_named(node.left, start) else node.left


def _changed(site: Site, statement: ast.stmt | None, start: str, windows: Sequence[_Window]) -> Rewrite | None:
    """The windows of one statement, and above it the assertion that they lie inside."""
    kinds = {site.module.analysis.value(window.length).kind for window in windows}
    if statement is None or Kind.TENSOR in kinds:
        return None
    given: dict[str, ast.AST] = {}
    inside: dict[str, None] = {}
    changes = list[_Change]()
    for number, window in enumerate(windows):
        given |= {f"x{number}": window.place.value, f"n{number}": window.length}
        size = f"{{x{number}}}.shape[{dim_of(window.parts, window.part)}]"
        inside[f"({start} + {{n{number}}} <= {size})"] = None
        parts: dict[str, ast.AST] = {"x": window.place.value, "n": window.length}
        places = f"{start} + {{torch}}.arange({{n}}, device={start}.device)"
        shown = [places if part is window.part else index_text(part, parts) for part in window.parts]
        changes.append((window.place, f"{{x}}[{', '.join(shown)}]", parts))
    build = Build(site.module, site.node, dict(given))
    held, said = " & ".join([f"({start} >= 0)", *inside]), ast.unparse(windows[0].place)
    assertion = build.wrapped(f'{{torch}}._assert_async({held}, "graphfix: {said} does not lie inside")')
    return site.together(site.before(statement, assertion, **given), _replaced(site, statement, changes))


def _replaced(site: Site, statement: ast.stmt, changes: Sequence[_Change]) -> Rewrite | None:
    """The changes made; a statement that stores into a window is one change, for the dual form."""
    if all(isinstance(place.ctx, ast.Load) for place, *_ in changes):
        return site.replace_each(changes)
    (place, template, parts), *more = changes
    if more or not isinstance(statement, ast.Assign) or statement.targets != [place]:
        return None
    return site.replace(statement, f"{template} = {{value}}\n", value=statement.value, **parts)
