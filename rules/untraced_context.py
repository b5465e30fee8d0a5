"""GF306: context managers that compute nothing: locks, timers, warning filters."""

from __future__ import annotations

import ast
import re

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._effects import EFFECT_BREAKS, eager_only
from ._match import dotted, is_harmless, meaning

_MANAGERS = frozenset(
    """
    warnings.catch_warnings contextlib.redirect_stdout contextlib.redirect_stderr numpy.errstate numpy.printoptions
    np.errstate np.printoptions torch.profiler.record_function torch.autograd.profiler.record_function
    torch.profiler.profile torch.autograd.profiler.profile torch.autograd.profiler.emit_nvtx torch.cuda.nvtx.range
    torch.autograd.detect_anomaly torch.autograd.set_detect_anomaly nvtx.annotate threading.Lock threading.RLock
    threading.Semaphore threading.BoundedSemaphore threading.Condition
    """.split()
)
_LOCK = re.compile(r"(^|.*_)(r?lock|mutex|semaphore|sem|guard_lock)$|.*Lock$", re.IGNORECASE)
_TIMER = re.compile(
    r"(^|.*_)(timer|timed|timing|timeit|stopwatch|profile|profiler|record_function|nvtx_range|trace_span|span|tracer"
    r"|measure_time|benchmark|elapsed|scope_timer|annotate)$|.*(Timer|Stopwatch|Profiler)$"
)
_WRITES = frozenset("append add update extend insert pop remove clear setdefault put discard popitem write".split())


class UntracedContext(Rule):
    """What it does:
        Enters nothing in place of a lock, a timer, a profiler or a warning filter while compiling.

    Why it breaks the graph:
        Dynamo traces few context managers; where it meets another one, it skips the whole function, since it cannot go
        on inside the block (GB0142, GB0007).

    Example:
        with self.lock:
            y = self.layer(x)

        with contextlib.nullcontext() if torch.compiler.is_compiling() else self.lock:
            y = self.layer(x)

    Safety:
        Proven. Eager code enters what it entered. Compiled code takes no lock: a block that writes to an attribute, an
        item or a collection, which the lock may be for, is left alone.
    """

    code, name = "GF306", "untraced-context"
    title = "enter no lock or timer while compiling"
    safety = Safety.PROVEN
    repairs = EFFECT_BREAKS | {"GB0092", "GB0262"}

    def rewrite(self, site: Site) -> Rewrite | None:
        item = _guilty(site)
        if item is None or (item.optional_vars is not None and _reads(site.module, item)):
            return None
        manager = item.context_expr
        template = "{contextlib}.nullcontext() if {torch}.compiler.is_compiling() else {manager}"
        return site.replace(manager, template, manager=manager)

    cases = (
        Rewrites(
            before="""
                import threading
                import torch

                class Shared(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self._lock = threading.Lock()

                    def forward(self, x):
                        x = torch.sin(x)
                        with self._lock:  # one at a time
                            x = x * 2
                        return x + 1

                f = Shared()
                f.__deepcopy__ = lambda memo: f
            """,
            after="""
                import contextlib
                import threading
                import torch

                class Shared(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self._lock = threading.Lock()

                    def forward(self, x):
                        x = torch.sin(x)
                        with contextlib.nullcontext() if torch.compiler.is_compiling() else self._lock:  # one at a time
                            x = x * 2
                        return x + 1

                f = Shared()
                f.__deepcopy__ = lambda memo: f
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import contextlib
                import numpy as np
                import torch

                def f(x, eps: float = 0.5):
                    y = torch.cos(x)
                    with torch.no_grad(), np.errstate():
                        y = y / eps
                    return y
            """,
            after="""
                import contextlib
                import numpy as np
                import torch

                def f(x, eps: float = 0.5):
                    y = torch.cos(x)
                    with torch.no_grad(), contextlib.nullcontext() if torch.compiler.is_compiling() else np.errstate():
                        y = y / eps
                    return y
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4), eps=0.25)"),
        ),
        Rewrites(
            before="""
                from threading import RLock
                from torch import nn, no_grad

                LOCK = RLock()

                class Locked(nn.Module):
                    def forward(self, x, *, times=1):
                        for _ in range(times):
                            with LOCK as held, no_grad():
                                # not used: held
                                x = x.relu() + 1
                        return x

                f = Locked()
            """,
            after="""
                import contextlib
                from threading import RLock
                import torch
                from torch import nn, no_grad

                LOCK = RLock()

                class Locked(nn.Module):
                    def forward(self, x, *, times=1):
                        for _ in range(times):
                            with contextlib.nullcontext() if torch.compiler.is_compiling() else LOCK as held, no_grad():
                                # not used: held
                                x = x.relu() + 1
                        return x

                f = Locked()
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4), times=2)"),
        ),
        Leaves(
            source="""
                import threading

                lock = threading.Lock()
                seen = {}

                def f(x, key: str):
                    y = x.sin()
                    with lock:
                        seen[key] = 1
                    return y + 1
            """,
            calls=("f(torch.ones(3), 'a')",),
        ),
        Leaves(
            source="""
                import tempfile

                def f(x):
                    y = x.sin()
                    with tempfile.TemporaryDirectory() as folder:
                        y = y + len(folder[:1])
                    return y
            """,
            calls=("f(torch.ones(3))",),
        ),
    )


def _guilty(site: Site) -> ast.withitem | None:
    """The item of a `with` that the break is about, where it is one to leave out."""
    module = site.module
    around = (site.node, *module.parents(site.node))
    block = next((node for node in around if isinstance(node, ast.stmt)), None)
    if not isinstance(block, ast.With) or eager_only(module, block):
        return None
    named = [item for item in block.items if any(node in (item, item.context_expr) for node in around)]
    for item in named or block.items:
        if eager_only(module, item.context_expr) or isinstance(item.context_expr, ast.IfExp):
            continue
        if _is_lock(module, item.context_expr):
            return None if any(_may_write(node) for part in block.body for node in ast.walk(part)) else item
        if _is_timer(module, item.context_expr):
            return item
    return None


def _is_lock(module: Module, node: ast.expr) -> bool:
    name = dotted(node.func if isinstance(node, ast.Call) else node).rpartition(".")[2]
    return _LOCK.match(name) is not None or (isinstance(node, ast.Call) and "threading" in meaning(module, node.func))


def _is_timer(module: Module, node: ast.expr) -> bool:
    called = node.func if isinstance(node, ast.Call) else node
    if isinstance(node, ast.Call):
        arguments = (*node.args, *(word.value for word in node.keywords))
        if not all(is_harmless(module, value) or isinstance(value, ast.Call) for value in arguments):
            return False
    name = dotted(called).rpartition(".")[2]
    return meaning(module, called) in _MANAGERS or _TIMER.match(name) is not None


def _may_write(node: ast.AST) -> bool:
    """Whether a node writes to something that others see: an attribute, an item, a collection, a global."""
    if isinstance(node, ast.Attribute | ast.Subscript):
        return not isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in _WRITES
    return isinstance(node, ast.Global | ast.Nonlocal)


def _reads(module: Module, item: ast.withitem) -> bool:
    """Whether code for compiled functions reads what the manager gives."""
    given = (
        {node.id for node in ast.walk(item.optional_vars) if isinstance(node, ast.Name)}
        if item.optional_vars
        else set()
    )
    function = module.function_of(item.context_expr) or module.tree
    loads = (node for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    return not given or any(node.id in given and not eager_only(module, node) for node in loads)
