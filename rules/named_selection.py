"""GF419: `valid = x[mask]`, and what is computed of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._condition import Build
from ._hoist import following
from ._masks import Put, has_shape_of, mask_text, masked_read
from ._match import is_atom, last_value, meaning, same
from ._selection import (
    COUNTS,
    EXTREMES,
    IGNORED,
    NEUTRAL,
    Selection,
    deviation,
    is_alone,
    names_in,
    over_rows,
    reduced,
    rows_reduced,
    spread_of,
    stored,
    uses_of,
)

_LOSSES = frozenset(
    "mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits".split()
)
"""Losses of two tensors of one shape, element by element."""
_OF_THE_KIND = frozenset("dtype device new_full new_zeros new_ones new_tensor is_floating_point is_complex".split())
"""What does not depend on how many elements there are."""
_CLASSES = frozenset({"cross_entropy", "CrossEntropyLoss"})


class NamedSelection(Rule):
    """What it does:
        Keeps the whole tensor under the name of what a mask selects, and reduces it under the mask: sums, means,
        extremes, deviations, norms, the number of elements, losses. Checks of whether anything was selected become
        branches on a tensor, which other rules repair.

    Why it breaks the graph:
        How many elements the mask selects is known at run time only (GB0036).

    Example:
        valid = loss[mask]
        if valid.numel() == 0:
            return loss.sum() * 0
        return valid.mean()

        valid = loss
        if mask.sum() == 0:
            return loss.sum() * 0
        return torch.where(mask, valid, 0).sum() / mask.sum()

    Safety:
        Proven. Floating-point sums may differ in the last bits, since they add in another order: eager then keeps the
        original (the dual form). An extreme of nothing raises: compiled code asserts that there is something, unless
        the code asks for that itself.
    """

    code, name = "GF419", "named-selection"
    title = "reduce the whole tensor under the mask, not what was selected and named"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0036"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        found = masked_read(site.node)
        statement = next(site.module.parents(site.node), None)
        if found is None or not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            return None
        selections = list(_selections(site.module, statement, found[1]))
        return _rewritten(site, selections, found[1]) if selections else None

    cases = (
        Rewrites(
            before="""
                import torch

                def f(loss, mask):
                    # those that count
                    valid = loss[mask]
                    return valid.amax() * loss / len(valid)
            """,
            after="""
                import torch

                def f(loss, mask):
                    # those that count
                    valid = loss
                    kept = mask[(...,) + (None,) * (valid.dim() - mask.dim())]
                    return torch.where(kept, valid, -torch.inf).amax() * loss / mask.sum()
            """,
            calls=("f(torch.arange(4.0), torch.arange(4) > 1)", "f(torch.arange(8.0).view(4, 2), torch.arange(4) > 2)"),
        ),
        Rewrites(
            before="""
                import torch
                import torch.nn.functional as F

                def f(logits, labels, attention_mask):
                    active = attention_mask.view(-1) == 1
                    active_logits = logits.view(-1, logits.size(-1))[active]
                    active_labels = labels.view(-1)[active]
                    return F.cross_entropy(active_logits, active_labels)
            """,
            after="""
                import torch
                import torch.nn.functional as F

                def f(logits, labels, attention_mask):
                    active = attention_mask.view(-1) == 1
                    active_logits = logits.view(-1, logits.size(-1))
                    active_labels = labels.view(-1)
                    return F.cross_entropy(active_logits, torch.where(active, active_labels, -100))
            """,
            calls=(
                "f(torch.zeros(2, 2, 4), torch.tensor([[0, 1], [2, 3]]), torch.tensor([[1, 0], [1, 1]]))",
                "f(torch.zeros(1, 3, 4), torch.tensor([[0, 1, 2]]), torch.tensor([[1, 1, 1]]))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(x: torch.Tensor):
                    x = x[~torch.isnan(x)]
                    n = x.numel()
                    return x.abs().max() + n + x.new_full((), 2.0)
            """,
            after="""
                import torch

                def f(x: torch.Tensor):
                    kept = ~torch.isnan(x)
                    n = kept.sum()
                    return torch.where(kept, torch.where(kept, x, 0).abs(), -torch.inf).max() + n + x.new_full((), 2.0)
            """,
            calls=("f(torch.arange(5.0))", "f(torch.tensor([0.0, torch.nan, 1.0]))"),
        ),
        Rewrites(
            before="""
                import torch
                import torch.nn.functional as F

                def f(x, y, mask):
                    rows = x[mask]
                    others = y[mask]
                    best = rows.max(dim=0)[0] + rows.mean(0)
                    return best * len(rows) + F.mse_loss(rows, others)
            """,
            after="""
                import torch
                import torch.nn.functional as F

                def f(x, y, mask):
                    rows = x
                    kept = mask[(...,) + (None,) * (rows.dim() - mask.dim())]
                    others = y
                    kept_2 = mask[(...,) + (None,) * (others.dim() - mask.dim())]
                    best = torch.where(kept, rows, -torch.inf).flatten(0, mask.dim() - 1).amax(0) + torch.where(kept, rows, 0).flatten(0, mask.dim() - 1).sum(0) / mask.sum()
                    return best * mask.sum() + torch.where(kept, F.mse_loss(torch.where(kept, rows, 0), torch.where(kept_2, others, 0), reduction='none'), 0).sum() / kept.expand_as(rows).sum()
            """,  # noqa: E501
            calls=("f(torch.ones(3, 2), torch.zeros(3, 2), torch.arange(3) > 0)",),
        ),
        Rewrites(
            before="""
                import torch

                def f(x):
                    seen = x[x > 0]
                    return (x - seen.mean()) / seen.std()
            """,
            after="""
                import torch

                def f(x):
                    kept = x > 0
                    seen = x
                    return (x - torch.where(kept, seen, 0).sum() / kept.sum()) / ((torch.where(kept, seen - torch.where(kept, seen, 0).sum() / kept.sum(), 0) ** 2).sum() / (kept.sum() - 1).clamp(min=0)).sqrt()
            """,  # noqa: E501
            calls=("f(torch.tensor([1.0, -4.0, 3.0]))", "f(torch.tensor([[1.0, -4.0], [3.0, 5.0]]))"),
        ),
        Leaves(
            source="""
                def f(x, mask):
                    valid = x[mask]
                    return valid.sort().values
            """,
            calls=("f(torch.arange(5.0), torch.arange(5) > 2)",),
        ),
    )


