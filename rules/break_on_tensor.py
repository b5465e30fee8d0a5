"""GF213: `for …: if tensor: break`, `while count < limit and tensor`."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._arms import Reader, is_live_behind
from ._condition import Build, branch_of, decide, negated
from ._items import Item, Plain, Put, Unknown
from ._merge import merged, statements


class BreakOnTensor(Rule):
    """What it does:
        Lets compiled code run a bounded loop to its end, and keep what each name held when a tensor said `break` (or
        leave out the rest of a round, for `continue`), by `torch.where`. A loop that counts up to a limit is bounded
        too, and a tensor in its condition says `break`. Eager code keeps its loop, and stops early.

    Why it breaks the graph:
        Whether to stop is known at run time only; Dynamo skips a frame that would break inside a loop (GB0170, or
        GB0124 where the condition reads a number with `.item()`).

    Example:
        for _ in range(5):
            x = x - step(x)
            if x.norm() < tol:
                break

        if torch.compiler.is_compiling():
            stopped = torch.zeros((), dtype=torch.bool, device=x.device)
            for _ in range(5):
                x = torch.where(stopped, x, x - step(x))
                stopped = stopped | (x.norm() < tol)
        else:
            …

    Safety:
        Proven, and eager is unchanged. Compiled code computes every round, so the bound should be small. Rounds behind
        the break must not raise nor change anything but the names.
    """

    code, name = "GF213", "break-on-tensor"
    title = "run a bounded loop to its end and keep what held at the break"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170", "GB0124", "GB0033"})

    def rewrite(self, site: Site) -> Rewrite | None:
        build = Build(site.module, site.node)
        branch = branch_of(site, ast.If)
        loop = branch_of(site, ast.While)
        if not isinstance(loop, ast.While):
            loop = next(site.module.parents(site.node if branch is None else branch), None)
            while isinstance(loop, ast.If):
                loop = next(site.module.parents(loop), None)
            if not isinstance(branch, ast.If) or not any(isinstance(part, ast.Break) for part in _inside(loop)):
                return None  # GF216 needs no second loop
        if not isinstance(loop, ast.For | ast.While) or loop.orelse:
            return None
        counts = _counts(build, loop)
        if not counts or any(is_live_behind(site.module, loop, _inside(loop), name) for name in counts):
            return None
        try:
            text = _Loop(build, loop, counts).text()
        except Unknown:
            return None
        return None if text is None else build.put(site, loop, text)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x, tol: float = 0.5):
                    x = x * 2
                    for _ in range(4):
                        # halve it
                        x = x / 2
                        if x.norm() < tol:
                            break
                    return x + 1
            """,
            after="""
                import torch

                def f(x, tol: float = 0.5):
                    x = x * 2
                    if torch.compiler.is_compiling():
                        stopped = torch.zeros((), dtype=torch.bool, device=x.device)
                        for _ in range(4):
                            x = torch.where(stopped, x, x / 2)
                            stopped = stopped | (x.norm() < tol)
                    else:
                        for _ in range(4):
                            # halve it
                            x = x / 2
                            if x.norm() < tol:
                                break
                    return x + 1
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4) * 0.1)"),
        ),
        Rewrites(
            before="""
                import torch

                class Search(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.steps = torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(3))

                    def forward(self, h, *, limit=1.0):
                        best = h.sum()
                        for number, step in enumerate(self.steps, 1):
                            update = step(h).tanh()
                            if update.isnan().any():
                                continue
                            h = h + update * number
                            score = h.square().sum()
                            if score.item() > limit and number > 1:
                                best = score
                                break
                            best = best + score
                        return h, best

                torch.manual_seed(0)
                f = Search()
            """,
            after="""
                import torch

                class Search(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.steps = torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(3))

                    def forward(self, h, *, limit=1.0):
                        best = h.sum()
                        if torch.compiler.is_compiling():
                            stopped = torch.zeros((), dtype=torch.bool, device=h.device)
                            for number, step in enumerate(self.steps, 1):
                                update = step(h).tanh()
                                skipped = stopped | update.isnan().any()
                                h = torch.where(skipped, h, h + update * number)
                                score = h.square().sum()
                                if number > 1:
                                    hit = ~skipped & (score.double() > limit)
                                    best = torch.where(hit, score, best)
                                    stopped = stopped | (~skipped & hit)
                                    skipped = skipped | stopped
                                best = torch.where(skipped, best, best + score)
                        else:
                            for number, step in enumerate(self.steps, 1):
                                update = step(h).tanh()
                                if update.isnan().any():
                                    continue
                                h = h + update * number
                                score = h.square().sum()
                                if score.item() > limit and number > 1:
                                    best = score
                                    break
                                best = best + score
                        return h, best

                torch.manual_seed(0)
                f = Search()
            """,
            calls=("f(torch.ones(2))", "f(torch.ones(2), limit=99.0)"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x):
                    done = torch.zeros(len(x), dtype=torch.bool)
                    count = torch.zeros(len(x))
                    for threshold in (1.0, 2.0, 4.0):
                        if done.all():
                            break
                        done = done | (x < threshold)
                        count = count + (~done).float()
                    return count
            """,
            after="""
                import torch

                def f(x):
                    done = torch.zeros(len(x), dtype=torch.bool)
                    count = torch.zeros(len(x))
                    if torch.compiler.is_compiling():
                        stopped = torch.zeros((), dtype=torch.bool, device=count.device)
                        for threshold in (1.0, 2.0, 4.0):
                            stopped = stopped | done.all()
                            done = done | (x < threshold)
                            count = torch.where(stopped, count, count + (~done).float())
                    else:
                        for threshold in (1.0, 2.0, 4.0):
                            if done.all():
                                break
                            done = done | (x < threshold)
                            count = count + (~done).float()
                    return count
            """,
            calls=("f(torch.arange(3.0))", "f(torch.zeros(4))"),
        ),
        Rewrites(
            before="""
                import torch

                class Greedy(torch.nn.Module):
                    def __init__(self, max_len=4):
                        super().__init__()
                        self.max_len = max_len

                    def forward(self, state: torch.Tensor):
                        tokens = torch.zeros(len(state), self.max_len)
                        finished = torch.zeros(len(state), dtype=torch.bool)
                        t = 0
                        while t < self.max_len and not finished.all():
                            best, state = state.amax(1), state * 0.5
                            tokens[:, t] = best  # one more
                            finished = finished | (best < 0.3)
                            t += 1
                        return tokens

                f = Greedy()
            """,
            after="""
                import torch

                class Greedy(torch.nn.Module):
                    def __init__(self, max_len=4):
                        super().__init__()
                        self.max_len = max_len

                    def forward(self, state: torch.Tensor):
                        tokens = torch.zeros(len(state), self.max_len)
                        finished = torch.zeros(len(state), dtype=torch.bool)
                        t = 0
                        if torch.compiler.is_compiling():
                            stopped = torch.zeros((), dtype=torch.bool, device=finished.device)
                            while t < self.max_len:
                                stopped = stopped | finished.all()
                                best, state = state.amax(1), state * 0.5
                                tokens[:, t] = torch.where(stopped, tokens[:, t], best)
                                finished = torch.where(stopped, finished, finished | (best < 0.3))
                                t += 1
                        else:
                            while t < self.max_len and not finished.all():
                                best, state = state.amax(1), state * 0.5
                                tokens[:, t] = best  # one more
                                finished = finished | (best < 0.3)
                                t += 1
                        return tokens

                f = Greedy()
            """,
            calls=("f(torch.ones(3, 2))", "f(torch.ones(2, 3) * 0.1)"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, most: int = 5):
                    turn = 0
                    while turn < most:
                        x = x / 2
                        turn += 1
                        if x.norm() < 0.1:
                            break
                    return x
            """,
            after="""
                import torch

                def f(x, most: int = 5):
                    turn = 0
                    if torch.compiler.is_compiling():
                        stopped = torch.zeros((), dtype=torch.bool, device=x.device)
                        while turn < most:
                            x = torch.where(stopped, x, x / 2)
                            turn += 1
                            stopped = stopped | (x.norm() < 0.1)
                    else:
                        while turn < most:
                            x = x / 2
                            turn += 1
                            if x.norm() < 0.1:
                                break
                    return x
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(2) * 0.01)"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, limit):
                    seen = torch.zeros(4)
                    for step in range(4):
                        now = x.sum() * step
                        seen[step] = now
                        if now > limit:
                            break
                    return seen
            """,
            after="""
                import torch

                def f(x, limit):
                    seen = torch.zeros(4)
                    if torch.compiler.is_compiling():
                        stopped = torch.zeros((), dtype=torch.bool, device=seen.device)
                        for step in range(4):
                            now = x.sum() * step
                            seen[step] = torch.where(stopped, seen[step], now)
                            stopped = stopped | (now > limit)
                    else:
                        for step in range(4):
                            now = x.sum() * step
                            seen[step] = now
                            if now > limit:
                                break
                    return seen
            """,
            calls=("f(torch.ones(3), 5.0)", "f(torch.ones(2), 9.0)"),
        ),
        Leaves(
            source="""
                def f(x, most: int = 5):
                    turn = 0
                    while turn < most:
                        x = x / 2
                        turn += 1
                        if x.norm() < 0.1:
                            break
                    return x * turn
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                def f(x, most: int = 3):
                    turn = 0
                    while turn < most:
                        x = x / 2 + 1
                        if x.sum() > 4:
                            continue
                        turn += 1
                        if x.norm() < 0.1:
                            break
                    return x
            """,
            calls=("f(torch.ones(1))",),
        ),
        Leaves(
            source="""
                def f(x, room: int):
                    while room > 1:
                        x = x / 2
                        room = room // 2 if x.dim() else room - 1
                        if x.norm() < 0.1:
                            break
                    return x
            """,
            calls=("f(torch.ones(3), 9)",),
        ),
        Leaves(
            source="""
                def f(x, rows: list):
                    for _ in range(3):
                        rows.append(x)
                        x = x * 2
                        if x.sum() > 9:
                            break
                    return x
            """,
            calls=("f(torch.ones(3), [])",),
        ),
        Leaves(
            source="""
                def f(x):
                    for step in range(3):
                        x = x * 2
                        if x.sum() > 9:
                            break
                    return x * step
            """,
            calls=("f(torch.ones(3))",),
        ),
    )


def _inside(loop: ast.AST | None) -> set[ast.AST]:
    return set(ast.walk(loop)) if loop is not None else set()


def _counts(build: Build, loop: ast.For | ast.While) -> set[str]:
    """The names that tell one round of a bounded loop from another; none where the loop is not bounded for certain."""
    if isinstance(loop, ast.For):
        return {part.id for part in ast.walk(loop.target) if isinstance(part, ast.Name)}
    decision = negated(build, loop.test)
    asked = {part.id for test in (decision.plain if decision else (loop.test,)) for part in _names(test)}
    steps = set(map(_stepped, loop.body))
    if any(isinstance(part, ast.Continue) for part in ast.walk(loop)):  # may leave out the step
        return set()
    changed = [part.id for part in _names(loop) if isinstance(part.ctx, ast.Store) and part.id in asked]
    return set(changed) if len(changed) == len(set(changed)) and set(changed) <= steps else set()


def _names(node: ast.AST) -> list[ast.Name]:
    return [part for part in ast.walk(node) if isinstance(part, ast.Name)]


def _stepped(node: ast.stmt) -> str:
    """The name in `count += 1` and its like, empty for other statements."""
    steps = isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add | ast.Sub)
    if steps and isinstance(node.target, ast.Name) and isinstance(node.value, ast.Constant):  # type: ignore[attr-defined]
        return node.target.id  # type: ignore[attr-defined]
    return ""


class _Loop:
    """A loop whose rounds all run. `counts` are the names that go on after the break."""

    def __init__(self, build: Build, loop: ast.For | ast.While, counts: set[str]) -> None:
        self._build, self._loop, self._counts = build, loop, counts
        self._reader = Reader(build, loop, compiled=True)
        self._stopped = build.fresh("stopped")
        self._idle = self._stopped
        self._set: list[str] = []
        self._breaks = False

    def _some_tensor(self) -> str:
        """A tensor that is there before the loop."""
        parts = {old: self._build.parts.get(old.strip("{}")) for old in self._set}
        named = (old for old, part in parts.items() if isinstance(part, ast.Name))
        stores = (self._build.slot(part.value) for part in parts.values() if isinstance(part, ast.Subscript))
        return next(named, None) or next(stores, self._set[0])

    def text(self) -> str | None:
        """The template, None where nothing in the loop stops it."""
        build, loop = self._build, self._loop
        decision = negated(build, loop.test) if isinstance(loop, ast.While) else None
        before = [Plain(f"{self._stopped} = {self._stopped} | {decision.tensor}")] if decision else []
        items = [*before, *self._items(loop.body)]
        if not self._set:
            return None
        body = "".join(f"        {line}\n" for line in statements(build, items).splitlines())
        device = f"{self._some_tensor()}.device"
        start = f"    {self._stopped} = {{torch}}.zeros((), dtype={{torch}}.bool, device={device})\n"
        if isinstance(loop, ast.For):
            head = f"for {build.slot(loop.target)} in {build.slot(loop.iter)}"
        else:
            head = f"while {decision.python(build) if decision else build.slot(loop.test)}"
        again = f"    {head}:\n{body}"
        return f"if {{torch}}.compiler.is_compiling():\n{start}{again}else:\n    {build.slot([loop])}\n"

    def _items(self, body: Sequence[ast.stmt]) -> list[Item]:
        found: list[Item] = []
        for node in body:
            jump = node.body[-1] if isinstance(node, ast.If) else None
            if isinstance(self._loop, ast.While) and _stepped(node) in self._counts:
                found.append(Plain(self._build.slot([node])))
            elif isinstance(node, ast.If) and isinstance(jump, ast.Break | ast.Continue) and not node.orelse:
                found += self._jump(node, isinstance(jump, ast.Break))
            else:
                found += self._kept(self._reader.items([node], self._loop.body))
        return found

    def _kept(self, items: Sequence[Item]) -> list[Item]:
        """What a round does where it runs."""
        for item in items:
            if isinstance(item, Put) and item.old:
                self._set.append(item.old)
        return merged(self._build, self._idle, [], items)

    def _jump(self, node: ast.If, stops: bool) -> list[Item]:
        """A jump: its own statements, and from then on nothing more happens."""
        build = self._build
        decision = decide(build, node.test)
        bound = [part.target.id for part in ast.walk(node.test) if isinstance(part, ast.NamedExpr)]
        inside = set(ast.walk(self._loop))
        if decision is None or any(is_live_behind(build.module, self._loop, inside, name) for name in bound):
            raise Unknown
        own = self._reader.items(node.body[:-1], self._loop.body)
        found: list[Item] = []
        if own:
            hit = build.fresh("hit")
            found.append(Plain(f"{hit} = ~{self._idle} & ({decision.tensor})"))
            found += merged(build, hit, own, [])
            self._set += [item.old for item in own if isinstance(item, Put) and item.old]
        else:
            hit = f"({decision.tensor})"
        if stops and self._idle == self._stopped:
            found.append(Plain(f"{self._stopped} = {self._stopped} | {hit}"))
        elif stops:
            found.append(Plain(f"{self._stopped} = {self._stopped} | (~{self._idle} & {hit})"))
            found.append(Plain(f"{self._idle} = {self._idle} | {self._stopped}"))
        else:
            skipped = self._idle if self._idle != self._stopped else build.fresh("skipped")
            found.append(Plain(f"{skipped} = {self._idle} | {hit}"))
            before = [Plain(f"{skipped} = {self._idle}")] if decision.plain and skipped != self._idle else []
            self._idle = skipped
            if decision.plain:
                return [*before, Plain(decision.guard(build, statements(build, found)))]
        if not decision.plain:
            return found
        return [Plain(decision.guard(build, statements(build, found)))]
