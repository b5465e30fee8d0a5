"""GF212: `while tensor:`."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import FUNCTIONS, Module
from graphfix.source.values import Kind

from ._arms import is_bound_before, is_live_behind
from ._condition import Build, as_tensor, branch_of
from ._storage import Storage, storage, storage_before, storage_behind


class WhileOnTensor(Rule):
    """What it does:
        Lets compiled code run a loop that goes on while a tensor says so by `torch.while_loop`; the names that the body
        sets are handed from round to round. Eager code keeps its loop.

    Why it breaks the graph:
        How often to go round is known at run time only, so Dynamo ends the graph before the loop (GB0170, or GB0124
        where the condition reads a number with `.item()`).

    Example:
        while x.norm() > limit:
            x = x / 2

        if torch.compiler.is_compiling():

            def goes_on(x):
                return x.norm() > limit

            def once(x):
                x = x / 2
                return (x,)

            (x,) = torch.while_loop(goes_on, once, (x,))
        else:
            while x.norm() > limit:
                x = x / 2

    Safety:
        Proven, and eager is unchanged. Each name must keep its shape and dtype over the rounds, and numbers become
        tensors in compiled code; nothing else may be changed by the body. Tensors that share their storage are copied,
        since a loop may not be given, nor hand on, two of them. `torch.while_loop` is a prototype (2.13).
    """

    code, name = "GF212", "while-on-tensor"
    title = "loop with torch.while_loop"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170", "GB0124", "GB0033"})

    def rewrite(self, site: Site) -> Rewrite | None:
        return next(self.rewrites(site), None)

    def rewrites(self, site: Site) -> Iterator[Rewrite]:
        loop = branch_of(site, ast.While)
        if not isinstance(loop, ast.While) or loop.orelse or not _only_binds(loop.body):
            return
        carried = _carried(site, loop)
        if not carried or any(isinstance(part, ast.NamedExpr) for part in ast.walk(loop.test)):
            return
        for start in _starts(site.module, loop, carried):
            build = Build(site.module, site.node, tensors=frozenset(carried))
            condition = as_tensor(build, loop.test)
            text = condition and _text(build, loop, _answer(build, condition), carried, start)
            if text and (found := build.put(site, loop, text)) is not None:
                yield found

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x, limit: float = 2.0):
                    x = x * 1.5
                    while x.norm() > limit:  # shrink
                        x = x / 2
                    return x + 1
            """,
            after="""
                import torch

                def f(x, limit: float = 2.0):
                    x = x * 1.5
                    if torch.compiler.is_compiling():

                        def goes_on(x):
                            return x.norm() > limit

                        def once(x):
                            x = x / 2
                            return (x,)

                        (x,) = torch.while_loop(goes_on, once, (x,))
                    else:
                        while x.norm() > limit:  # shrink
                            x = x / 2
                    return x + 1
            """,
            calls=("f(torch.ones(3) * 9)", "f(torch.ones(4) * 0.1)"),
        ),
        Rewrites(
            before="""
                import torch

                class Solver(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("a", torch.tensor([[4.0, 1.0], [1.0, 3.0]]))

                    def forward(self, b: torch.Tensor, *, tol=1e-3):
                        guess = torch.zeros_like(b)
                        rest, turns = b - self.a @ guess, 0
                        while rest.abs().max().item() > tol and turns < 50:
                            step = rest / self.a.diagonal()
                            guess = guess + step
                            rest = b - self.a @ guess
                            turns += 1
                        return guess

                f = Solver()
            """,
            after="""
                import torch

                class Solver(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("a", torch.tensor([[4.0, 1.0], [1.0, 3.0]]))

                    def forward(self, b: torch.Tensor, *, tol=1e-3):
                        guess = torch.zeros_like(b)
                        rest, turns = b - self.a @ guess, 0
                        if torch.compiler.is_compiling():

                            def goes_on(guess, rest, turns):
                                return (rest.abs().max().double() > tol) & (turns < 50)

                            def once(guess, rest, turns):
                                turns = turns.clone()
                                step = rest / self.a.diagonal()
                                guess = guess + step
                                rest = b - self.a @ guess
                                turns += 1
                                return guess, rest, turns

                            guess, rest, turns = torch.while_loop(goes_on, once, (guess, rest, torch.as_tensor(turns)))
                        else:
                            while rest.abs().max().item() > tol and turns < 50:
                                step = rest / self.a.diagonal()
                                guess = guess + step
                                rest = b - self.a @ guess
                                turns += 1
                        return guess

                f = Solver()
            """,
            calls=("f(torch.ones(2))", "f(torch.tensor([9.0, 2.0]))"),
        ),
        Rewrites(
            before="""
                import torch as th

                def f(x):
                    total = x.sum()
                    while not (total > 50) and (x < 9).all():
                        if x.shape[0] > 3:
                            x = x * 2
                        else:
                            x = x * 3
                        total += x.sum()
                    return total
            """,
            after="""
                import torch as th

                def f(x):
                    total = x.sum()
                    if th.compiler.is_compiling():

                        def goes_on(x, total):
                            return ~(total > 50) & (x < 9).all()

                        def once(x, total):
                            total = total.clone()
                            if x.shape[0] > 3:
                                x = x * 2
                            else:
                                x = x * 3
                            total += x.sum()
                            return x, total

                        x, total = th.while_loop(goes_on, once, (x, total))
                    else:
                        while not (total > 50) and (x < 9).all():
                            if x.shape[0] > 3:
                                x = x * 2
                            else:
                                x = x * 3
                            total += x.sum()
                    return total
            """,
            calls=("f(th.ones(3))", "f(th.ones(4))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(grid: torch.Tensor):
                    rows, columns = grid.unbind(0)
                    old = wet = rows > 0
                    on = True
                    while on:
                        old = wet
                        wet = old | (columns * old > rows)
                        on = (wet != old).any()
                    return old
            """,
            after="""
                import torch

                def f(grid: torch.Tensor):
                    rows, columns = grid.unbind(0)
                    old = wet = rows > 0
                    on = True
                    if torch.compiler.is_compiling():
                        columns = columns.clone()

                        def goes_on(old, wet, on):
                            return on != 0

                        def once(old, wet, on):
                            old = wet
                            wet = old | (columns * old > rows)
                            on = (wet != old).any()
                            return old.clone(), wet, on

                        old, wet, on = torch.while_loop(goes_on, once, (old, wet.clone(), torch.as_tensor(on)))
                    else:
                        while on:
                            old = wet
                            wet = old | (columns * old > rows)
                            on = (wet != old).any()
                    return old
            """,
            calls=("f(torch.tensor([[0.0, 2.0, -1.0], [1.0, 3.0, 1.0]]))", "f(torch.ones(2, 5))"),
        ),
        Leaves(
            source="""
                def f(x):
                    rows = []
                    while x.sum() < 9:
                        x = x * 2
                        rows.append(x)
                    return rows[-1]
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                def f(x):
                    while x.sum() < 9:
                        y = x * 2
                        x = y + 1
                    return x + y
            """,
            calls=("f(torch.ones(3))",),
        ),
    )


def _only_binds(body: Sequence[ast.stmt]) -> bool:
    """Whether statements do nothing but give names values."""
    for node in body:
        if isinstance(node, ast.If):
            if not (_only_binds(node.body) and _only_binds(node.orelse)):
                return False
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [one for target in targets for one in (target.elts if isinstance(target, ast.Tuple) else [target])]
            if not all(isinstance(one, ast.Name) for one in names):
                return False
        elif not isinstance(node, ast.Pass):
            return False
    inner = (part for node in body for part in ast.walk(node))
    return not any(isinstance(part, (*FUNCTIONS, ast.Lambda, ast.NamedExpr, ast.Await, ast.Yield)) for part in inner)


def _bound(body: Sequence[ast.stmt]) -> Iterator[str]:
    """The names that statements bind, in order."""
    for node in body:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
                yield part.id


def _carried(site: Site, loop: ast.While) -> list[str]:
    """The names that go from round to round; empty where the code behind reads one that only the body binds."""
    inside = set(ast.walk(loop))
    carried: list[str] = []
    for name in dict.fromkeys(_bound(loop.body)):
        before = is_bound_before(site.module, loop, name) and _has_value_before(site, loop, name)
        if not before and is_live_behind(site.module, loop, inside, name):
            return []
        if before:
            carried.append(name)
    return carried


def _has_value_before(site: Site, loop: ast.While, name: str) -> bool:
    """Whether anything but the loop itself gives a name its value where the loop begins."""
    env = site.module.analysis.flow.environment(loop) or {}
    inside = set(ast.walk(loop))
    return any(one.node not in inside for one in env.get(name, ()))


def _text(build: Build, loop: ast.While, condition: str, carried: Sequence[str], start: _Start) -> str:
    goes_on, once = build.fresh("goes_on"), build.fresh("once")
    changed = _changed_in_place(loop)
    names = ", ".join(carried)
    outer = "".join(f"    {name} = {name}.clone()\n" for name in start.copied)
    copies = "".join(f"        {name} = {name}.clone()\n" for name in carried if name in changed)
    operands = f"({start.operands[0]},)" if len(carried) == 1 else f"({', '.join(start.operands)})"
    return (
        f"if {{torch}}.compiler.is_compiling():\n{outer}\n"
        f"    def {goes_on}({names}):\n        return {condition}\n\n"
        f"    def {once}({names}):\n{copies}        {build.slot(loop.body)}\n"
        f"        return {_group(_handed_on(build.module, loop, carried))}\n\n"
        f"    {_group(carried)} = {{torch}}.while_loop({goes_on}, {once}, {operands})\n"
        f"else:\n    {build.slot([loop])}\n"
    )


def _group(values: Sequence[str]) -> str:
    return f"({values[0]},)" if len(values) == 1 else ", ".join(values)


def _changed_in_place(loop: ast.While) -> set[str]:
    targets = [node.target for node in ast.walk(loop) if isinstance(node, ast.AugAssign)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _answer(build: Build, condition: str) -> str:
    """The condition, copied where it is nothing but a tensor that the loop is given."""
    part = build.parts.get(condition.strip("{}"))
    given = isinstance(part, ast.expr) and _is_outer(storage(build.module, part, lambda name: frozenset({name})))
    return f"{condition}.clone()" if given else condition


def _is_outer(lies: Storage) -> bool:
    """Whether a tensor may be one that a round is given."""
    return any(isinstance(place, str) for place in lies)


def _handed_on(module: Module, loop: ast.While, carried: Sequence[str]) -> list[str]:
    """What a round hands on: a copy of what it was given itself, or hands on already."""
    copies = {name: Storage({("copy", name)}) for name in _changed_in_place(loop)}
    behind = storage_behind(module, loop.body, copies)
    taken: Storage = Storage()
    result = []
    for name in carried:
        lies = behind.get(name, Storage({name}))
        result.append(f"{name}.clone()" if _is_outer(lies) or lies & taken else name)
        taken |= lies
    return result


@dataclass(frozen=True)
class _Start:
    """How the loop begins: the first values of what is carried, and the names that only are read, to copy before."""

    operands: tuple[str, ...]
    copied: tuple[str, ...] = ()


def _starts(module: Module, loop: ast.While, carried: Sequence[str]) -> list[_Start]:
    """The ways to begin: with copies of what may share its storage, and without, where that may be no tensor."""
    taken = Storage(ast.unparse(node) for node in ast.walk(loop) if isinstance(node, ast.Attribute))
    copied = []
    for name in _read_only(module, loop):
        lies = storage_before(module, loop, name)
        if lies & taken:
            copied.append(name)
        taken |= lies
    plain, apart = [], []
    for name in carried:
        number = _is_number(module, loop, name)
        lies = Storage() if number else storage_before(module, loop, name)
        plain.append(f"{{torch}}.as_tensor({name})" if number else name)
        apart.append(f"{name}.clone()" if lies & taken else plain[-1])
        taken |= lies
    return list(dict.fromkeys([_Start(tuple(apart), tuple(copied)), _Start(tuple(plain))]))


def _read_only(module: Module, loop: ast.While) -> list[str]:
    """The local names that the loop reads and does not bind, numbers and what it calls left out."""
    env = module.analysis.flow.environment(loop) or {}
    called = {node.func for node in ast.walk(loop) if isinstance(node, ast.Call)}
    bound = set(_bound(loop.body))
    names = (node for node in ast.walk(loop) if isinstance(node, ast.Name) and node not in called)
    read = (node for node in names if node.id in env and node.id not in bound)
    return list(dict.fromkeys(node.id for node in read if module.analysis.value(node).kind not in _NUMBERS))


_NUMBERS = (Kind.PLAIN, Kind.SIZE, Kind.NONE)


def _is_number(module: Module, loop: ast.While, name: str) -> bool:
    """Whether a name is a Python number where the loop begins."""
    analysis = module.analysis
    kinds: set[Kind] = set()
    inside = set(ast.walk(loop))
    for one in (analysis.flow.environment(loop) or {}).get(name, ()):
        if isinstance(one.node, ast.expr) and one.node not in inside:
            value = analysis.value(one.node)
            for step in one.path:
                value = value.item(step) if isinstance(step, int) else value.element
            kinds.add(value.kind)
    return kinds == {Kind.PLAIN}
