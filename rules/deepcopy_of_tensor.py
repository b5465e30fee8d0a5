"""GF506: tensors copied by the copy module."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._match import only_value

_TENSOR = "{old}.detach().clone()"
_LIST = "[one.detach().clone() for one in {old}]"
_TUPLE = "tuple(one.detach().clone() for one in {old})"
_DICT = "{key: one.detach().clone() for key, one in {old}.items()}"
_TREE = """
{torch}.utils._pytree.tree_map(
    lambda one: one.detach().clone() if isinstance(one, {torch}.Tensor) else {deepcopy}(one),
    {old},
)
"""
_NO_TENSORS = (ast.List, ast.Tuple, ast.Dict, ast.ListComp, ast.DictComp, ast.Constant, ast.JoinedStr)


class DeepcopyOfTensor(Rule):
    """What it does:
        Copies a tensor, or a list, tuple or dictionary of tensors, with `detach().clone()` instead of `copy.deepcopy`.
        Where containers lie within one another, or hold other things as well, `tree_map` does so for their tensors, and
        leaves the other things to `copy.deepcopy`.

    Why it breaks the graph:
        Dynamo does not trace the copying of a tensor by Python's copy module (GB4198).

    Example:
        before = copy.deepcopy(hidden)
        before = hidden.detach().clone()

    Safety:
        Proven. `deepcopy` makes a detached copy too, with the same values and strides. It also keeps `requires_grad` of
        a leaf, and copies once what a container holds twice: where a run shows that, the dual form keeps eager.
    """

    code, name = "GF506", "deepcopy-of-tensor"
    title = "copy tensors with detach().clone()"
    safety = Safety.PROVEN
    repairs = frozenset({"GB4198", "GB0007"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        return next(self.rewrites(site), None)

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        call = next((one for one in (site.node, *site.module.parents(site.node)) if isinstance(one, ast.Call)), None)
        if call is None or site.module.analysis.meaning(call.func) != "copy.deepcopy" or len(call.args) != 1:
            return
        old = call.args[0]
        for template in _templates(site, old):
            yield site.replace(call, template, old=old, deepcopy=call.func)

    cases = (
        Rewrites(
            before="""
                import copy
                import torch

                def f(x):
                    kept = copy.deepcopy(x)  # as it was
                    x = x.mul_(2)
                    return x, kept
            """,
            after="""
                import copy
                import torch

                def f(x):
                    kept = x.detach().clone()  # as it was
                    x = x.mul_(2)
                    return x, kept
            """,
            calls=("f(torch.ones(2, 3))", "f(torch.ones(3, 3).t())"),
        ),
        Rewrites(
            before="""
                from copy import deepcopy
                import torch

                class Beam(torch.nn.Module):
                    def forward(self, x, *, steps: int = 2):
                        states = [x, x + 1]
                        old = deepcopy([x.sin(), x.cos()])
                        for state in states:
                            state.add_(1)
                        return sum(old) + states[0]

                f = Beam()
            """,
            after="""
                from copy import deepcopy
                import torch

                class Beam(torch.nn.Module):
                    def forward(self, x, *, steps: int = 2):
                        states = [x, x + 1]
                        old = [one.detach().clone() for one in [x.sin(), x.cos()]]
                        for state in states:
                            state.add_(1)
                        return sum(old) + states[0]

                f = Beam()
            """,
            calls=("f(torch.ones(2, 3))", "f(torch.ones(3, 3), steps=1)"),
        ),
        Rewrites(
            before="""
                import copy as cp
                import torch

                def f(x, y):
                    batch = {"x": x, "y": y}
                    saved = cp.deepcopy(batch)
                    batch["x"] += 1
                    return saved["x"] * batch["x"], saved
            """,
            after="""
                import copy as cp
                import torch

                def f(x, y):
                    batch = {"x": x, "y": y}
                    saved = {key: one.detach().clone() for key, one in batch.items()}
                    batch["x"] += 1
                    return saved["x"] * batch["x"], saved
            """,
            calls=("f(torch.ones(2, 3), torch.zeros(2))", "f(torch.ones(3, 3), torch.zeros(2))"),
        ),
        Rewrites(
            before="""
                import copy
                import torch

                class Beam(torch.nn.Module):
                    def forward(self, x, sizes):
                        state = {"x": x, "hops": [(x.sin(), 0.5), (x.cos(), None)], "sizes": sizes, "name": "beam"}
                        old = copy.deepcopy(state)  # as it was
                        state["hops"][0][0].mul_(2)
                        sizes.append(1)
                        return old, state

                f = Beam()
            """,
            after="""
                import copy
                import torch

                class Beam(torch.nn.Module):
                    def forward(self, x, sizes):
                        state = {"x": x, "hops": [(x.sin(), 0.5), (x.cos(), None)], "sizes": sizes, "name": "beam"}
                        old = torch.utils._pytree.tree_map(
                            lambda one: one.detach().clone() if isinstance(one, torch.Tensor) else copy.deepcopy(one),
                            state,
                        )  # as it was
                        state["hops"][0][0].mul_(2)
                        sizes.append(1)
                        return old, state

                f = Beam()
            """,
            calls=("f(torch.ones(2), [1, 2])", "f(torch.ones(3), [])"),
        ),
        Leaves(
            source="""
                import copy
                import torch

                def f(x, sizes):
                    sizes = copy.deepcopy(sizes)
                    sizes.append(1)
                    return x * len(sizes)
            """,
            calls=("f(torch.ones(2), [1, 2])",),
        ),
        Leaves(
            source="""
                import torch

                class Copier:
                    def deepcopy(self, x):
                        return x.detach().clone()

                copy = Copier()

                def f(x):
                    return copy.deepcopy(x) + 1
            """,
            calls=("f(torch.ones(2))",),
        ),
    )


def _templates(site: Site, old: ast.expr) -> list[str]:
    """The likeliest forms for what is copied, by its own text, or that of the name's only value."""
    value = (only_value(site.module, old) if isinstance(old, ast.Name) else None) or old
    if any(isinstance(part, _NO_TENSORS) for part in _parts(value)):
        return [_TREE]
    if isinstance(value, ast.List | ast.ListComp):
        return [_LIST, _TREE]
    if isinstance(value, ast.Tuple):
        return [_TUPLE, _TREE]
    if isinstance(value, ast.Dict | ast.DictComp):
        return [_DICT, _TREE]
    if site.module.analysis.tensor(old):
        return [_TENSOR]
    return [_TENSOR, _LIST, _DICT, _TUPLE, _TREE]


def _parts(node: ast.expr) -> list[ast.expr]:
    """What the text of a list, tuple or dictionary puts into it."""
    if isinstance(node, ast.List | ast.Tuple):
        return node.elts
    if isinstance(node, ast.Dict):
        return node.values
    if isinstance(node, ast.ListComp):
        return [node.elt]
    return [node.value] if isinstance(node, ast.DictComp) else []
