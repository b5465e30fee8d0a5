"""What the side-effect rules share: statements that leave nothing behind but output, and guards around them."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Sequence

from graphfix.rule import Rewrite, Site
from graphfix.source.module import FUNCTIONS, Module

from ._match import LOG_QUESTIONS, dotted, is_harmless, is_log_statement, is_logger, is_text, meaning

EFFECT_BREAKS = frozenset(
    "GB0007 GB0008 GB0033 GB0036 GB0059 GB0109 GB0116 GB0124 GB0142 GB0156 GB0170 GB0208 GB0291 GB0294 GB4347 GB4841 "
    "GB6215".split()
)
"""Ids by which Dynamo reported such statements, or the values that they show, in torch 2.13."""

_HOUSEKEEPING = frozenset(
    """
    gc.collect gc.disable gc.enable gc.freeze sys.stdout.flush sys.stderr.flush time.sleep
    torch.cuda.empty_cache torch.cuda.ipc_collect torch.cuda.synchronize torch.cuda.reset_peak_memory_stats
    torch.cuda.reset_max_memory_allocated torch.cuda.nvtx.range_push torch.cuda.nvtx.range_pop torch.cuda.nvtx.mark
    torch.mps.empty_cache torch.mps.synchronize torch.xpu.empty_cache torch.xpu.synchronize
    torch.accelerator.synchronize torch.accelerator.empty_cache nvtx.push_range nvtx.pop_range nvtx.mark
    warnings.simplefilter warnings.filterwarnings warnings.resetwarnings
    """.split()
)
"""Calls that tidy up, wait or mark: no value that a program computes depends on them."""

_HANDLES = frozenset(
    "torch.cuda.Event torch.Event torch.mps.Event torch.mps.event.Event torch.xpu.Event torch.cuda.nvtx.range_start "
    "torch.profiler.record_function torch.autograd.profiler.record_function".split()
)
"""Calls whose results only tell of time and progress: what is done with one is seen by nobody else."""

_BARS = ("tqdm", "trange", "tnrange")


def is_bar(module: Module, node: ast.AST) -> bool:
    """Whether an expression makes a progress bar of a library, for certain."""
    if not isinstance(node, ast.Call):
        return False
    last = dotted(node.func).rpartition(".")[2]
    known = {"rich.progress.track", "alive_progress.alive_it", "fastprogress.progress_bar", "fastprogress.master_bar"}
    return last.removesuffix("_notebook").endswith(_BARS) or meaning(module, node.func) in known


def eager_only(module: Module, node: ast.AST) -> bool:
    """Whether a node runs only where `is_compiling()` is false."""
    child = node
    for parent in module.parents(node):
        if isinstance(parent, ast.If) and any(child is one for one in parent.body) and _not_compiling(parent.test):
            return True
        if isinstance(parent, ast.If) and any(child is one for one in parent.orelse) and _compiling(parent.test):
            return True
        if isinstance(parent, ast.IfExp) and child is parent.orelse and _compiling(parent.test):
            return True
        if isinstance(parent, FUNCTIONS):
            return False
        child = parent
    return False


def _compiling(test: ast.expr) -> bool:
    return isinstance(test, ast.Call) and dotted(test.func).rpartition(".")[2] in {
        "is_compiling",
        "is_dynamo_compiling",
    }


def _not_compiling(test: ast.expr) -> bool:
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(map(_not_compiling, test.values))
    return isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) and _compiling(test.operand)


def statement_of(site: Site) -> ast.stmt | None:
    """The innermost statement around the break."""
    nodes = (site.node, *site.module.parents(site.node))
    return next((node for node in nodes if isinstance(node, ast.stmt)), None)


def is_housekeeping(module: Module, node: ast.AST) -> bool:
    """A statement that only tidies up, waits, or marks a place for a profiler."""
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return False
    call = node.value
    return meaning(module, call.func) in _HOUSEKEEPING and _harmless_arguments(module, call)


def _harmless_arguments(module: Module, call: ast.Call) -> bool:
    return all(is_harmless(module, value) for value in (*call.args, *(word.value for word in call.keywords)))


class LogOnly:
    """The statements of one function that serve nothing but output, found from one of them.

    `statements`: all that have to be left out together with the first, since they use what it binds; None where
    something else uses that. `handles` are the names of progress bars and clocks among what they bind.
    """

    def __init__(self, module: Module, first: ast.stmt) -> None:
        self._module, self._function = module, module.function_of(first)
        self.handles: set[str] = set()
        self.statements = self._group(first) if self._function is not None else None

    def _group(self, first: ast.stmt) -> list[ast.stmt] | None:
        return self._found([first])

    def _found(self, seeds: Sequence[ast.stmt]) -> list[ast.stmt] | None:
        todo, found = list(seeds), dict[ast.stmt, None]()
        while todo:
            one = todo.pop()
            if one in found:
                continue
            if not self._is_quiet(one):
                return None
            found[one] = None
            for name in _bound(one):
                users = self._users(name)
                if users is None:
                    return None
                todo += users
        outer = [one for one in found if not any(parent in found for parent in self._module.parents(one))]
        return sorted(outer, key=lambda one: one.lineno)

    def _users(self, name: str) -> list[ast.stmt] | None:
        """The statements that name it, None where one stands in another scope; those for eager alone left out."""
        assert self._function is not None
        users = []
        for node in ast.walk(self._function):
            if isinstance(node, ast.Global | ast.Nonlocal) and name in node.names:
                return None
            if isinstance(node, ast.Name) and node.id == name and not eager_only(self._module, node):
                around = self._module.parents(node)
                user = next((one for one in around if isinstance(one, ast.stmt)), None)
                if user is None or self._module.function_of(user) is not self._function:
                    return None
                users.append(user)
        return users

    def _is_quiet(self, node: ast.stmt) -> bool:
        if is_log_statement(node, self._module) or is_housekeeping(self._module, node) or self._uses_handle(node):
            return True
        if isinstance(node, ast.Pass) or is_text(node):
            return True
        if isinstance(node, ast.If):
            return self._shows(node.test) and all(map(self._is_quiet, (*node.body, *node.orelse)))
        if isinstance(node, ast.For):
            quiet = all(map(self._is_quiet, (*node.body, *node.orelse)))
            return quiet and _names_only(node.target) and self._shows(node.iter)
        if isinstance(node, ast.Delete):
            return all(isinstance(target, ast.Name) for target in node.targets)
        return self._is_quiet_assignment(node)

    def _is_quiet_assignment(self, node: ast.stmt) -> bool:
        if isinstance(node, ast.Assign):
            targets: Sequence[ast.expr] = node.targets
        elif isinstance(node, ast.AnnAssign | ast.AugAssign):
            targets = [node.target]
        else:
            return False
        if node.value is None or not all(map(_names_only, targets)):
            return False
        call = node.value
        if isinstance(call, ast.Call) and (meaning(self._module, call.func) in _HANDLES or is_bar(self._module, call)):
            self.handles |= {target.id for target in targets if isinstance(target, ast.Name)}
            return _harmless_arguments(self._module, call)
        return self._shows(call)

    def _uses_handle(self, node: ast.stmt) -> bool:
        """`bar.update(1)`, `event.record()`."""
        call = node.value if isinstance(node, ast.Expr) else None
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            return False
        owner = call.func.value
        return isinstance(owner, ast.Name) and owner.id in self.handles and _harmless_arguments(self._module, call)

    def _shows(self, node: ast.expr) -> bool:
        """Whether an expression only looks: at values, at the clock, at a logger's level."""
        return is_harmless(self._module, node, self.handles, asks=True)


