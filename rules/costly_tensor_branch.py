"""GF205: `if tensor:` between two ways that are costly to compute."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import FUNCTIONS

from ._arms import is_bound_before, is_live_behind
from ._chain import elifs_above
from ._condition import Build, Decision, branch_of, decide
from ._match import block_of, dotted
from ._returns import ends_in_return

_LOOPS = (ast.For, ast.While, ast.With, ast.ListComp, ast.GeneratorExp)
_PRODUCTS = frozenset("matmul bmm mm einsum linear conv1d conv2d conv3d scaled_dot_product_attention svd inv".split())
_CHEAP = frozenset("abs bool dict float getattr hasattr int isinstance len list max min range tuple zip".split())


class CostlyTensorBranch(Rule):
    """What it does:
        Lets compiled code choose between two ways by `torch.cond`, which runs only the one that is taken, where the
        ways hold loops or several layers. Eager code keeps its branch.

    Why it breaks the graph:
        Which way to go is known at run time only, so Dynamo ends the graph and lets Python decide (GB0170, or
        GB0124 where the condition reads a number with `.item()`).

    Example:
        if gate.mean() > 0:
            x = self.decoder(self.encoder(x))

        if torch.compiler.is_compiling():

            def taken(x):
                x = self.decoder(self.encoder(x))
                return x

            def other(x):
                return x.clone()

            x = torch.cond(gate.mean() > 0, taken, other, (x,))
        elif gate.mean() > 0:
            x = self.decoder(self.encoder(x))

    Safety:
        Proven, and eager is unchanged. Both ways must give tensors of the same shapes and dtypes, change nothing in
        place and return none of their inputs; where that fails, `torch.where` over both ways is tried (GF206, GF207).
    """

    code, name = "GF205", "costly-tensor-branch"
    title = "choose the way with torch.cond"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170", "GB0124", "GB0033"})

    def rewrite(self, site: Site) -> Rewrite | None:
        branch = branch_of(site, ast.If)
        if not isinstance(branch, ast.If) or elifs_above(site.module, branch):
            return None
        parent = next(site.module.parents(branch), None)
        build = Build(site.module, site.node)
        decision = decide(build, branch.test)
        if parent is None or decision is None or any(isinstance(part, ast.NamedExpr) for part in ast.walk(branch.test)):
            return None
        block = block_of(parent, branch)
        behind = branch.orelse or block[block.index(branch) + 1 :]
        returns = ends_in_return(branch.body) and ends_in_return(behind)
        arms = (branch.body, behind if returns else branch.orelse)
        if not _is_costly(build, branch, arms) or any(_is_impure(arm, returns) for arm in arms):
            return None
        if decision.plain and branch.orelse:
            return None
        text = _returned(build, branch, arms, decision) if returns else _assigned(build, branch, arms, decision)
        return None if text is None else build.put(site, branch, text, branch.test)

    cases = (
        Rewrites(
            before="""
                import torch
                from torch import nn

                class Experts(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.small = nn.Linear(4, 4)
                        self.wide, self.narrow = nn.Linear(4, 16), nn.Linear(16, 4)

                    def forward(self, x, gate):
                        y = x * 2
                        if gate.mean() > 0:
                            # the long way
                            hidden = self.wide(y).relu()
                            y = self.narrow(hidden)
                        else:
                            y = self.small(y)
                        return y + x

                torch.manual_seed(0)
                f = Experts().requires_grad_(False)
            """,
            after="""
                import torch
                from torch import nn

                class Experts(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.small = nn.Linear(4, 4)
                        self.wide, self.narrow = nn.Linear(4, 16), nn.Linear(16, 4)

                    def forward(self, x, gate):
                        y = x * 2
                        if torch.compiler.is_compiling():

                            def taken(y):
                                # the long way
                                hidden = self.wide(y).relu()
                                y = self.narrow(hidden)
                                return y

                            def other(y):
                                y = self.small(y)
                                return y

                            y = torch.cond(gate.mean() > 0, taken, other, (y,))
                        elif gate.mean() > 0:
                            # the long way
                            hidden = self.wide(y).relu()
                            y = self.narrow(hidden)
                        else:
                            y = self.small(y)
                        return y + x

                torch.manual_seed(0)
                f = Experts().requires_grad_(False)
            """,
            calls=("f(torch.ones(2, 4), torch.ones(2))", "f(torch.ones(3, 4), -torch.ones(2))"),
        ),
        Rewrites(
            before="""
                import torch

                class Refine(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.step = torch.nn.Linear(3, 3)

                    def forward(self, x, rounds: int = 3, *, train: bool = False):
                        if not train and x.abs().max().item() > 1:
                            for _ in range(rounds):
                                x = self.step(x).tanh()
                        return x * 2

                torch.manual_seed(0)
                f = Refine().requires_grad_(False)
            """,
            after="""
                import torch

                class Refine(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.step = torch.nn.Linear(3, 3)

                    def forward(self, x, rounds: int = 3, *, train: bool = False):
                        if torch.compiler.is_compiling():

                            if not train:
                                def taken(x):
                                    for _ in range(rounds):
                                        x = self.step(x).tanh()
                                    return x

                                def other(x):
                                    return x.clone()

                                x = torch.cond(x.abs().max() > 1, taken, other, (x,))
                        elif not train and x.abs().max().item() > 1:
                            for _ in range(rounds):
                                x = self.step(x).tanh()
                        return x * 2

                torch.manual_seed(0)
                f = Refine().requires_grad_(False)
            """,
            calls=("f(torch.ones(3) * 4)", "f(torch.ones(2, 3))", "f(torch.ones(2, 3), train=True)"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, w):
                    if torch.any(x < 0) or (w == 0).all():
                        return (x @ w).cumsum(-1) @ w
                    total = x.sum(-1, keepdim=True)
                    scaled = x / total
                    return scaled @ w.t() @ w
            """,
            after="""
                import torch

                def f(x, w):
                    if torch.compiler.is_compiling():

                        def taken():
                            return (x @ w).cumsum(-1) @ w

                        def other():
                            total = x.sum(-1, keepdim=True)
                            scaled = x / total
                            return scaled @ w.t() @ w

                        return torch.cond(torch.any(x < 0) | (w == 0).all(), taken, other, ())
                    elif torch.any(x < 0) or (w == 0).all():
                        return (x @ w).cumsum(-1) @ w
                    total = x.sum(-1, keepdim=True)
                    scaled = x / total
                    return scaled @ w.t() @ w
            """,
            calls=("f(torch.ones(2, 3), torch.eye(3))", "f(-torch.ones(2, 3), torch.eye(3))"),
        ),
        Leaves(
            source="""
                def f(x):
                    if x.sum() > 3:
                        x = x / x.sum()
                    return x + 1
            """,
            calls=("f(torch.ones(4))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x, rows: list):
                    if x.sum() > 3:
                        for row in x:
                            rows.append(row @ row)
                    return x + 1
            """,
            calls=("f(torch.ones(4, 2), [])",),
        ),
    )


def _is_costly(build: Build, branch: ast.If, arms: Sequence[Sequence[ast.stmt]]) -> bool:
    """Whether an arm has a loop, or the arms have several calls whose cost the text does not show."""
    parts = [part for arm in arms for node in arm for part in ast.walk(node)]
    if any(isinstance(part, _LOOPS) for part in parts):
        return True
    calls = sum(isinstance(part, ast.Call) and _may_cost(build, part) for part in parts)
    products = sum(isinstance(part, ast.BinOp) and isinstance(part.op, ast.MatMult) for part in parts)
    return calls + products > 2


def _may_cost(build: Build, call: ast.Call) -> bool:
    name = dotted(call.func)
    last = name.rpartition(".")[2]
    if last in _PRODUCTS:
        return True
    if isinstance(call.func, ast.Name):
        return name not in _CHEAP
    return name.startswith("self.")


def _is_impure(arm: Sequence[ast.stmt], returns: bool) -> bool:
    """Whether an arm does more than give names values (and return)."""
    for node in (part for one in arm for part in ast.walk(one)):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom, ast.Raise)):
            return True
        if isinstance(node, ast.Break | ast.Continue | ast.Delete | ast.Global | ast.Nonlocal | ast.Import):
            return True
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            return True
        if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
            return True
        if isinstance(node, ast.Return) and not returns:
            return True
    return False


def _bound(arm: Sequence[ast.stmt]) -> list[str]:
    parts = (part for node in arm for part in ast.walk(node))
    names = [part.id for part in parts if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load)]
    return list(dict.fromkeys(names))


def _handed(build: Build, branch: ast.If, arms: Sequence[Sequence[ast.stmt]]) -> list[str]:
    """The names that the ways take as parameters, because they bind them anew."""
    names = dict.fromkeys(name for arm in arms for name in _bound(arm))
    return [name for name in names if is_bound_before(build.module, branch, name)]


def _assigned(build: Build, branch: ast.If, arms: Sequence[Sequence[ast.stmt]], decision: Decision) -> str | None:
    inside = set(ast.walk(branch))
    names = list(dict.fromkeys([*_bound(arms[0]), *_bound(arms[1])]))
    live = [name for name in names if is_live_behind(build.module, branch, inside, name)]
    handed = _handed(build, branch, arms)
    bound = [set(_bound(arm)) for arm in arms]
    if not live or any(name not in handed and not all(name in one for one in bound) for name in live):
        return None
    given = [", ".join(name if name in one else f"{name}.clone()" for name in live) for one in bound]
    bodies = [f"{build.slot(arm)}\n" if arm else "" for arm in arms]
    ways = [f"{body}return {values}" for body, values in zip(bodies, given, strict=True)]
    return _whole(build, branch, decision, handed, ways, f"{', '.join(live)} = ")


def _returned(build: Build, branch: ast.If, arms: Sequence[Sequence[ast.stmt]], decision: Decision) -> str | None:
    handed = _handed(build, branch, arms)
    return _whole(build, branch, decision, handed, [build.slot(arm) for arm in arms], "return ")


def _whole(
    build: Build, branch: ast.If, decision: Decision, handed: Sequence[str], ways: Sequence[str], result: str
) -> str:
    names = [build.fresh("taken"), build.fresh("other")]
    parameters = ", ".join(handed)
    operands = f"({parameters},)" if len(handed) == 1 else f"({parameters})"
    text = ""
    for name, way in zip(names, ways, strict=True):
        text += f"def {name}({parameters}):\n" + "".join(f"    {line}\n" for line in way.splitlines()) + "\n"
    text += f"{result}{{torch}}.cond({decision.tensor}, {names[0]}, {names[1]}, {operands})\n"
    inner = decision.guard(build, text)
    compiled = "".join(f"    {line}\n" if line else "\n" for line in inner.splitlines())
    otherwise = f"elif {build.slot(branch.test)}:\n    {build.slot(branch.body)}\n"
    if branch.orelse:
        otherwise += f"else:\n    {build.slot(branch.orelse)}\n"
    return f"if {{torch}}.compiler.is_compiling():\n\n{compiled}{otherwise}"
