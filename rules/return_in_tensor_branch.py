"""GF207: `if tensor: return`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._arms import Reader, used
from ._chain import as_else, elifs_above
from ._condition import Build, branch_of, decide
from ._items import Item, Plain, Put, Unknown
from ._match import block_of
from ._merge import merged, statements
from ._returns import Group, Leaf, Tree, chosen, ends_in_return, tree_of, written


class ReturnInTensorBranch(Rule):
    """What it does:
        Returns `torch.where` of what the arms of a branch return. Where the function goes on behind an early return,
        the rest runs as well, and what it returns is chosen against the early value.

    Why it breaks the graph:
        Whether to return is known at run time only, so Dynamo ends the graph and lets Python decide (GB0170, or
        GB0124 where the condition reads a number with `.item()`).

    Example:
        if x.sum() > 0:
            return x.relu()
        return x.tanh()

        return torch.where(x.sum() > 0, x.relu(), x.tanh())

    Safety:
        Proven. Both values must be tensors (or tuples, dictionaries, outputs of tensors) of one shape and dtype, and
        nothing may see that the rest of the function ran: a run shows it, with inputs that take either way.
    """

    code, name = "GF207", "return-in-tensor-branch"
    title = "choose what is returned with torch.where"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170", "GB0124", "GB0033"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        branch = branch_of(site, ast.If)
        if not isinstance(branch, ast.If) or not ends_in_return(branch.body):
            return None
        parent = next(site.module.parents(branch), None)
        if parent is None:
            return None
        rest = _rest(parent, branch)
        build = Build(site.module, site.node)
        try:
            if ends_in_return(branch.orelse):
                return _whole(site, build, branch, branch.orelse, [])
            if branch.orelse:
                return None
            if len(rest) == 1 and isinstance(rest[0], ast.Return):
                return _whole(site, build, branch, rest, rest)
            return _early(site, build, branch)
        except Unknown:
            return None

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x):
                    # which way
                    if x.sum() > 0:
                        return x.relu()  # the positive way
                    return x.tanh()
            """,
            after="""
                import torch

                def f(x):
                    # which way
                    # the positive way
                    return torch.where(x.sum() > 0, x.relu(), x.tanh())
            """,
            calls=("f(torch.ones(3))", "f(-torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import torch

                class Head(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.proj = torch.nn.Linear(3, 3)

                    def forward(self, hidden, scale: float = 2.0):
                        hidden = self.proj(hidden)
                        if (norm := hidden.norm()).item() > scale:
                            shrunk = hidden / norm
                            return {"hidden": shrunk, "norm": norm}
                        elif norm < 0.5:
                            return {"hidden": hidden, "norm": norm * 2}
                        else:
                            return {"hidden": hidden * scale, "norm": norm}

                torch.manual_seed(0)
                f = Head()
            """,
            after="""
                import torch

                class Head(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.proj = torch.nn.Linear(3, 3)

                    def forward(self, hidden, scale: float = 2.0):
                        hidden = self.proj(hidden)
                        condition = (norm := hidden.norm()).double() > scale
                        shrunk = hidden / norm
                        condition_2 = norm < 0.5
                        return {
                            "hidden": torch.where(condition, shrunk, torch.where(condition_2, hidden, hidden * scale)),
                            "norm": torch.where(condition, norm, torch.where(condition_2, norm * 2, norm)),
                        }

                torch.manual_seed(0)
                f = Head()
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(2, 3) * 9)"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, y):
                    if torch.equal(x, y):
                        return x * 1, None
                    z = x - y
                    z = z / (z.abs().max() + 1)
                    return z, None
            """,
            after="""
                import torch

                def f(x, y):
                    condition = (x == y).all()
                    early = x * 1
                    z = x - y
                    z = z / (z.abs().max() + 1)
                    return torch.where(condition, early, z), None
            """,
            calls=("f(torch.ones(3), torch.ones(3))", "f(torch.ones(4), torch.zeros(4))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, m=None):
                    if m is not None and m.all():
                        return x.abs()
                    if x.mean() < 0:
                        x = x * 2
                        return -x
                    y = x.cumsum(0) * 3
                    return y
            """,
            after="""
                import torch

                def f(x, m=None):
                    if m is not None:
                        condition = m.all()
                        early = x.abs()
                    condition_2 = x.mean() < 0
                    x = torch.where(condition_2, x * 2, x)
                    early_2 = torch.where(condition, early, -x) if m is not None else -x
                    y = x.cumsum(0) * 3
                    return torch.where(condition_2, early_2, torch.where(condition, early, y) if m is not None else y)
            """,
            calls=(
                "f(torch.ones(3), torch.ones(3, dtype=torch.bool))",
                "f(torch.ones(4), torch.arange(4) > 2)",
                "f(-torch.ones(4))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, m=None, scale=1.0):
                    if m is not None:
                        x = x * m
                        if x.sum() < 0:
                            return x, scale
                        x = x + 1
                    return x.tanh(), scale
            """,
            after="""
                import torch

                def f(x, m=None, scale=1.0):
                    condition = None
                    if m is not None:
                        x = x * m
                        condition = x.sum() < 0
                        early = x
                        x = x + 1
                    return torch.where(condition, early, x.tanh()) if condition is not None else x.tanh(), scale
            """,
            calls=("f(torch.ones(3), torch.ones(3))", "f(torch.ones(4), -torch.ones(4))", "f(torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, scale=1.0):
                    if scale > 4:
                        x = x * scale
                    elif x.max() > 3:
                        return x / 3
                    return x.tanh()
            """,
            after="""
                import torch

                def f(x, scale=1.0):
                    condition = None
                    if scale > 4:
                        x = x * scale
                    else:
                        condition = x.max() > 3
                        early = x / 3
                    return torch.where(condition, early, x.tanh()) if condition is not None else x.tanh()
            """,
            calls=("f(torch.ones(3))", "f(torch.full((4,), 4.0))", "f(torch.ones(4), 5.0)"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x):
                    power = x.mean()
                    if power <= 0:
                        return power * 0
                    torch._assert_async(power > 0, "no logarithm")
                    return power.log()
            """,
            after="""
                import torch

                def f(x):
                    power = x.mean()
                    condition = power <= 0
                    early = power * 0
                    torch._assert_async((power > 0) | condition, "no logarithm")
                    return torch.where(condition, early, power.log())
            """,
            calls=("f(torch.ones(3))", "f(-torch.ones(3))"),
        ),
        Leaves(
            source="""
                def f(x):
                    if x.sum() > 0:
                        return None
                    return x + 1
            """,
            calls=("f(-torch.ones(3))",),
        ),
        Leaves(
            source="""
                def f(x):
                    for step in range(3):
                        x = x * 2
                        if x.sum() > 20:
                            return x
                    return x + 1
            """,
            calls=("f(torch.ones(3))",),
        ),
    )


def _rest(parent: ast.AST, branch: ast.stmt) -> list[ast.stmt]:
    """The statements behind a branch in its block."""
    block = block_of(parent, branch)
    return block[block.index(branch) + 1 :]


def _returned(reader: Reader, body: Sequence[ast.stmt]) -> tuple[list[Item], Tree]:
    """What a block that returns does before, and what it returns. Raises Unknown."""
    build, last = reader.build, body[-1]
    items = reader.items(body[:-1], body)
    if isinstance(last, ast.Return):
        return items, tree_of(build, last.value)
    if not isinstance(last, ast.If) or any(isinstance(part, ast.NamedExpr) for part in ast.walk(last.test)):
        raise Unknown
    more, tree = _either(reader, last, last.body, last.orelse)
    return [*items, *more], tree


def _either(reader: Reader, node: ast.If, yes: Sequence[ast.stmt], no: Sequence[ast.stmt]) -> tuple[list[Item], Tree]:
    build = reader.build
    decision = decide(build, node.test)
    if decision is None or decision.plain:
        raise Unknown
    name = build.fresh("condition")
    (one, first), (other, second) = _returned(reader, yes), _returned(reader, no)
    items = merged(build, name, one, other)
    tree = chosen(build, name, first, second)
    result = Put("return", "return @", written(tree), "")
    condition, found = reader.named(decision.tensor, name, [*items, result])
    if used(name, found):
        return [*condition, *found[:-1]], tree
    return found[:-1], chosen(build, decision.tensor, first, second)


def _whole(
    site: Site, build: Build, branch: ast.If, otherwise: Sequence[ast.stmt], behind: Sequence[ast.stmt]
) -> Rewrite | None:
    """Both ways return at once."""
    reader = Reader(build, branch, compiled=site.dual)
    decision = decide(build, branch.test)
    if decision is None:
        return None
    if decision.plain and behind:  # the rest still returns where Python's part of the condition does not hold
        return _guarded(site, build, branch, otherwise)
    if decision.plain:
        return None
    items, tree = _either(reader, branch, branch.body, otherwise)
    text = statements(build, [*items, Put("return", "return @", written(tree), "")])
    above = elifs_above(site.module, branch)
    if above and behind:
        return None
    old = above[0] if above else branch
    whole = [branch, *behind] if behind and not site.dual else old
    return build.put(site, whole, as_else(build, above, text), branch.test)


def _guarded(site: Site, build: Build, branch: ast.If, otherwise: Sequence[ast.stmt]) -> Rewrite | None:
    reader = Reader(build, branch, compiled=site.dual)
    decision = decide(build, branch.test)
    assert decision is not None
    (one, first), (other, second) = _returned(reader, branch.body), _returned(reader, otherwise)
    if one or other or elifs_above(site.module, branch):
        return None
    tree = chosen(build, decision.tensor, first, second)
    text = statements(build, [Put("return", "return @", written(tree), "")])
    return build.put(site, branch, decision.guard(build, text), branch.test)


def _early(site: Site, build: Build, branch: ast.If) -> Rewrite | None:
    """The function goes on behind the branch: its returns choose against the early value."""
    place = _behind(site.module, branch)
    if place is None or site.module.in_loop(branch):
        return None
    holder, rest = place
    returns = list(_returns(rest))
    if any(isinstance(part, ast.Yield | ast.YieldFrom) for node in rest for part in ast.walk(node)):
        return None
    reader = Reader(build, branch, compiled=site.dual)
    decision = decide(build, branch.test)
    if decision is None or _changes(decision.plain, rest):
        return None
    items, tree = _returned(reader, branch.body)
    name = build.fresh("condition")
    kept, early = _kept(build, tree, rest)
    before = merged(build, name, items, [])
    text = statements(build, [Plain(f"{name} = {decision.tensor}"), *before, *kept])
    above = elifs_above(site.module, branch)
    guarded = as_else(build, above, decision.guard(build, text))
    parts = [build.put(site, above[0] if above else branch, guarded, branch.test)]
    if holder is not branch:
        parts.insert(0, site.before(holder, f"{name} = None"))

    def unless(build: Build, value: str, otherwise: str) -> str:
        """The value, or that of the code as it was where the branch was not asked."""
        if holder is not branch:
            return f"{value} if {name} is not None else {otherwise}"
        return f"{value} if {decision.python(build)} else {otherwise}" if decision.plain else value

    for node in returns:
        other = Build(site.module, site.node, dict(build.parts), build.names)
        late = tree_of(other, node.value)
        value = _each(other, unless, chosen(other, name, early, late), late)
        assert node.value is not None
        parts.append(other.put(site, node.value, written(value)))
    for holds in _asserted(site.module, rest):  # behind the branch it has to hold only where that did not return
        other = Build(site.module, site.node, dict(build.parts), build.names)
        slot = other.slot(holds)
        parts.append(other.put(site, holds, unless(other, f"{slot} | {name}", slot)))
    return site.together(*parts)


def _each(build: Build, either: Callable[[Build, str, str], str], value: Tree, late: Tree) -> Tree:
    """`value` with each part that is not that of `late` written as a choice between both."""
    if isinstance(value, Leaf) and isinstance(late, Leaf):
        same = build.text(value.text) == build.text(late.text)
        return late if same else Leaf(either(build, value.text, late.text))
    if isinstance(value, Leaf) or isinstance(late, Leaf):
        raise Unknown
    parts = (_each(build, either, one, other) for one, other in zip(value.parts, late.parts, strict=True))
    return Group(value.kind, value.names, tuple(parts))


def _behind(module: Module, branch: ast.If) -> tuple[ast.stmt, list[ast.stmt]] | None:
    """All statements that may run behind a branch, up to a block that ends in a return, and the statement of that block
    that is the branch or holds it. None where the function may end without a return, or other statements than `if` and
    `with` are between."""
    holder: ast.stmt = branch
    rest: list[ast.stmt] = []
    while True:
        if isinstance(holder, ast.If):
            holder = (elifs_above(module, holder) or [holder])[0]
        parent = next(module.parents(holder), None)
        if parent is None:
            return None
        behind = _rest(parent, holder)
        rest += behind
        if ends_in_return(behind):
            return holder, rest
        if not isinstance(parent, ast.If | ast.With):
            return None
        holder = parent


def _asserted(module: Module, rest: Sequence[ast.stmt]) -> Iterator[ast.expr]:
    """The conditions that statements assert on the device."""
    for node in rest:
        for part in ast.walk(node):
            if isinstance(part, ast.Call) and module.analysis.meaning(part.func) == "torch._assert_async" and part.args:
                yield part.args[0]


def _changes(tests: Sequence[ast.expr], rest: Sequence[ast.stmt]) -> bool:
    """Whether the rest of a function sets a name that conditions read."""
    names = {part.id for test in tests for part in ast.walk(test) if isinstance(part, ast.Name)}
    return any(_is_set(name, rest) for name in names)


def _kept(build: Build, tree: Tree, rest: Sequence[ast.stmt]) -> tuple[list[Item], Tree]:
    """Statements that keep the early value under a name, where the rest could change it or it is long."""
    if not isinstance(tree, Leaf):
        found = [_kept(build, part, rest) for part in tree.parts]
        parts = tuple(part for _, part in found)
        return [item for items, _ in found for item in items], type(tree)(tree.kind, tree.names, parts)
    part = build.parts.get(tree.text.strip("{}"))
    if isinstance(part, ast.Constant) or (isinstance(part, ast.Name) and not _is_set(part.id, rest)):
        return [], tree
    name = build.fresh("early")
    return [Plain(f"{name} = {tree.text}")], Leaf(name)


def _is_set(name: str, rest: Sequence[ast.stmt]) -> bool:
    parts = (part for node in rest for part in ast.walk(node))
    return any(isinstance(part, ast.Name) and part.id == name and not isinstance(part.ctx, ast.Load) for part in parts)


def _returns(body: Sequence[ast.AST]) -> Iterator[ast.Return]:
    """The returns of statements, those of functions in them left out."""
    for node in body:
        if isinstance(node, ast.Return):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield from _returns(list(ast.iter_child_nodes(node)))
