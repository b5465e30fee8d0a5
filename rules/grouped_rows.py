"""GF417: rows that are sorted by group, and a loop that hands each group's slice to a function of its own."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module
from graphfix.source.text import LITERAL, literal

from ._arms import is_live_behind, is_new
from ._match import is_for_compiled, last_value
from ._reads import MOVES

_ADDS = frozenset({"index_add_", "scatter_add_", "scatter_reduce_"})
"""Methods in place that add the rows of their last argument to others."""


class GroupedRows(Rule):
    """What it does:
        Lets the function of every group compute all rows where Dynamo compiles, and takes from each result the rows
        that the group's slice has: the sorted dispatch of a mixture of experts.

    Why it breaks the graph:
        How many rows each group has is known at run time only: Dynamo ends the graph where the counts go to the host
        (GB0033, GB0124) or are asked about (GB0170).

    Example:
        start = 0
        for expert, count in enumerate(counts.tolist()):
            end = start + count
            outputs.append(experts[expert](rows[start:end]))
            start = end

        if torch.compiler.is_compiling():
            place, gathered = torch.arange(len(rows), device=rows.device), 0
            for expert, count in enumerate(counts):
                end = start + count
                inside = (place >= start) & (place < end)
                gathered = gathered + torch.where(inside[:, None], experts[expert](rows), 0)
                start = end
            outputs.append(gathered)
        else:
            ...

    Safety:
        Eager keeps its loop. What it costs: each group's function computes all rows, so as many times the work as there
        are groups; that pays where there are few rows, as in decoding. Right only where each row stands for itself; a
        run must show that. The slices must hold every row once where results are appended.
    """

    code, name = "GF417", "grouped-rows"
    title = "let every group compute all rows, and keep its own"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170", "GB0033", "GB0124", "GB0036", "GB0109"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        loop = _loop_of(site) if site.dual else None
        if loop is None or loop.orelse or (bounds := _bounds(loop)) is None:
            return None
        counts = _counts_of(site.module, loop)
        try:
            lines = _Loop(site.module, loop, *bounds).lines()
        except _OtherPattern:
            return None
        text = "\n".join(lines)
        if "{" in text.replace("{torch}", "").replace("{" + LITERAL, ""):
            return None
        changed = site.replace(loop, text)
        if counts is None:
            return changed
        kept = literal(ast.unparse(_on_device(counts)))
        template = f"{kept} if {{torch}}.compiler.is_compiling() else {{counts}}"
        return site.together(replace(site, dual=False).replace(counts, template, counts=counts), changed)

    cases = (
        Rewrites(
            before="""
                import torch

                class MoE(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.experts = torch.nn.ModuleList(torch.nn.Linear(3, 3) for _ in range(4))

                    @torch.no_grad()
                    def forward(self, x, picked, weight):
                        hits = picked.new_zeros((picked.shape[0], len(self.experts)))
                        hits.scatter_(1, picked, 1)
                        per_expert = hits.sum(dim=0)
                        order = picked.view(-1).argsort()
                        tokens = x[order // picked.shape[1]]
                        per_expert = per_expert.cpu().numpy()
                        outputs = []
                        start = 0
                        for number, count in enumerate(per_expert):
                            end = start + count
                            if count == 0:
                                continue
                            expert = self.experts[number]
                            outputs.append(expert(tokens[start:end]))  # its own
                            start = end
                        said = torch.cat(outputs, dim=0) if len(outputs) else tokens.new_empty(0)
                        back = torch.empty_like(said)
                        back[order] = said
                        return (back.view(*picked.shape, -1) * weight.unsqueeze(-1)).sum(1)

                torch.manual_seed(0)
                f = MoE()
            """,
            after="""
                import torch

                class MoE(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.experts = torch.nn.ModuleList(torch.nn.Linear(3, 3) for _ in range(4))

                    @torch.no_grad()
                    def forward(self, x, picked, weight):
                        hits = picked.new_zeros((picked.shape[0], len(self.experts)))
                        hits.scatter_(1, picked, 1)
                        per_expert = hits.sum(dim=0)
                        order = picked.view(-1).argsort()
                        tokens = x[order // picked.shape[1]]
                        per_expert = per_expert if torch.compiler.is_compiling() else per_expert.cpu().numpy()
                        outputs = []
                        start = 0
                        if torch.compiler.is_compiling():
                            place, gathered = torch.arange(len(tokens), device=tokens.device), 0
                            for number, count in enumerate(per_expert):
                                end = start + count
                                expert = self.experts[number]
                                inside = (place >= start) & (place < end)
                                gathered = gathered + torch.where(inside[:, None], expert(tokens), 0)
                                start = end
                            outputs.append(gathered)
                        else:
                            for number, count in enumerate(per_expert):
                                end = start + count
                                if count == 0:
                                    continue
                                expert = self.experts[number]
                                outputs.append(expert(tokens[start:end]))  # its own
                                start = end
                        said = torch.cat(outputs, dim=0) if len(outputs) else tokens.new_empty(0)
                        back = torch.empty_like(said)
                        back[order] = said
                        return (back.view(*picked.shape, -1) * weight.unsqueeze(-1)).sum(1)

                torch.manual_seed(0)
                f = MoE()
            """,
            calls=(
                "f(torch.rand(5, 3), torch.tensor([[0, 1], [3, 1], [0, 3], [1, 0], [3, 0]]), torch.rand(5, 2))",
                "f(torch.rand(1, 3), torch.tensor([[2, 1]]), torch.rand(1, 2))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(rows, counts: torch.Tensor, scales, out):
                    out = out.clone()
                    ends = counts.cumsum(0)
                    for k, end in enumerate(ends.tolist()):
                        start = 0 if k == 0 else ends[k - 1]
                        if start == end:
                            continue
                        some = rows[start:end] * scales[k]
                        out[start:end] = some + 1
                    return out
            """,
            after="""
                import torch

                def f(rows, counts: torch.Tensor, scales, out):
                    out = out.clone()
                    ends = counts.cumsum(0)
                    if torch.compiler.is_compiling():
                        place = torch.arange(len(rows), device=rows.device)
                        for k, end in enumerate(ends):
                            start = 0 if k == 0 else ends[k - 1]
                            inside = (place >= start) & (place < end)
                            some = rows * scales[k]
                            out.copy_(torch.where(inside[:, None], some + 1, out))
                    else:
                        for k, end in enumerate(ends.tolist()):
                            start = 0 if k == 0 else ends[k - 1]
                            if start == end:
                                continue
                            some = rows[start:end] * scales[k]
                            out[start:end] = some + 1
                    return out
            """,
            calls=(
                "f(torch.ones(5, 2), torch.tensor([2, 0, 2]), [1.0, 2.0, 3.0], torch.zeros(5, 2))",
                "f(torch.ones(3, 2), torch.tensor([0, 1, 2]), [1.0, 2.0, 3.0], torch.zeros(3, 2))",
            ),
        ),
        Leaves(
            source="""
                def f(rows, counts, out):
                    start = 0
                    for group, count in enumerate(counts.tolist()):
                        end = start + count
                        if group == 0:
                            continue
                        out[start:end] = rows[start:end] * 2
                        start = end
                    return out
            """,
            calls=("f(torch.ones(5, 2), torch.tensor([0, 5]), torch.zeros(5, 2))",),
        ),
        Leaves(
            source="""
                def f(rows, counts):
                    start = 0
                    found = []
                    for count in counts.tolist():
                        found.append(rows[start : start + count].sum(0))
                        start = start + count
                    return found, count
            """,
            calls=("f(torch.ones(5, 2), torch.tensor([2, 3]))",),
        ),
        Leaves(
            source="""
                import torch

                def f(rows, counts):
                    start = 0
                    for count in counts.tolist():
                        end = start + count
                        rows = torch.cat([rows[start:end], rows])
                        start = end
                    return rows
            """,
            calls=("f(torch.ones(5, 2), torch.tensor([2, 3]))",),
        ),
    )


class _OtherPattern(Exception):
    """The loop does something else."""


def _loop_of(site: Site) -> ast.For | None:
    """The loop around the site, or the next one over what the statement around it assigns."""
    if (loop := site.enclosing(ast.For)) is not None:
        return loop
    statement, function = site.enclosing(ast.Assign), site.module.function_of(site.node)
    if statement is None or function is None or not isinstance(statement.targets[0], ast.Name):
        return None
    name = statement.targets[0].id
    loops = (node for node in ast.walk(function) if isinstance(node, ast.For) and node.lineno > statement.lineno)
    return next((loop for loop in loops if any(_is_name(part, name) for part in ast.walk(loop.iter))), None)


def _bounds(loop: ast.For) -> tuple[str, str] | None:
    """The two names between which all slices of the loop are."""
    slices = [node.slice for node in ast.walk(loop) if isinstance(node, ast.Subscript) and _is_slice(node)]
    found = {(ast.unparse(one.lower), ast.unparse(one.upper)) for one in slices}  # type: ignore[attr-defined]
    return next(iter(found)) if len(found) == 1 else None


def _is_slice(node: ast.Subscript) -> bool:
    """`x[a:b]`, a and b names."""
    at = node.slice
    if not isinstance(at, ast.Slice) or at.step is not None:
        return False
    return isinstance(at.lower, ast.Name) and isinstance(at.upper, ast.Name)


def _counts_of(module: Module, loop: ast.For) -> ast.expr | None:
    """Where what the loop runs over was moved to the host before it; None where it was not."""
    names = [part for part in ast.walk(loop.iter) if isinstance(part, ast.Name)]
    values = [value for name in names if (value := last_value(module, name)) is not None]
    moved = [value for value in values if ast.unparse(_on_device(value)) != ast.unparse(value)]
    return moved[0] if len(moved) == 1 else None


def _on_device(node: ast.expr) -> ast.expr:
    """The expression as compiled code has it, without the methods that move a tensor to the host."""

    class Stays(ast.NodeTransformer):
        def visit_IfExp(self, choice: ast.IfExp) -> ast.AST:
            return self.visit(choice.body) if is_for_compiled(choice) else self.generic_visit(choice)

        def visit_Call(self, call: ast.Call) -> ast.AST:
            made = self.generic_visit(call)
            moves = isinstance(call.func, ast.Attribute) and call.func.attr in MOVES and not call.args
            return call.func.value if moves and isinstance(call.func, ast.Attribute) else made

    found: ast.expr = Stays().visit(copy.deepcopy(node))
    return found


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


@dataclass
class _Loop:
    """The loop as compiled code runs it, made line by line."""

    module: Module
    loop: ast.For
    start: str
    end: str
    of: str = ""
    """What is sliced first: it tells how many rows there are."""
    lists: list[str] = field(default_factory=list)
    written: bool = False

    def lines(self) -> list[str]:
        body = list(self._block(self.loop.body))
        if not self.of or not self.written:
            raise _OtherPattern
        self._check_names()
        place = f"{{torch}}.arange(len({self.of}), device={self.of}.device)"
        first = f"place, gathered = {place}, 0" if self.lists else f"place = {place}"
        over = literal(ast.unparse(_on_device(self.loop.iter)))
        target = ast.unparse(self.loop.target).removeprefix("(").removesuffix(")")
        ends = [f"{name}.append(gathered)" for name in self.lists]
        return [first, f"for {target} in {over}:", *(f"    {line}" for line in body), *ends]

    def _check_names(self) -> None:
        """Names that hold all rows now must not be read behind the loop, nor ours be anybody else's."""
        function = self.module.function_of(self.loop)
        names = {part.id for part in ast.walk(function) if isinstance(part, ast.Name)} if function else set[str]()
        inside = set(ast.walk(self.loop))
        bound = {part.id for part in inside if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
        if names & {"place", "inside", "gathered"} or len(self.lists) > 1:
            raise _OtherPattern
        if any(is_live_behind(self.module, self.loop, inside, name) for name in bound):
            raise _OtherPattern
        targets = {part.id for part in ast.walk(self.loop.target) if isinstance(part, ast.Name)}
        kept = bound - targets - {self.start, self.end}
        if not all(is_new(name, self.loop.body) for name in kept):  # a round that is left out would not change it
            raise _OtherPattern

    def _block(self, block: Sequence[ast.stmt]) -> Iterator[str]:
        asked = False
        for node in block:
            if isinstance(node, ast.If) and self._asks_for_rows(node):
                continue
            if not asked and any(isinstance(part, ast.Subscript) and _is_slice(part) for part in ast.walk(node)):
                asked = True
                yield f"inside = (place >= {self.start}) & (place < {self.end})"
            yield self._statement(node)

    def _asks_for_rows(self, node: ast.If) -> bool:
        """`if count == 0: continue`, `if start == end: continue`: of the group's own rows, not of which group it is."""
        test = node.test
        skips = len(node.body) == 1 and isinstance(node.body[0], ast.Continue) and not node.orelse
        if not skips or not isinstance(test, ast.Compare) or not isinstance(test.ops[0], ast.Eq | ast.LtE | ast.GtE):
            return False
        ends = [part for part in self.loop.body if isinstance(part, ast.Assign) and _is_name(part.targets[0], self.end)]
        counts = {part.id for end in ends for part in ast.walk(end.value) if isinstance(part, ast.Name)} - {self.start}
        sides = {ast.unparse(test.left), *map(ast.unparse, test.comparators)}
        return sides == {self.start, self.end} or any(sides == {count, "0"} for count in counts)

    def _statement(self, node: ast.stmt) -> str:
        call = node.value if isinstance(node, ast.Expr) else None
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            return self._assigned(node.targets[0], node.value)
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            return self._text(node)
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and self._sliced(node.target):
            self.written = True
            return f"{self._text(node.target)}.add_({self._masked(node.value)})"
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.keywords[1:]:
            raise _OtherPattern
        owner, method = call.func.value, call.func.attr
        if method == "append" and isinstance(owner, ast.Name) and len(call.args) == 1 and not call.keywords:
            self.written = True
            self.lists += [owner.id] if owner.id not in self.lists else []
            return f"gathered = gathered + {self._masked(call.args[0])}"
        if (
            method in _ADDS
            and len(call.args) == 3
            and [ast.unparse(one) for one in call.keywords]
            in (["reduce='sum'"] if method == "scatter_reduce_" else [],)
        ):
            self.written = True
            more = ", reduce='sum'" if call.keywords else ""
            given = ", ".join(map(self._text, call.args[:2]))
            return f"{self._text(owner)}.{method}({given}, {self._masked(call.args[2])}{more})"
        if method.endswith("_") and isinstance(owner, ast.Name) and self._is_own(owner.id):
            return self._text(node)
        raise _OtherPattern

    def _assigned(self, target: ast.expr, value: ast.expr) -> str:
        if self._sliced(target):
            self.written = True
            to = self._text(target)
            return f"{to}.copy_({{torch}}.where(inside[:, None], {self._text(value)}, {to}))"
        if any(isinstance(part, ast.Subscript | ast.Attribute) for part in ast.walk(target)):
            raise _OtherPattern
        return f"{ast.unparse(target).removeprefix('(').removesuffix(')')} = {self._text(value)}"

    def _masked(self, value: ast.expr) -> str:
        return f"{{torch}}.where(inside[:, None], {self._text(value)}, 0)"

    def _is_own(self, name: str) -> bool:
        """Whether a name is given its value within the loop."""
        return any(_is_name(part, name) and isinstance(part.ctx, ast.Store) for part in ast.walk(self.loop))  # type: ignore[attr-defined]

    def _sliced(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Subscript) and _is_slice(node)

    def _text(self, node: ast.AST) -> str:
        """The text of code with all rows for those of a slice."""
        owner = self

        class Whole(ast.NodeTransformer):
            def visit_Subscript(self, part: ast.Subscript) -> ast.AST:
                made = self.generic_visit(part)
                if not _is_slice(part):
                    return made
                owner.of = owner.of or ast.unparse(part.value)
                return part.value

        return literal(ast.unparse(Whole().visit(copy.deepcopy(node))))