def _selections(module: Module, first: ast.Assign, mask: ast.expr) -> Iterator[Selection]:
    """The statements of a block, from `first` on, that name what this mask selects; none where a name is read elsewhere
    than behind its statement."""
    for statement in (first, *following(module, first)):
        found = masked_read(statement.value) if isinstance(statement, ast.Assign) else None
        if isinstance(statement, ast.Assign) and found is not None and same(found[1], mask):
            (target,) = statement.targets if len(statement.targets) == 1 else (None,)
            if isinstance(target, ast.Name):
                yield Selection(statement, target.id, found[0], tuple(uses_of(module, statement, target.id)))
        elif any(stored(part) in names_in(mask) for part in ast.walk(statement)):
            return


def _rewritten(site: Site, selections: Sequence[Selection], mask: ast.expr) -> Rewrite | None:
    module, build = site.module, Build(site.module, site.node)
    if not all(is_alone(module, one) for one in selections):
        return None
    kept = ast.unparse(mask) if is_atom(mask) else build.fresh("kept")
    writer = _Writer(build, mask, kept, {one.name: one for one in selections})
    changes: dict[ast.expr, str] = {}
    asks, extremes = False, list[ast.stmt]()
    for one in selections:
        for use in one.uses:
            if getattr(next(module.parents(use), None), "attr", "") in _OF_THE_KIND:
                continue
            found = writer.reduction(one, use)
            if found is None:
                return None
            whole, text, kind = found
            changes[whole] = text
            asks |= kind in COUNTS
            if kind in EXTREMES and (statement := site.module.enclosing(use, ast.stmt)) is not None:
                extremes.append(statement)
    parts: list[Rewrite | None] = [_named(site, one, writer, one is selections[0]) for one in selections]
    if any(part in changes for whole in changes for part in module.parents(whole)):
        return None
    parts.append(site.replace_each([(whole, text, {}) for whole, text in changes.items()]))
    if not asks:
        said = f'"graphfix: {ast.unparse(mask)} selects nothing"'.replace("'", "")
        check = f"{{torch}}._assert_async({kept}.any(), {said})"
        parts += [replace(site, dual=True).before(one, check) for one in dict.fromkeys(extremes)]
    return site.together(*parts)


def _named(site: Site, one: Selection, writer: _Writer, first: bool) -> Rewrite | None:
    """The statement that names the selection, naming the whole tensor instead."""
    plain, mask = replace(site, dual=False), writer.mask
    new = [f"{writer.kept} = {{mask}}"] if first and not is_atom(mask) else []
    if not isinstance(one.tensor, ast.Name) or one.tensor.id != one.name:
        new.append(f"{one.name} = {{tensor}}")
    if one.name in writer.shaped:
        shaped = mask_text(site.module, ast.Name(one.name), ast.Name(writer.kept))
        new.append(f"{writer.shaped[one.name]} = {shaped}")
    given: dict[str, ast.AST] = {"tensor": one.tensor, "mask": mask, "statement": one.statement}
    if not site.dual:
        return plain.replace(one.statement, "\n".join(new) or "pass", **given)
    if not new:
        return plain.replace(one.statement, "if not {torch}.compiler.is_compiling():\n    {statement}", **given)
    body = "".join(f"    {line}\n" for line in new)
    return plain.replace(
        one.statement, f"if {{torch}}.compiler.is_compiling():\n{body}else:\n    {{statement}}", **given
    )


