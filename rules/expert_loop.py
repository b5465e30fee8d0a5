"""GF406: a loop over experts that picks out the tokens of each."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module
from graphfix.source.text import LITERAL, literal

from ._masks import gives_tuple, mask_of_places
from ._match import dotted, is_pure, only_value


class ExpertLoop(Rule):
    """What it does:
        Lets every expert of a mixture see all tokens where Dynamo compiles, and adds up what it says of its own ones,
        instead of picking these out. A loop over the experts that were hit becomes one over all experts.

    Why it breaks the graph:
        Which experts are hit, and how many tokens each gets, is known at run time only (GB0036, GB0170).

    Example:
        for expert in range(count):
            place, token = torch.where(mask[expert])
            out.index_add_(0, token, layers[expert](x[token]) * weights[token, place, None])

        if torch.compiler.is_compiling():
            for expert in range(count):
                chosen = mask[expert].T.bool()
                rows = chosen.any(1, keepdim=True)
                out.add_(torch.where(rows, layers[expert](x) * torch.where(chosen, weights, 0).sum(1, keepdim=True), 0))
        else:
            ...

    Safety:
        Eager keeps its loop. What it costs: compiled code computes all experts for all tokens, with 8 experts of which
        each token takes 2 four times the multiplications; one graph, no waits and full batches pay for that where
        batches or experts are small, as in decoding, and not where they are large. Right only where an expert treats
        each token for itself; a run must show that.
    """

    code, name = "GF406", "expert-loop"
    title = "let all experts see all tokens, and mask what they say"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0036", "GB0170", "GB0033", "GB0124", "GB0219"})
    dual = True

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        loop = (site.enclosing(ast.For) or _loop_over(site)) if site.dual else None
        if loop is None or loop.orelse:
            return
        hits = _hits(site.module, loop)
        texts: list[str] = []
        for deep in (False, True):
            try:
                text = "\n".join(_Loop(site.module, loop, hits, deep).lines())
            except _OtherPattern:
                return
            if text not in texts and "{" not in text.replace("{torch}", "").replace("{" + LITERAL, ""):
                texts.append(text)
                yield _rewritten(site, loop, hits, text)

    cases = (
        Rewrites(
            before="""
                import torch

                class Experts(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.count = 4
                        self.layers = torch.nn.ModuleList(torch.nn.Linear(3, 3) for _ in range(4))

                    def forward(self, x, picked, weights):
                        out = torch.zeros_like(x)
                        mask = torch.nn.functional.one_hot(picked, num_classes=self.count).permute(2, 1, 0)
                        for expert in range(self.count):
                            place, token = torch.where(mask[expert])
                            # only the tokens of this expert
                            said = self.layers[expert](x[token]) * weights[token, place, None]
                            out.index_add_(0, token, said.to(x.dtype))
                        return out

                f = Experts()
            """,
            after="""
                import torch

                class Experts(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.count = 4
                        self.layers = torch.nn.ModuleList(torch.nn.Linear(3, 3) for _ in range(4))

                    def forward(self, x, picked, weights):
                        out = torch.zeros_like(x)
                        mask = torch.nn.functional.one_hot(picked, num_classes=self.count).permute(2, 1, 0)
                        if torch.compiler.is_compiling():
                            for expert in range(self.count):
                                chosen = mask[expert].T.bool()
                                rows = chosen.any(1, keepdim=True)
                                said = self.layers[expert](x) * torch.where(chosen, weights, 0).sum(1, keepdim=True)
                                out.add_(torch.where(rows, said.to(x.dtype), 0))
                        else:
                            for expert in range(self.count):
                                place, token = torch.where(mask[expert])
                                # only the tokens of this expert
                                said = self.layers[expert](x[token]) * weights[token, place, None]
                                out.index_add_(0, token, said.to(x.dtype))
                        return out

                f = Experts()
            """,
            calls=(
                "f(torch.ones(5, 3), torch.tensor([[0, 1], [1, 3], [0, 3], [3, 1], [0, 1]]), torch.rand(5, 2))",
                "f(torch.ones(2, 3), torch.tensor([[2, 1], [1, 2]]), torch.rand(2, 2))",
            ),
        ),
        Rewrites(
            before="""
                import torch
                import torch.nn.functional as F

                class Experts(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.up = torch.nn.Parameter(torch.rand(4, 3, 3))

                    def forward(self, x, picked, weights):
                        out = torch.zeros_like(x)
                        with torch.no_grad():
                            mask = torch.nn.functional.one_hot(picked, num_classes=4).permute(2, 1, 0)
                            hit = torch.greater(mask.sum(dim=(-1, -2)), 0).nonzero()
                        for e in hit:
                            e = e[0]
                            if e == 4:
                                continue
                            at, row = torch.where(mask[e])
                            y = F.linear(x[row], self.up[e]) * weights[row, at, None]
                            out.index_add_(0, row, y)
                        return out

                f = Experts()
            """,
            after="""
                import torch
                import torch.nn.functional as F

                class Experts(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.up = torch.nn.Parameter(torch.rand(4, 3, 3))

                    def forward(self, x, picked, weights):
                        out = torch.zeros_like(x)
                        with torch.no_grad():
                            mask = torch.nn.functional.one_hot(picked, num_classes=4).permute(2, 1, 0)
                            hit = (
                                range(mask.shape[0])
                                if torch.compiler.is_compiling()
                                else torch.greater(mask.sum(dim=(-1, -2)), 0).nonzero()
                            )
                        if torch.compiler.is_compiling():
                            for e in hit:
                                chosen = mask[e].T.bool()
                                rows = chosen.any(1, keepdim=True)
                                y = F.linear(x, self.up[e]) * torch.where(chosen, weights, 0).sum(1, keepdim=True)
                                out.add_(torch.where(rows, y, 0))
                        else:
                            for e in hit:
                                e = e[0]
                                if e == 4:
                                    continue
                                at, row = torch.where(mask[e])
                                y = F.linear(x[row], self.up[e]) * weights[row, at, None]
                                out.index_add_(0, row, y)
                        return out

                f = Experts()
            """,
            calls=(
                "f(torch.ones(5, 3), torch.tensor([[0, 1], [1, 3], [0, 3], [3, 1], [0, 1]]), torch.rand(5, 2))",
                "f(torch.ones(2, 3), torch.tensor([[2, 1], [1, 2]]), torch.rand(2, 2))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                class Routed(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.experts = torch.nn.ModuleList(torch.nn.Linear(3, 3) for _ in range(3))

                    def forward(self, x, indices, w):
                        out = torch.zeros_like(x)
                        for number, layer in enumerate(self.experts):
                            row, column = (indices == number).nonzero(as_tuple=True)
                            if row.numel() == 0:
                                continue
                            out[row] += layer(x[row]) * w[row, column].unsqueeze(-1)
                        return out

                f = Routed()
            """,
            after="""
                import torch

                class Routed(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.experts = torch.nn.ModuleList(torch.nn.Linear(3, 3) for _ in range(3))

                    def forward(self, x, indices, w):
                        out = torch.zeros_like(x)
                        if torch.compiler.is_compiling():
                            for number, layer in enumerate(self.experts):
                                chosen = (indices == number).bool()
                                rows = chosen.any(1, keepdim=True)
                                out.add_(torch.where(rows, layer(x) * torch.where(chosen, w, 0).sum(1).unsqueeze(-1), 0))
                        else:
                            for number, layer in enumerate(self.experts):
                                row, column = (indices == number).nonzero(as_tuple=True)
                                if row.numel() == 0:
                                    continue
                                out[row] += layer(x[row]) * w[row, column].unsqueeze(-1)
                        return out

                f = Routed()
            """,  # noqa: E501
            calls=("f(torch.ones(3, 3), torch.tensor([[0, 1], [1, 2], [0, 1]]), torch.rand(3, 2))",),
        ),
        Rewrites(
            before="""
                import torch

                class Experts(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        layers = {f"expert_{n}": torch.nn.ReLU() if n % 2 else torch.nn.Tanh() for n in range(4)}
                        self.layers = torch.nn.ModuleDict(layers)

                    def forward(self, x, picked):
                        out = torch.zeros_like(x)
                        mask = torch.nn.functional.one_hot(picked, num_classes=4).permute(2, 1, 0)
                        hit = torch.greater(mask.sum(dim=(-1, -2)), 0).nonzero()
                        for number in hit:
                            _, token = torch.where(mask[number].squeeze(0))
                            said = self.layers[f"expert_{number[0]}"](x[None, token].reshape(-1, x.shape[-1]))
                            out.index_add_(0, token, said)
                        return out

                f = Experts()
            """,
            after="""
                import torch

                class Experts(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        layers = {f"expert_{n}": torch.nn.ReLU() if n % 2 else torch.nn.Tanh() for n in range(4)}
                        self.layers = torch.nn.ModuleDict(layers)

                    def forward(self, x, picked):
                        out = torch.zeros_like(x)
                        mask = torch.nn.functional.one_hot(picked, num_classes=4).permute(2, 1, 0)
                        hit = (
                            range(mask.shape[0])
                            if torch.compiler.is_compiling()
                            else torch.greater(mask.sum(dim=(-1, -2)), 0).nonzero()
                        )
                        if torch.compiler.is_compiling():
                            for number in hit:
                                chosen = mask[number].T.bool()
                                rows = chosen.any(1, keepdim=True)
                                said = self.layers[f'expert_{number}'](x[None, :].reshape(-1, x.shape[-1]))
                                out.add_(torch.where(rows, said, 0))
                        else:
                            for number in hit:
                                _, token = torch.where(mask[number].squeeze(0))
                                said = self.layers[f"expert_{number[0]}"](x[None, token].reshape(-1, x.shape[-1]))
                                out.index_add_(0, token, said)
                        return out

                f = Experts()
            """,
            calls=(
                "f(torch.rand(3, 2), torch.tensor([[0], [1], [0]]))",
                "f(torch.rand(2, 3), torch.tensor([[2], [3]]))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def pooled(levels, boxes, maps):
                    out = torch.zeros(len(boxes), 2, 2)
                    for level, scale in enumerate(maps):
                        at = torch.where(levels == level)[0]
                        if at.numel() == 0:
                            continue
                        some = boxes[at] * scale
                        out[at] = some[:, :, None] * some[:, None, :]
                    return out
            """,
            after="""
                import torch

                def pooled(levels, boxes, maps):
                    out = torch.zeros(len(boxes), 2, 2)
                    if torch.compiler.is_compiling():
                        for level, scale in enumerate(maps):
                            chosen = (levels == level).bool()
                            rows = chosen[(..., *(None,) * (out.dim() - 1))]
                            some = boxes * scale
                            out.copy_(torch.where(rows, some[:, :, None] * some[:, None, :], out))
                    else:
                        for level, scale in enumerate(maps):
                            at = torch.where(levels == level)[0]
                            if at.numel() == 0:
                                continue
                            some = boxes[at] * scale
                            out[at] = some[:, :, None] * some[:, None, :]
                    return out
            """,
            calls=(
                "pooled(torch.tensor([0, 1, 0]), torch.ones(3, 2), [0.5, 2.0])",
                "pooled(torch.zeros(4), torch.ones(4, 2), [0.5, 2.0])",
            ),
        ),
        Leaves(
            source="""
                import torch

                def f(x, mask):
                    found = []
                    for one in range(2):
                        place, token = torch.where(mask[one])
                        found.append(x[token].sum() + token.sum())
                    return torch.stack(found)
            """,
            calls=("f(torch.ones(3, 2), torch.eye(3)[None].repeat(2, 1, 1))",),
        ),
        Leaves(
            source="""
                def f(x):
                    total = x.sum()
                    for row in x.nonzero():
                        total = total + row.sum()
                    return total
            """,
            calls=("f(torch.ones(3))",),
        ),
    )


class _OtherPattern(Exception):
    """The loop does something else."""


@dataclass(frozen=True, slots=True)
class _Hits:
    """What a loop over experts that were hit runs over: its assignment, if it has one, and all of them instead."""

    assigned: ast.expr | None
    all: str


def _loop_over(site: Site) -> ast.For | None:
    """The loop over what the statement around the site assigns."""
    statement, function = site.enclosing(ast.Assign), site.module.function_of(site.node)
    if statement is None or function is None or not isinstance(statement.targets[0], ast.Name):
        return None
    name = statement.targets[0].id
    loops = [node for node in ast.walk(function) if isinstance(node, ast.For) and isinstance(node.iter, ast.Name)]
    return next((loop for loop in loops if isinstance(loop.iter, ast.Name) and loop.iter.id == name), None)


def _hits(module: Module, loop: ast.For) -> _Hits | None:
    """The hits that a loop runs over, None where its header needs no change."""
    value = only_value(module, loop.iter) if isinstance(loop.iter, ast.Name) else loop.iter
    counted = value
    while counted is not None:
        if isinstance(counted, ast.Subscript):  # the first of a tuple, or the only column
            counted = counted.value
            continue
        if not isinstance(counted, ast.Call) or not isinstance(counted.func, ast.Attribute):
            break
        if counted.func.attr == "nonzero":
            of = counted.args[0] if dotted(counted.func.value) == "torch" and counted.args else counted.func.value
            return _Hits(value if isinstance(loop.iter, ast.Name) else None, f"range({_rows(of)})")
        if counted.func.attr not in {"flatten", "squeeze", "view", "reshape", "tolist", "cpu"}:
            break
        counted = counted.func.value
    return None


def _rows(node: ast.expr) -> str:
    """How long the first dimension of an expression is: `mask.shape[0]` of `mask.sum(dim=(-1, -2)) > 0`."""
    inner = node
    while True:
        if isinstance(inner, ast.Compare):
            inner = inner.left
        elif isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            first = inner.args[0] if inner.args and dotted(inner.func.value) == "torch" else inner.func.value
            if inner.func.attr in {"sum", "any", "amax"} and not _keeps_rows(inner):
                break
            if inner.func.attr not in {"greater", "gt", "ge", "ne", "bool", "int", "sum", "any", "amax"}:
                break
            inner = first
        else:
            break
    whole = isinstance(inner, ast.Name | ast.Attribute)
    return f"{ast.unparse(inner)}.shape[0]" if whole else f"({ast.unparse(node)}).shape[0]"


def _keeps_rows(call: ast.Call) -> bool:
    given = call.args[-1] if call.args else next((k.value for k in call.keywords if k.arg in ("dim", "axis")), None)
    try:
        dims = ast.literal_eval(given) if given is not None else 0
    except ValueError:
        return False
    dims = dims if isinstance(dims, tuple) else (dims,)
    return 0 not in dims and len(set(dims)) <= 2 and all(isinstance(dim, int) for dim in dims)


def _rewritten(site: Site, loop: ast.For, hits: _Hits | None, text: str) -> Rewrite | None:
    changed = site.replace(loop, text)
    if hits is None or hits.assigned is None:
        return changed
    template = f"{hits.all} if {{torch}}.compiler.is_compiling() else {{hits}}"
    return site.together(replace(site, dual=False).replace(hits.assigned, template, hits=hits.assigned), changed)


@dataclass
class _Loop:
    """The loop as compiled code runs it, made line by line. `deep`: rows of any number of dimensions are written."""

    module: Module
    loop: ast.For
    hits: _Hits | None
    deep: bool = False
    token: str = ""
    place: str = ""
    wrote: bool = field(default=False)

    def __post_init__(self) -> None:
        names = {node.id for node in ast.walk(self.module.tree) if isinstance(node, ast.Name)}
        names |= {node.arg for node in ast.walk(self.module.tree) if isinstance(node, ast.arg)}
        self.chosen, self.rows = (name if name not in names else f"expert_{name}" for name in ("chosen", "rows"))

    def lines(self) -> list[str]:
        over = self.hits.all if self.hits and self.hits.assigned is None else ast.unparse(self.loop.iter)
        body = list(self._block(self.loop.body))
        if not self.token or not self.wrote:
            raise _OtherPattern
        return [f"for {_bare(self.loop.target)} in {over}:", *(f"    {line}" for line in body)]

    def _block(self, block: Sequence[ast.stmt]) -> Iterator[str]:
        for statement in block:
            yield from self._statement(statement)

    def _statement(self, node: ast.stmt) -> Iterator[str]:
        if self.hits and self._unpacks(node):
            return
        if self.hits and isinstance(node, ast.If) and self._asks_number(node):
            return
        if not self.token and (selected := _selection(node)) is not None:
            yield from self._select(*selected)
        elif isinstance(node, ast.If) and (some := self._asks_for_tokens(node)) is not None:
            yield from self._block(node.body if some else [])
        elif isinstance(node, ast.Expr) and (added := self._index_add(node.value)) is not None:
            yield f"{added[0]}.add_({{torch}}.where({self.rows}, {added[1]}, 0))"
        elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and (to := self._rows_of(node.target)):
            self.wrote = True
            yield f"{to}.add_({{torch}}.where({self.rows}, {self._text(node.value)}, 0))"
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and (to := self._rows_of(node.targets[0])):
            self.wrote = True
            yield f"{to}.copy_({{torch}}.where({self.rows}, {self._text(node.value)}, {to}))"
        elif isinstance(node, ast.Assign) and not any(isinstance(n, ast.Subscript) for n in node.targets):
            if len(node.targets) == 1 and (added := self._index_add(node.value)) is not None:
                summed = f"{added[0]} + {{torch}}.where({self.rows}, {added[1]}, 0)"
                yield f"{ast.unparse(node.targets[0])} = {summed}"
            else:
                yield f"{' = '.join(map(_bare, node.targets))} = {self._text(node.value)}"
        else:
            raise _OtherPattern

    def _select(self, names: Sequence[str], mask: ast.expr) -> Iterator[str]:
        if not is_pure(mask):
            raise _OtherPattern
        self.token = next((name for name in names if self._picks_rows(name)), "")
        if not self.token or len(names) > 2:
            raise _OtherPattern
        self.place = next((name for name in names if name != self.token), "")
        text = self._text(mask) if isinstance(mask, ast.Subscript | ast.Name | ast.Call) else f"({self._text(mask)})"
        yield f"{self.chosen} = {text}{'.T' if len(names) == 2 and names[1] == self.token else ''}.bool()"
        stores = [node for node in ast.walk(self.loop) if isinstance(node, ast.Subscript) and _is_stored(node)]
        to = next((node.value for node in stores if self._rows_of(node)), None)
        if len(names) == 2:
            yield f"{self.rows} = {self.chosen}.any(1, keepdim=True)"
        elif to is not None and (self.deep or _dimensions(self.module, to) not in (2, None)):
            yield f"{self.rows} = {self.chosen}[(..., *(None,) * ({ast.unparse(to)}.dim() - 1))]"
        else:
            yield f"{self.rows} = {self.chosen}[:, None]"

    def _picks_rows(self, name: str) -> bool:
        """Whether a name alone selects rows somewhere in the loop."""
        found = (node.slice for node in ast.walk(self.loop) if isinstance(node, ast.Subscript))
        plain = [part for at in found for part in [_first(at)] if isinstance(part, ast.Name) and part.id == name]
        added = [node.args[1] for node in ast.walk(self.loop) if _is_index_add(node)]  # type: ignore[attr-defined]
        return bool(plain) and (not added or any(isinstance(a, ast.Name) and a.id == name for a in added))

    def _unpacks(self, node: ast.stmt) -> bool:
        """`e = e[0]`, `e = e.item()`: of the loop's own number."""
        name = ast.unparse(self.loop.target)
        texts = {f"{name} = {name}{end}" for end in ("[0]", ".item()", ".squeeze()", ".squeeze(0)")}
        return ast.unparse(node) in {*texts, f"{name} = int({name})", f"{name} = int({name}[0])"}

    def _asks_number(self, node: ast.If) -> bool:
        """`if e == count: continue`: a number that no expert has."""
        skips = len(node.body) == 1 and isinstance(node.body[0], ast.Continue) and not node.orelse
        test = node.test
        equal = isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq | ast.GtE)
        return (
            skips
            and equal
            and isinstance(test, ast.Compare)
            and ast.unparse(test.left).startswith(ast.unparse(self.loop.target))
        )

    def _asks_for_tokens(self, node: ast.If) -> bool | None:
        """Whether a branch on the number of tokens runs where there are some; None for another branch."""
        if not self.token or node.orelse or not isinstance(node.test, ast.Compare | ast.Call):
            return None
        counts = {f"{name}{end}" for name in (self.token, self.place) for end in (".numel()", ".shape[0]", ".size(0)")}
        counts |= {f"len({self.token})", f"len({self.place})"}
        if isinstance(node.test, ast.Call):
            return None
        text = ast.unparse(node.test)
        if any(text == f"{count} == 0" for count in counts):
            if len(node.body) == 1 and isinstance(node.body[0], ast.Continue):
                return False
            return None
        return True if any(text in (f"{count} > 0", f"{count} != 0") for count in counts) else None

    def _index_add(self, node: ast.expr) -> tuple[str, str] | None:
        if not _is_index_add(node):
            return None
        assert isinstance(node, ast.Call)
        assert isinstance(node.func, ast.Attribute)
        to, at, value = node.func.value, node.args[1], node.args[2]
        if not (isinstance(at, ast.Name) and at.id == self.token) or ast.unparse(node.args[0]) != "0":
            raise _OtherPattern
        self.wrote = True
        return ast.unparse(to), self._text(value)

    def _rows_of(self, node: ast.expr) -> str:
        """`out` of `out[token]`."""
        at = node.slice if isinstance(node, ast.Subscript) else None
        if isinstance(node, ast.Subscript) and isinstance(at, ast.Name) and at.id == self.token and self.token:
            return ast.unparse(node.value)
        return ""

    def _text(self, node: ast.expr) -> str:
        found = literal(ast.unparse(self._copy(node)))
        return found.replace("_torch_.", "{torch}.")

    def _copy(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Name) and node.id in (self.token, self.place) and node.id:
            raise _OtherPattern
        if self.hits and isinstance(node, ast.Subscript) and ast.unparse(node) == f"{ast.unparse(self.loop.target)}[0]":
            return self._copy(node.value)
        if isinstance(node, ast.Subscript) and (new := self._read(node)) is not None:
            return ast.parse(new, mode="eval").body
        if self.hits and isinstance(node, ast.Call) and (inner := self._squeezed(node)) is not None:
            return self._copy(inner)
        parts: dict[str, object] = {}
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                parts[name] = [self._copy(one) if isinstance(one, ast.AST) else one for one in value]
            else:
                parts[name] = self._copy(value) if isinstance(value, ast.AST) else value
        return type(node)(**parts)

    def _squeezed(self, node: ast.Call) -> ast.expr | None:
        """`mask[e]` of `mask[e].squeeze(0)`, where a hit was a tensor of one element and is a number now."""
        if ast.unparse(node).endswith(f"[{ast.unparse(self.loop.target)}].squeeze(0)"):
            assert isinstance(node.func, ast.Attribute)
            return node.func.value
        return None

    def _read(self, node: ast.Subscript) -> str | None:
        """What a subscript by tokens reads where all tokens are there; None for another subscript."""
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        names = [part.id if isinstance(part, ast.Name) else ast.unparse(part) for part in parts]
        if not self.token or self.token not in names:
            return None
        of = ast.unparse(self._copy(node.value))
        if names == [self.token] or names[1:] in ([":"], ["..."]):
            return of
        if names[:2] == [self.token, self.place]:
            kept = ", keepdim=True" if names[2:] == ["None"] else ""
            if names[2:] not in ([], ["None"]):
                raise _OtherPattern
            return f"_torch_.where({self.chosen}, {of}, 0).sum(1{kept})"
        if self.place in names:
            raise _OtherPattern
        return f"{of}[{', '.join(':' if name == self.token else name for name in names)}]"


def _bare(target: ast.expr) -> str:
    """The text of what is assigned to, without the parentheses that a tuple needs elsewhere."""
    text = ast.unparse(target)
    return text[1:-1] if isinstance(target, ast.Tuple) and text.startswith("(") and len(target.elts) > 1 else text


def _is_stored(node: ast.Subscript) -> bool:
    return isinstance(node.ctx, ast.Store)


def _dimensions(module: Module, node: ast.expr) -> int | None:
    """How many dimensions a tensor is made with; None where that is not written down."""
    made = only_value(module, node) if isinstance(node, ast.Name) else None
    called = made.func if isinstance(made, ast.Call) else None
    if not isinstance(called, ast.Attribute) or called.attr not in _MAKERS or not isinstance(made, ast.Call):
        return None
    shape = made.args[0] if made.args else None
    if isinstance(shape, ast.Tuple | ast.List):
        return None if any(isinstance(one, ast.Starred) for one in shape.elts) else len(shape.elts)
    return len(made.args) if len(made.args) > 1 and called.attr not in ("full", "new_full") else None


_MAKERS = frozenset({"zeros", "ones", "empty", "full", "new_zeros", "new_ones", "new_empty", "new_full"})


def _first(at: ast.expr) -> ast.expr:
    """The first part of a subscript that is not None."""
    parts = at.elts if isinstance(at, ast.Tuple) else [at]
    return next((part for part in parts if not (isinstance(part, ast.Constant) and part.value is None)), at)


def _is_index_add(node: ast.AST) -> bool:
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    return called and node.func.attr in ("index_add_", "index_add") and len(node.args) == 3 and not node.keywords  # type: ignore[attr-defined]


def _selection(node: ast.stmt) -> tuple[list[str], ast.expr] | None:
    """The names and the mask of `place, token = torch.where(mask)` and its like."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return None
    target, value = node.targets[0], node.value
    first = isinstance(value, ast.Subscript) and ast.unparse(value.slice) in ("0", "(slice(None), 0)", ":, 0")
    if isinstance(value, ast.Subscript) and first:
        value = value.value
    flat = False
    while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _FLAT:
        value, flat = value.func.value, True
    mask = mask_of_places(value)
    if mask is None or not isinstance(value, ast.Call) or not (first or flat or gives_tuple(value)):
        return None
    names = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
    if not all(isinstance(name, ast.Name) for name in names) or (isinstance(target, ast.Name) and not (first or flat)):
        return None
    return [name.id for name in names if isinstance(name, ast.Name)], mask


_FLAT = frozenset({"flatten", "squeeze", "view", "reshape"})
