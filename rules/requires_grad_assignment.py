"""GF509: `requires_grad` assigned in compiled code."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._match import dotted, only_value

_ASKING = frozenset(
    "backward grad vjp jacobian hessian register_hook retain_grad requires_grad is_leaf grad_fn".split()
)
"""What asks for a gradient, or whether there is one."""
_MAKING = frozenset(
    "detach clone tensor linspace arange rand randn zeros ones rand_like randn_like zeros_like stack cat".split()
)
"""What gives a tensor that nothing else holds."""


class RequiresGradAssignment(Rule):
    """What it does:
        Calls `requires_grad_` instead of assigning to `requires_grad`. Leaves the call out where it makes a tensor that
        only its function has, which asks for no gradient there.

    Why it breaks the graph:
        Dynamo does not trace the assignment (GB0206), but knows the method, as long as the tensor is no input that
        becomes one with a gradient, and is not returned (GB0125, GB8985).

    Example:
        y.requires_grad = False
        y.requires_grad_(False)

        points = x.detach().requires_grad_(True)
        points = x.detach()

    Safety:
        Proven. The method does what the assignment does, and fails where it fails. Without the call, the run shows
        whether all results still require a gradient or not, as before.
    """

    code, name = "GF509", "requires-grad-assignment"
    title = "set requires_grad by its method"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0206", "GB8985"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        statement = site.enclosing(ast.stmt)
        if isinstance(statement, ast.Assign) and (tensor := _needless(site.module, statement)) is not None:
            return site.replace(statement.value, "{tensor}", tensor=tensor)
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            return None
        target = statement.targets[0]
        if not isinstance(target, ast.Attribute) or target.attr != "requires_grad":
            return None
        return site.replace(statement, "{tensor}.requires_grad_({value})\n", tensor=target.value, value=statement.value)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x):
                    y = x.sin()
                    y.requires_grad = False  # no gradient
                    return y * 2
            """,
            after="""
                import torch

                def f(x):
                    y = x.sin()
                    # no gradient
                    y.requires_grad_(False)
                    return y * 2
            """,
            calls=("f(torch.ones(2, 3))", "f(torch.ones(3, 3))"),
        ),
        Rewrites(
            before="""
                import torch
                from torch import nn

                class Frozen(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.layer = nn.Linear(3, 3)

                    def forward(self, x, *, frozen: bool = True):
                        for parameter in (self.layer.weight, self.layer.bias):
                            parameter.requires_grad = not frozen
                        return self.layer(x).relu()

                f = Frozen()
            """,
            after="""
                import torch
                from torch import nn

                class Frozen(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.layer = nn.Linear(3, 3)

                    def forward(self, x, *, frozen: bool = True):
                        for parameter in (self.layer.weight, self.layer.bias):
                            parameter.requires_grad_(not frozen)
                        return self.layer(x).relu()

                f = Frozen()
            """,
            calls=("f(torch.ones(2, 3))", "f(torch.ones(3, 3))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x):
                    inner = x.detach()
                    inner.requires_grad = True
                    with torch.no_grad():
                        return inner.cos()
            """,
            after="""
                import torch

                def f(x):
                    inner = x.detach()
                    inner.requires_grad_(True)
                    with torch.no_grad():
                        return inner.cos()
            """,
            calls=("f(torch.ones(2, 3))", "f(torch.ones(3, 3))"),
        ),
        Rewrites(
            before="""
                import torch

                class Potential(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.layer = torch.nn.Linear(3, 1)

                    def forward(self, positions):
                        atoms = positions.detach().requires_grad_()
                        return self.layer(atoms.tanh()).sum()

                f = Potential()
            """,
            after="""
                import torch

                class Potential(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.layer = torch.nn.Linear(3, 1)

                    def forward(self, positions):
                        atoms = positions.detach()
                        return self.layer(atoms.tanh()).sum()

                f = Potential()
            """,
            calls=("f(torch.ones(2, 3))", "f(torch.ones(4, 3))"),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    leaf = x.detach().requires_grad_(True)
                    return leaf * 2, {"leaf": leaf}
            """,
            calls=("f(torch.ones(2))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    marked = x.contiguous().requires_grad_(True)
                    return (marked * 2).detach()
            """,
            calls=("f(torch.ones(2))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    leaf = x.detach().requires_grad_(True)
                    energy = leaf.square().sum()
                    return torch.autograd.grad(energy, leaf)[0]
            """,
            calls=("f(torch.ones(2))",),
        ),
        Leaves(
            source="""
                import torch

                class Options:
                    requires_grad = False

                options = Options()

                def f(x):
                    return x * (2 if options.requires_grad else 3)
            """,
            calls=("f(torch.ones(2))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    return x.requires_grad_() * 2
            """,
            calls=("f(torch.ones(2))",),
        ),
    )


def _needless(module: Module, statement: ast.Assign) -> ast.expr | None:
    """`t` of `name = t.requires_grad_()`, where the name's tensor stays in its function, which asks for no gradient."""
    name, call, function = statement.targets[0], statement.value, module.function_of(statement)
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or not isinstance(name, ast.Name):
        return None
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    sets = not given or (isinstance(given[0], ast.Constant) and given[0].value is True)
    if call.func.attr != "requires_grad_" or not sets or function is None or only_value(module, name) is not call:
        return None
    if not _is_new(call.func.value):
        return None
    nodes = [*ast.walk(function)]
    if any(_asks(node) for node in nodes):
        return None
    reads = (node for node in nodes if isinstance(node, ast.Name) and node.id == name.id and node is not name)
    return call.func.value if all(_stays(module, read) for read in reads) else None


def _is_new(node: ast.expr) -> bool:
    """Whether a chain of methods makes a tensor, so that no caller's is changed."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in _MAKING:
            return True
        node = node.func.value
    return False


def _asks(node: ast.AST) -> bool:
    called = dotted(node.func) if isinstance(node, ast.Call) else ""
    return called.rpartition(".")[2] in _ASKING or (isinstance(node, ast.Attribute) and node.attr in _ASKING)


def _stays(module: Module, read: ast.Name) -> bool:
    """Whether a name is read as an operand, an argument, or for a method: not kept, returned, or given another name."""
    parent = next(module.parents(read), None)
    if isinstance(parent, ast.Attribute):
        return isinstance(next(module.parents(parent), None), ast.Call) and not parent.attr.endswith("_")
    return isinstance(parent, ast.BinOp | ast.Compare | ast.Subscript | ast.UnaryOp | ast.keyword) or (
        isinstance(parent, ast.Call) and not _keeps(parent)
    )


def _keeps(call: ast.Call) -> bool:
    """`rows.append(name)` and its like."""
    kept = {"append", "extend", "insert", "add", "setdefault", "update", "setattr", "register_buffer"}
    return dotted(call.func).rpartition(".")[2] in kept