@dataclass(frozen=True)
class _Writer:
    """Writes what is computed of selections as what is computed of whole tensors under the mask, called `kept`."""

    build: Build
    mask: ast.expr
    kept: str
    names: dict[str, Selection]
    shaped: dict[str, str] = field(default_factory=dict)
    """Names for the mask in the shape of a tensor, by the tensor's name."""

    @property
    def module(self) -> Module:
        return self.build.module

    def reduction(self, one: Selection, use: ast.Name) -> tuple[ast.expr, str, str] | None:
        """The expression that reduces what a use reads, its new text, and its kind; None where it is none."""
        inner, whole, kind = reduced(self.module, use)
        if whole is None:
            return self._over_rows(one, use) or self._loss(use) or self._deviation(one, use)
        count = f"{self.kept}.sum()"
        if kind in COUNTS:
            if kind == "numel" and not self._alike(one):
                count = f"{self._shaped(one)}.expand_as({one.name}).sum()"
            above = next(self.module.parents(whole), None)
            asked = isinstance(above, ast.If | ast.IfExp) and above.test is whole
            return whole, f"{self.kept}.any()" if asked else count, kind
        if not self._alike(one):
            count = f"{self._shaped(one)}.expand_as({one.name}).sum()"
        value = one.name if inner is use else self._filled(inner)
        text = f"{{torch}}.where({self._shaped(one)}, {value}, {NEUTRAL[kind]})"
        return whole, f"{text}.sum() / {count}" if kind == "mean" else f"{text}.{kind}()", kind

    def _alike(self, one: Selection) -> bool:
        """Whether the mask has the tensor's shape for certain."""
        return has_shape_of(self.module, self.mask, one.tensor) or _is_flat(self.module, one.tensor)

    def _shaped(self, one: Selection) -> str:
        """The mask as `where` takes it beside the tensor."""
        if self._alike(one):
            return self.kept
        if one.name not in self.shaped:
            self.shaped[one.name] = self.build.fresh("kept")
        return self.shaped[one.name]

    def _filled(self, inner: ast.AST) -> str:
        """An expression of selections, with zeros where the mask is false."""
        reads = (part for part in ast.walk(inner) if isinstance(part, ast.Name) and part.id in self.names)
        texts: dict[ast.expr, str] = {
            part: f"torch.where({self._shaped(self.names[part.id])}, {part.id}, 0)" for part in reads
        }
        return Put(texts).text(inner).replace("torch.where(", "{torch}.where(")

    def _over_rows(self, one: Selection, use: ast.Name) -> tuple[ast.expr, str, str] | None:
        """`valid.mean(dim=0)`, `valid.max(0)[0]`: what is reduced for each place in a row."""
        if (found := over_rows(self.module, use)) is None:
            return None
        return found[0], rows_reduced(found[1], self._shaped(one), one.name, self.kept), found[1]

    def _deviation(self, one: Selection, use: ast.Name) -> tuple[ast.expr, str, str] | None:
        """`valid.std()`, `valid.var()` of all elements."""
        found = spread_of(self.module, use)
        if found is None or not self._alike(one):
            return None
        return found[0], deviation(found[1], self.kept, one.name, f"{self.kept}.sum()"), found[1]

    def _loss(self, use: ast.Name) -> tuple[ast.expr, str, str] | None:
        """A mean loss of two selections."""
        call = next(self.module.parents(use), None)
        if not isinstance(call, ast.Call) or len(call.args) != 2 or not all(self._is_named(arg) for arg in call.args):
            return None
        first, second = (self.names[arg.id] for arg in call.args if isinstance(arg, ast.Name))
        called = self._called(call.func)
        options = "".join(f", {one.arg}={ast.unparse(one.value)}" for one in call.keywords)
        named = {one.arg for one in call.keywords}
        if named & {"reduction", "ignore_index", None} or "{" in options:
            return None
        if called in _CLASSES:
            labels = f"{{torch}}.where({self._shaped(second)}, {second.name}, {IGNORED})"
            return call, f"{ast.unparse(call.func)}({first.name}, {labels}{options})", "loss"
        if called not in _LOSSES or not isinstance(call.func, ast.Attribute):
            return None
        whole = ast.unparse(call.func)
        each = f"{whole}({self._filled(call.args[0])}, {self._filled(call.args[1])}{options}, reduction='none')"
        count = f"{self.kept}.sum()" if self._alike(first) else f"{self._shaped(first)}.expand_as({first.name}).sum()"
        return call, f"{{torch}}.where({self._shaped(first)}, {each}, 0).sum() / {count}", "loss"

    def _is_named(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self.names

    def _called(self, function: ast.expr) -> str:
        """The name of the loss that is called: a function, or the class of the module that is."""
        layer = self.module.analysis.layer(function)
        value = last_value(self.module, function) if isinstance(function, ast.Name) else None
        made = meaning(self.module, value.func) if isinstance(value, ast.Call) else ""
        plain = isinstance(value, ast.Call) and not (value.args or value.keywords)
        known = layer or (made if plain else "") or meaning(self.module, function)
        return known.rpartition(".")[2]


def _is_flat(module: Module, node: ast.expr) -> bool:
    """Whether a tensor has one dimension for certain."""
    if isinstance(node, ast.Name) and (value := last_value(module, node)) is not None:
        return _is_flat(module, value)
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.keywords:
        return False
    given = [ast.unparse(one) for one in node.args]
    return (node.func.attr, given) in (("view", ["-1"]), ("reshape", ["-1"]), ("flatten", []), ("ravel", []))