class TimingOnly(LogOnly):
    """The same, with statements that keep a time: in an attribute, an item, or a list of times."""

    def _group(self, first: ast.stmt) -> list[ast.stmt] | None:
        """With the readings of the clock that the first one uses, where nothing else does."""
        read = {node.id for node in ast.walk(first) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        began = [node for node in self._readings if read & set(_bound(node)) and not eager_only(self._module, node)]
        return self._found([first, *began]) or self._found([first])

    def _is_quiet(self, node: ast.stmt) -> bool:
        return super()._is_quiet(node) or self._keeps_time(node)

    def _keeps_time(self, node: ast.stmt) -> bool:
        if isinstance(node, ast.Assign):
            kept: ast.expr | None = node.value
            places: Sequence[ast.AST] = node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            kept, places = node.value, [node.target]
        elif isinstance(node, ast.Expr) and isinstance(call := node.value, ast.Call) and len(call.args) == 1:
            kept = call.args[0]
            places = [call.func.value] if isinstance(call.func, ast.Attribute) and call.func.attr in _ADDS else []
        else:
            return False
        lasting = bool(places) and all(isinstance(place, ast.Attribute | ast.Subscript | ast.Name) for place in places)
        return lasting and kept is not None and self._shows(kept) and self._tells_time(kept)

    def _tells_time(self, node: ast.expr) -> bool:
        """Whether an expression reads the clock, or a name that a clock was read into."""
        for part in ast.walk(node):
            if isinstance(part, ast.Call) and is_clock(self._module, part):
                return True
            if isinstance(part, ast.Name) and self._function is not None and part.id in self._times:
                return True
        return False

    @property
    def _times(self) -> set[str]:
        return {name for node in self._readings for name in _bound(node)}

    @functools.cached_property
    def _readings(self) -> list[ast.Assign]:
        """The assignments that read the clock."""
        assert self._function is not None
        assigned = [node for node in ast.walk(self._function) if isinstance(node, ast.Assign)]
        return [node for node in assigned if any(map(self._is_clock, ast.walk(node.value)))]

    def _is_clock(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and is_clock(self._module, node)


_ADDS = frozenset({"append", "add", "observe", "record", "update", "push", "put"})


def is_clock(module: Module, call: ast.Call) -> bool:
    """Whether a call reads the clock."""
    name = meaning(module, call.func)
    return name.startswith(("time.", "datetime.")) or name == "timeit.default_timer" or name.endswith(".elapsed_time")


def _names_only(target: ast.expr) -> bool:
    if isinstance(target, ast.Tuple | ast.List):
        return all(map(_names_only, target.elts))
    return isinstance(target, ast.Name)


def _bound(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def guarded(site: Site, statements: Sequence[ast.stmt]) -> Rewrite | None:
    """The statements under `if not torch.compiler.is_compiling():`, those that follow one another under one."""
    return Site.together(*(_guard(site, run) for run in _runs(site.module, statements)))


def _guard(site: Site, run: list[ast.stmt]) -> Rewrite | None:
    only = run[0]
    if len(run) == 1 and isinstance(only, ast.If) and not only.orelse and not _is_elif(site.module, only):
        template = "if not {torch}.compiler.is_compiling() and {test}:\n    {body}\n"
        return site.replace(only, template, test=only.test, body=only.body)
    old: ast.AST | list[ast.stmt] = only if len(run) == 1 else run
    return site.replace(old, "if not {torch}.compiler.is_compiling():\n    {run}\n", run=run)


def _is_elif(module: Module, node: ast.If) -> bool:
    return module.line(node.lineno).lstrip().startswith("elif")


def _runs(module: Module, statements: Sequence[ast.stmt]) -> Iterator[list[ast.stmt]]:
    wanted = set(statements)
    for block in _blocks(module, statements):
        run: list[ast.stmt] = []
        for statement in block:
            if statement in wanted:
                run.append(statement)
            elif run:
                yield run
                run = []
        if run:
            yield run


def _blocks(module: Module, statements: Sequence[ast.stmt]) -> Iterator[list[ast.stmt]]:
    """The blocks that hold the statements, each once."""
    seen: set[int] = set()
    for statement in statements:
        parent = next(module.parents(statement))
        for clause in ("body", "orelse", "finalbody"):
            block = getattr(parent, clause, None)
            if isinstance(block, list) and any(one is statement for one in block) and id(block) not in seen:
                seen.add(id(block))
                yield block


__all__ = [
    "EFFECT_BREAKS",
    "LOG_QUESTIONS",
    "LogOnly",
    "eager_only",
    "guarded",
    "is_bar",
    "is_housekeeping",
    "is_logger",
    "statement_of",
]
