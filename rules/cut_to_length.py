"""GF420: `x[i, :n].mean(0)` and `out[i, :n] = x[i, :n] * 2` with a length that is read out of a tensor."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module
from graphfix.source.values import Kind

from ._condition import Build
from ._hoist import following
from ._masks import OPERATORS, Put
from ._match import dotted, is_atom, is_pure, is_whole, same
from ._numbers import Numbers, statement_of
from ._reads import number_around, parent, read_at
from ._selection import (
    COUNTS,
    EXTREMES,
    IGNORED,
    LOSSES,
    NEUTRAL,
    Selection,
    deviation,
    element_by_element,
    is_alone,
    leaves_out,
    names_in,
    over_dimension,
    reduced,
    stored,
    uses_of,
)
from ._windows import all_of, within


class CutToLength(Rule):
    """What it does:
        Reduces whole rows under a mask, or stores through one, where code cuts rows to a length that is read out of a
        tensor: sums, means, extremes, norms, how many there are, losses of two cuts, stores of one cut into another.

    Why it breaks the graph:
        A slice with a bound that is known at run time only has a shape that is known at run time only (GB0124).

    Example:
        for i in range(x.shape[0]):
            out[i, : lengths[i]] = x[i, : lengths[i]] * 2

        for i in range(x.shape[0]):
            kept = (torch.arange(out.shape[1], device=out.device) < lengths[i])[(...,) + (None,) * (out[i].dim() - 1)]
            out[i].copy_(torch.where(kept, x[i] * 2, out[i]))

    Safety:
        Proven. Floating-point sums may differ in the last bits, since they add in another order: eager then keeps the
        original (the dual form). What is cut off is computed for nothing. A negative bound counts from the end, which
        the mask does not, and extremes of nothing raise: asserts on the device refuse both.
    """

    code, name = "GF420", "cut-to-length"
    title = "reduce whole rows under a mask, not rows cut to a length that is data"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0124", "GB0033", "GB0219"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        cut = _cut_at(site)
        first = site.module.enclosing(cut.node, ast.stmt) if cut is not None else None
        if cut is None or first is None:
            return None
        loops = (one for one in site.module.parents(cut.node) if isinstance(one, ast.ListComp | ast.GeneratorExp))
        loop = next(loops, None)
        read = site.module.segment(site.node) if read_at(site.module, site.node) is not None else ""
        return _Writer(site, cut, first, loop, Build(site.module, site.node), read).rewrite()

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x, lengths):
                    out = torch.zeros_like(x)
                    for i in range(x.shape[0]):
                        # the rest stays zero
                        out[i, : lengths[i]] = x[i, : lengths[i]] * 2
                    return out
            """,
            after="""
                import torch

                def f(x, lengths):
                    out = torch.zeros_like(x)
                    for i in range(x.shape[0]):
                        # the rest stays zero
                        torch._assert_async(lengths[i] >= 0, "graphfix: out[i, :lengths[i]] has a negative bound")
                        kept = (torch.arange(out.shape[1], device=out.device) < lengths[i])[(...,) + (None,) * (out[i].dim() - 1)]
                        out[i].copy_(torch.where(kept, x[i] * 2, out[i]))
                    return out
            """,  # noqa: E501
            calls=(
                "f(torch.ones(2, 4, 3), torch.tensor([2, 4]))",
                "f(torch.ones(2, 5), torch.tensor([3, 0]))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(frames, lengths):
                    return torch.stack([row[:length].mean(0) for row, length in zip(frames, lengths)])
            """,
            after="""
                import torch

                def f(frames, lengths):
                    torch._assert_async((lengths >= 0).all(), "graphfix: row[:length] has a negative bound")
                    return torch.stack([torch.where((torch.arange(row.shape[0], device=row.device) < length)[(...,) + (None,) * (row.dim() - 1)], row, 0).sum(0) / (torch.arange(row.shape[0], device=row.device) < length)[(...,) + (None,) * (row.dim() - 1)].sum() for row, length in zip(frames, lengths)])
            """,  # noqa: E501
            calls=(
                "f(torch.ones(2, 4, 3), torch.tensor([2, 4]))",
                "f(torch.ones(2, 5, 2), torch.tensor([3, 1]))",
            ),
        ),
        Rewrites(
            before="""
                import torch
                import torch.nn.functional as F

                class Loss(torch.nn.Module):
                    def forward(self, logits, labels, lengths):
                        total = 0.0
                        for b, given in enumerate(logits):
                            n = lengths[b]
                            scores = given[:n]
                            total = total + F.cross_entropy(scores, labels[b, :n]) + scores.max(dim=0).values.sum() / len(scores)
                            total = total + (given[:n].abs() + 1).sum() - F.mse_loss(given[:n], logits[0, :n])
                        return total

                f = Loss()
            """,  # noqa: E501
            after="""
                import torch
                import torch.nn.functional as F

                class Loss(torch.nn.Module):
                    def forward(self, logits, labels, lengths):
                        total = 0.0
                        for b, given in enumerate(logits):
                            n = lengths[b]
                            torch._assert_async(n >= 0, "graphfix: given[:n] has a negative bound")
                            kept = (torch.arange(given.shape[0], device=given.device) < n)[(...,) + (None,) * (given.dim() - 1)]
                            scores = given
                            kept_2 = (torch.arange(labels.shape[1], device=labels.device) < n)[(...,) + (None,) * (labels[b].dim() - 1)]
                            torch._assert_async(kept.any(), "graphfix: given[:n] holds nothing")
                            total = total + F.cross_entropy(scores, torch.where(kept_2, labels[b], -100)) + torch.where(kept, scores, -torch.inf).amax(dim=0).sum() / kept.sum()
                            kept_3 = (torch.arange(logits.shape[1], device=logits.device) < n)[(...,) + (None,) * (logits[0].dim() - 1)]
                            total = total + torch.where(kept, torch.where(kept, given, 0).abs() + 1, 0).sum() - F.mse_loss(torch.where(kept, given, 0), torch.where(kept_3, logits[0], 0), reduction='sum') / kept.expand_as(given).sum()
                        return total

                f = Loss()
            """,  # noqa: E501
            calls=("f(torch.ones(2, 4, 3), torch.tensor([[0, 1, 2, 0], [1, 1, 1, 0]]), torch.tensor([2, 4]))",),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, start):
                    y = x.clone()
                    y[:, int(start) :, :] += 1
                    return y * torch.mean(x[:, int(start) :] ** 2, dim=1, keepdim=True)
            """,
            after="""
                import torch

                def f(x, start):
                    y = x.clone()
                    torch._assert_async(
                        start.reshape(()).long() >= 0,
                        "graphfix: y[:, int(start):, :] has a negative bound",
                    )
                    kept = (torch.arange(y.shape[1], device=y.device) >= start.reshape(()).long())[(...,) + (None,) * (y.dim() - 2)]
                    y.copy_(torch.where(kept, y + 1, y))
                    kept_2 = (torch.arange(x.shape[1], device=x.device) >= start.reshape(()).long())[(...,) + (None,) * (x.dim() - 2)]
                    return y * (torch.where(kept_2, torch.where(kept_2, x, 0) ** 2, 0).sum(dim=1, keepdim=True) / kept_2.sum())
            """,  # noqa: E501
            calls=(
                "f(torch.ones(2, 4, 3), torch.tensor([2]))",
                "f(torch.ones(2, 5, 2), torch.tensor(3))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, lengths):
                    means, spreads = [], []
                    for number in range(x.shape[0]):
                        # without the padding
                        size = torch.round(lengths[number] * x.shape[1]).long()
                        means.append(torch.mean(x[number, 0:size, ...], dim=0))
                        spreads.append(torch.std(x[number, 0:size, ...], dim=0))
                    return torch.cat([torch.stack(means), torch.stack(spreads)], dim=1)
            """,
            after="""
                import torch

                def f(x, lengths):
                    means, spreads = [], []
                    for number in range(x.shape[0]):
                        # without the padding
                        size = torch.round(lengths[number] * x.shape[1]).long()
                        torch._assert_async(size >= 0, "graphfix: x[number, 0:size, ...] has a negative bound")
                        kept = (torch.arange(x.shape[1], device=x.device) < size)[(...,) + (None,) * (x[number].dim() - 1)]
                        means.append(torch.where(kept, x[number], 0).sum(dim=0) / kept.sum())
                        spreads.append(((torch.where(kept, x[number] - torch.where(kept, x[number], 0).sum(dim=0, keepdim=True) / kept.sum(), 0) ** 2).sum(dim=0) / (kept.sum() - 1).clamp(min=0)).sqrt())
                    return torch.cat([torch.stack(means), torch.stack(spreads)], dim=1)
            """,  # noqa: E501
            calls=("f(torch.tensor([[[1.0], [3.0], [9.0], [9.0]]]), torch.tensor([0.5]))",),
        ),
        Leaves(
            source="""
                def f(x, n):
                    return x[:n] * 2
            """,
            calls=("f(torch.ones(4), torch.tensor(2))",),
        ),
        Leaves(
            source="""
                def f(x, lengths):
                    return x[:, : lengths[0]].sum(0) * 2
            """,
            calls=("f(torch.ones(2, 4), torch.tensor([4, 4]))",),
        ),
        Leaves(
            source="""
                def f(x, n):
                    part = x[:n]
                    return part.sum() + part.cumsum(0)[-1]
            """,
            calls=("f(torch.ones(4), torch.tensor(2))",),
        ),
    )


@dataclass(frozen=True)
class _Cut:
    """`x[:, i, :n]`: the subscript, what of it is cut (`x[:, i]`), and the mask that keeps the same."""

    node: ast.Subscript
    base: str
    part: ast.Slice
    at: int
    before: int
    """How many dimensions of the base stand before the one that is cut."""

    @property
    def key(self) -> str:
        """What two cuts to the same length share."""
        return ast.unparse(self.part)

    def mask(self, numbers: Numbers) -> str:
        """The mask in a shape that broadcasts over the base; what must hold of the bounds goes to `numbers.guards`."""
        of = ast.unparse(self.node.value)
        kept = within(numbers, f"{{torch}}.arange({of}.shape[{self.at}], device={of}.device)", self.part)
        return f"({kept})[(...,) + (None,) * ({self.base}.dim() - {self.before + 1})]"


def _cut_at(site: Site) -> _Cut | None:
    """The cut that Dynamo names, or the one whose bound reads the number that it names."""
    module, node = site.module, site.node
    if isinstance(node, ast.expr) and read_at(module, node) is not None:
        node = number_around(module, node)
    for one in (node, *module.parents(node)):
        if isinstance(one, ast.Subscript):
            return _cut(module, one)
        if one is not node and not isinstance(one, ast.Slice | ast.Tuple):
            return None
    return None


def _cut(module: Module, node: ast.Subscript) -> _Cut | None:
    """The cut that a subscript is: one slice with a bound that may be a tensor, and all behind it whole."""
    parts: list[ast.expr] = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    slices = [one for one in parts if isinstance(one, ast.Slice) and not is_whole(one)]
    if len(slices) != 1 or slices[0].step is not None or not is_pure(node) or "{" in ast.unparse(node):
        return None
    part, at = slices[0], parts.index(slices[0])
    bounds = [bound for bound in (part.lower, part.upper) if bound is not None]
    if not any(_may_be_data(module, one) for one in bounds):
        return None
    before, behind = parts[:at], parts[at + 1 :]
    if any(isinstance(one, ast.Constant) and one.value in (None, ...) for one in before) or not all(
        is_whole(one) or (isinstance(one, ast.Constant) and one.value is ...) for one in behind
    ):
        return None
    base = ast.unparse(node.value)
    if not all(map(is_whole, before)):
        base += f"[{', '.join(':' if is_whole(one) else ast.unparse(one) for one in before)}]"
    return _Cut(node, base, part, at, sum(map(is_whole, before)))


@dataclass
class _Writer:
    """Writes what code computes of cuts to one length, and stores into them, for whole rows under a mask.

    `loop` is the comprehension that makes the cuts; None where statements do.
    """

    site: Site
    cut: _Cut
    first: ast.stmt
    loop: ast.ListComp | ast.GeneratorExp | None
    build: Build
    read: str
    """The number that Dynamo names, empty where it names none."""
    cuts: dict[ast.expr, _Cut] = field(default_factory=dict)
    """The cuts to this length, and the reads of names that stand for one."""
    texts: dict[ast.expr, str] = field(default_factory=dict)
    """What stands for each of them: the whole."""
    roots: dict[str, tuple[_Cut, ast.AST]] = field(default_factory=dict)
    """The first cut of each base, and the statement that holds it."""
    masks: dict[str, str] = field(default_factory=dict)
    """The masks' texts by the bases that they are for."""
    above: dict[ast.stmt, list[str]] = field(default_factory=dict)
    """The lines that go above a statement."""
    unsaid: bool = False
    """Whether something must hold that cannot be asserted."""

    @property
    def module(self) -> Module:
        return self.site.module

    def rewrite(self) -> Rewrite | None:
        """The rewrite of all cuts to this length; None where one of them goes elsewhere."""
        region: Sequence[ast.AST] = [self.loop.elt] if self.loop is not None else list(self._region())
        for root in region:
            for node in ast.walk(root):
                found = _cut(self.module, node) if isinstance(node, ast.Subscript) else None
                if found is not None and found.key == self.cut.key:
                    self.cuts[found.node], self.texts[found.node] = found, found.base
                    self.roots.setdefault(found.base, (found, root))
        rewrites: list[Rewrite | None] = []
        stores = list(dict.fromkeys(one for node in self.cuts if (one := self._store(node)) is not None))
        done = {part for one in stores for part in ast.walk(one)}
        for node, cut in list(self.cuts.items()):
            naming = parent(self.module, node)
            if isinstance(naming, ast.Assign) and naming.value is node and node not in done:
                rewrites.append(self._named(naming, cut))
                done.add(node)
        if not all(map(self._row_by_row, stores)):
            return None
        stored_in = [self._stored(one) for one in stores]
        changes: dict[ast.expr, str] = {}
        for node, cut in self.cuts.items():
            if node not in done:
                found_whole = self._loss(node) or self._reduced(node, cut)
                if found_whole is None:
                    return None
                changes[found_whole[0]] = found_whole[1]
        if any(above in changes for whole in changes for above in self.module.parents(whole)):
            return None
        rewrites.append(self.site.replace_each([(whole, text, {}) for whole, text in changes.items()]))
        for store, text in zip(stores, stored_in, strict=True):
            lines = [*map(self.build.wrapped, self.above.pop(store, [])), text]
            rewrites.append(self.site.replace(store, "\n".join(lines)))
        for statement, lines in self.above.items():
            rewrites.append(self.site.before(statement, "\n".join(map(self.build.wrapped, lines))))
        if self.unsaid:
            return None
        return self.site.together(*(one for one in rewrites if one is None or one.edits))

    def _region(self) -> Iterator[ast.stmt]:
        """The statements from the first cut on, as long as its bounds stay."""
        bounds = names_in(self.cut.part)
        for statement in (self.first, *following(self.module, self.first)):
            if statement is not self.first and any(stored(part) in bounds for part in ast.walk(statement)):
                return
            yield statement

    def _mask(self, node: ast.expr) -> str:
        """The mask beside a cut: a name, in a comprehension the mask itself."""
        cut, root = self.roots[self.cuts[node].base]
        if cut.base in self.masks:
            return self.masks[cut.base]
        named = [one for one in ast.walk(cut.part) if isinstance(one, ast.expr) and ast.unparse(one) == self.read]
        numbers = Numbers(self.module, tuple(named), keeps_gradient=True)
        mask = numbers.written(cut.mask(numbers))
        guards = [numbers.written(one) for one in dict.fromkeys(numbers.guards)]
        if self.loop is None:
            assert isinstance(root, ast.stmt)
            lines = self.above.setdefault(root, [])
            if guards and not self.masks:
                said = f'"graphfix: {ast.unparse(cut.node)} has a negative bound"'
                lines.append(f"{{torch}}._assert_async({all_of(guards)}, {said})")
            self.masks[cut.base] = self.build.fresh("kept")
            lines.append(f"{self.masks[cut.base]} = {mask}")
        else:
            self.masks[cut.base] = mask
            if guards:
                self._tells(self.loop, ">= 0", "has a negative bound")
        return self.masks[cut.base]

    def _tells(self, loop: ast.ListComp | ast.GeneratorExp, condition: str, said: str) -> None:
        """Assert above the statement what must hold of all lengths that a comprehension goes through."""
        bound = self.cut.part.upper if self.cut.part.lower is None else self.cut.part.lower
        read = read_at(self.module, bound) if bound is not None else None
        bound = read.tensor if read is not None else bound
        lengths = _all_of(loop, bound) if bound is not None else None
        if lengths is None or statement_of(self.module, loop) is not self.first:
            self.unsaid = True
            return
        text = ast.unparse(lengths)
        line = f'{{torch}}._assert_async(({text} {condition}).all(), "graphfix: {ast.unparse(self.cut.node)} {said}")'
        lines = self.above.setdefault(self.first, [])
        lines += [line] if line not in lines else []

    def _named(self, statement: ast.Assign, cut: _Cut) -> Rewrite | None:
        """`part = x[i, :n]` names the whole; what is read of the name counts as a cut."""
        target = statement.targets[0] if len(statement.targets) == 1 else None
        if not isinstance(target, ast.Name):
            return None
        uses = tuple(uses_of(self.module, statement, target.id))
        if not is_alone(self.module, Selection(statement, target.id, cut.node, uses)):
            return None
        self.cuts |= dict.fromkeys(uses, cut)
        self.texts |= dict.fromkeys(uses, target.id)
        return self.site.replace(statement, f"{target.id} = {cut.base}\n")

    def _store(self, node: ast.expr) -> ast.Assign | ast.AugAssign | None:
        """The statement that stores into a cut."""
        statement = parent(self.module, node)
        if isinstance(statement, ast.AugAssign) and statement.target is node and type(statement.op) in OPERATORS:
            return statement
        return statement if isinstance(statement, ast.Assign) and statement.targets == [node] else None

    def _row_by_row(self, statement: ast.Assign | ast.AugAssign) -> bool:
        """Whether what is stored is computed element by element, or a call cut something off and shows what it is."""
        cuts = (one for one in ast.walk(statement.value) if isinstance(one, ast.expr) and one in self.cuts)
        if all(element_by_element(self.module, one, statement.value) for one in cuts):
            return True
        upper, of = self.cut.part.upper, ast.unparse(self.cut.node.value)
        whole = f"{ast.unparse(upper)} >= {of}.shape[{self.cut.at}]" if upper is not None else "False"
        return leaves_out(self.site, statement, whole)

    def _stored(self, statement: ast.Assign | ast.AugAssign) -> str:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        base, value = self.cuts[target].base, Put(self.texts).text(statement.value)
        if isinstance(statement, ast.AugAssign):
            value = value if is_atom(statement.value) else f"({value})"
            value = f"{base} {OPERATORS[type(statement.op)]} {value}"
        return f"{base}.copy_({{torch}}.where({self._mask(target)}, {value}, {base}))"

    def _zeroed(self, node: ast.expr) -> str:
        """An expression of cuts, of whole rows instead, with zeros for what is cut off."""
        if node in self.texts:
            return self.texts[node]
        inside = [one for one in self.texts if one in ast.walk(node)]
        filled = {one: f"torch.where({self._mask(one)}, {self.texts[one]}, 0)" for one in inside}
        text = Put({one: text.replace("{torch}", "torch") for one, text in filled.items()}).text(node)
        return text.replace("torch.where(", "{torch}.where(").replace("torch.arange(", "{torch}.arange(")

    def _loss(self, node: ast.expr) -> tuple[ast.expr, str] | None:
        """A mean loss of two cuts."""
        call = parent(self.module, node)
        if not isinstance(call, ast.Call) or call.keywords or len(call.args) != 2:
            return None
        one, other = call.args
        if one not in self.cuts or other not in self.cuts:
            return None
        called, function = dotted(call.func).rpartition(".")[2], ast.unparse(call.func)
        kept, also = self._mask(one), self._mask(other)
        if called == "cross_entropy":
            return call, f"{function}({self.texts[one]}, {{torch}}.where({also}, {self.texts[other]}, {IGNORED}))"
        if called not in LOSSES:
            return None
        sides = f"{{torch}}.where({kept}, {self.texts[one]}, 0), {{torch}}.where({also}, {self.texts[other]}, 0)"
        count = f"{kept}.expand_as({self.texts[one]}).sum()"
        return call, f"{function}({sides}, reduction='sum') / {count}"

    def _reduced(self, node: ast.expr, cut: _Cut) -> tuple[ast.expr, str] | None:
        """The expression that reduces a cut, and its new text."""
        inner, whole, kind = reduced(self.module, node)
        kept, given = self._mask(node), ""
        if whole is None and isinstance(inner, ast.expr):
            found = over_dimension(self.module, inner, cut.before)
            if found is None:
                return None
            whole, kind, given = found
        if whole is None:
            return None
        if kind in COUNTS:
            return whole, f"{kept}.expand_as({self.texts[node]}).sum()" if kind == "numel" else f"{kept}.sum()"
        count = f"{kept}.sum()" if given else f"{kept}.expand_as({self.texts[node]}).sum()"
        if kind in EXTREMES:
            if self.loop is None:
                statement = statement_of(self.module, whole)
                if statement is None:
                    return None
                said = f'"graphfix: {ast.unparse(cut.node)} holds nothing"'
                self.above.setdefault(statement, []).append(f"{{torch}}._assert_async({kept}.any(), {said})")
            else:
                self._tells(self.loop, "> 0", "holds nothing")
        if kind in ("std", "var"):
            return whole, deviation(kind, kept, self._zeroed(inner), count, given)
        text = f"{{torch}}.where({kept}, {self._zeroed(inner)}, {NEUTRAL[kind]})"
        return whole, f"{text}.sum({given}) / {count}" if kind == "mean" else f"{text}.{kind}({given})"


def _may_be_data(module: Module, bound: ast.expr) -> bool:
    reads = any(read_at(module, one) is not None for one in ast.walk(bound))
    return reads or module.analysis.value(bound).kind is not Kind.PLAIN


def _all_of(loop: ast.ListComp | ast.GeneratorExp, bound: ast.expr) -> ast.expr | None:
    """All lengths that a comprehension goes through: `lengths`, where `n` comes from `enumerate(lengths)`."""
    if isinstance(bound, ast.Subscript) and isinstance(bound.slice, ast.Name):
        return bound.value if isinstance(bound.value, ast.Name | ast.Attribute) else None
    pairs = [(one.target, one.iter) for one in loop.generators]
    while pairs:
        target, given = pairs.pop()
        if same(target, bound):
            return given if isinstance(given, ast.Name | ast.Attribute) else None
        if isinstance(target, ast.Tuple) and isinstance(given, ast.Call):
            behind = {"zip": given.args, "enumerate": [ast.Constant(0), *given.args]}.get(dotted(given.func), [])
            pairs += list(zip(target.elts, behind, strict=False))
    return None
