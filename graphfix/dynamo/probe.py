"""Runs one function on mutated inputs, as it was and as a fix rewrote it, eager and compiled.

The inputs are those the target's calls hand to the function that encloses a rewritten branch. A way of the branch that
no call takes is tried so, and what the two versions do there is compared.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import linecache
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CellType, CodeType, FrameType, FunctionType, MappingProxyType, TracebackType
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

from graphfix.dynamo import capture, load
from graphfix.dynamo.arcs import is_foreign, trace_arcs
from graphfix.dynamo.compare import Leaf, compare, snapshot
from graphfix.dynamo.mutate import copied, mutations
from graphfix.dynamo.record import gradients_of, kept_in, random_states, state_of
from graphfix.model import Call

RECORDED = 2
"""How many calls of the function are recorded."""
COMPILED = 2
"""How many mutated inputs of each way of the branch are compiled."""
ASSERTED = "graphfix: "
"""How the message of an assertion begins that a fix brought along."""
SECONDS = 30.0
"""After this time no further input is tried."""
LONGEST = 5.0
"""Seconds that an eager run on a mutated input may take: a loop may never end on what nobody gave it."""


@dataclass
class Recorded:
    """One call of the function: its code, where it found its names, its arguments and the modes it ran in."""

    code: CodeType
    names: dict[str, Any]
    cells: dict[str, Any]
    arguments: tuple[list[Any], dict[str, Any]]
    grad: bool
    inference: bool
    gradients: bool


def record(calls: Sequence[Call], path: str, first_line: int) -> list[Recorded]:
    """Run the calls in eager and keep what they hand to the function that begins at `first_line` of the file."""
    found: list[Recorded] = []

    def on_call(frame: FrameType, event: str, arg: Any) -> None:
        code = frame.f_code
        if code.co_firstlineno == first_line and code.co_filename == path and len(found) < RECORDED:
            found.append(_recorded(frame, call.grad))

    for call in calls:
        args, kwargs = capture.copy_arguments(call)
        load.seed_everything(load.SEED)
        before = sys.gettrace()
        sys.settrace(on_call)
        try:
            with contextlib.suppress(Exception), load.without_compiling():
                call.fn(*args, **kwargs)
        finally:
            sys.settrace(before)
    return found


def _recorded(frame: FrameType, gradients: bool) -> Recorded:
    code, local = frame.f_code, frame.f_locals
    plain = code.co_varnames[: code.co_argcount]
    only = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    rest = list(code.co_varnames[code.co_argcount + code.co_kwonlyargcount :])
    more = local[rest.pop(0)] if code.co_flags & inspect.CO_VARARGS else ()
    named = local[rest.pop(0)] if code.co_flags & inspect.CO_VARKEYWORDS else {}
    arguments = ([*(local[name] for name in plain), *more], {**{name: local[name] for name in only}, **named})
    cells = {name: local[name] for name in code.co_freevars if name in local}
    grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    return Recorded(code, frame.f_globals, cells, _copied(arguments), grad, inference, gradients)


def _copied(arguments: Any) -> Any:
    return tree_map(copied, arguments)


def rewritten(code: CodeType, text: str | ast.Module, path: str) -> CodeType | None:
    """The code of the same function in the patched text of its file; None where it cannot be told."""
    found = [
        one for one in _codes(compile(text, path, "exec", dont_inherit=True)) if one.co_qualname == code.co_qualname
    ]
    return found[0] if len(found) == 1 else None


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def probe(
    calls: Sequence[Call], path: str, first_line: int, branch: dict[str, Any] | None, text: str, device: str
) -> dict[str, Any]:
    """What the mutated inputs showed, as plain data.

    `branch` holds the lines of the condition (`test`) and of the arm taken when it is true (`body`), or where the
    condition of a conditional expression stands (`asked`) in the text (`source`); None where the fix has no branch.
    Returns `arms` (which ways were taken: true, false), `called` (those that the calls themselves took, where a
    condition is asked), `difference` (the first between the two versions, None where there is
    none), `failures` (errors that the original raises itself, by way) and `tried`.
    """
    report: dict[str, Any] = {"arms": [False, False], "difference": None, "failures": [None, None], "tried": 0}
    report["called"] = None
    compiled = [0, 0]
    start = time.monotonic()
    for case in record(calls, path, first_line):
        new = rewritten(case.code, text, path)
        if new is None or new.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
            continue
        added = _added_names(text, path, case.names)
        compiler = _Compiled(case, _function(case, new, added))
        if branch is not None and "asked" in branch:
            report["called"] = _either(report["called"], _asked(case, branch, case.arguments))
        for name, arguments in mutations(case.arguments):
            if time.monotonic() - start > SECONDS or report["difference"]:
                return report
            report["tried"] += 1
            try:
                with trace_arcs(True) as arcs, _limited(LONGEST):
                    was = _run(_function(case, case.code), arguments, case)
            except _TooLong:
                continue
            if branch is not None and "asked" in branch:
                ways = _asked(case, branch, arguments)
            else:
                ways = _ways(arcs.get(path, set()), branch)
            report["arms"] = _either(report["arms"], ways)
            try:
                with _limited(LONGEST):
                    now = _run(_function(case, new, added), arguments, case)
            except _TooLong:
                report["difference"] = f"with {name}, it does not end"
                return report
            found = _eager_difference(was, now)
            if found is None and was["latent"] is not None:
                report["failures"] = [
                    old or (f"{name}: {was['latent']}" if way else None)
                    for old, way in zip(report["failures"], ways, strict=True)
                ]
            elif found is None and any(way and count < COMPILED for way, count in zip(ways, compiled, strict=True)):
                compiled = [count + way for count, way in zip(compiled, ways, strict=True)]
                found = _compiled_difference(compiler.run(arguments), was, device)
            if found is not None:
                report["difference"] = f"with {name}, {found}"
    return report


class _TooLong(BaseException):
    """A run was ended."""


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """End what runs in the block after so many seconds, by _TooLong; only where the system has timers."""

    def end(*_: Any) -> None:
        raise _TooLong

    if not hasattr(signal, "setitimer"):
        yield
        return
    usual = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, usual)


def _either(one: list[bool] | None, other: list[bool]) -> list[bool]:
    return other if one is None else [a or b for a, b in zip(one, other, strict=True)]


def _asked(case: Recorded, branch: dict[str, Any], arguments: Any) -> list[bool]:
    """Which values a condition had while the original ran: true, false."""
    ways = [False, False]

    def ask(value: Any) -> Any:
        with contextlib.suppress(Exception):  # where it has no truth, the original fails by itself
            ways[0 if value else 1] = True
        return value

    tree = ast.parse(branch["source"])
    _Asks(tuple(branch["asked"])).visit(tree)
    code = rewritten(case.code, ast.fix_missing_locations(tree), case.code.co_filename)
    if code is not None:
        _run(_function(case, code, {_ASK: ask}), arguments, case)
    return ways


_ASK = "__graphfix_ask__"


class _Asks(ast.NodeTransformer):
    """Hands the expression at a place to a function before its truth is asked for."""

    def __init__(self, place: tuple[int, ...]) -> None:
        self._place = place

    def visit(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node, ast.expr):
            return node
        place = (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
        if place != self._place:
            return node
        asked = ast.Call(func=ast.Name(id=_ASK, ctx=ast.Load()), args=[node], keywords=[])
        return ast.copy_location(asked, node)


def _eager_difference(was: dict[str, Any], now: dict[str, Any]) -> str | None:
    if was["latent"] is not None:  # where the original breaks off in the middle, only that counts
        alike = _without_numbers(was["raised"]) == _without_numbers(now["raised"])
        return None if alike else f"raises {now['raised']}, raised {was['raised']}"
    found = compare(was["result"], _with_numbers(was["result"], now["result"]), exact=True).difference
    return found or ("other random numbers were drawn" if was["drawn"] != now["drawn"] else None)


def _without_numbers(error: str | None) -> str | None:
    """An error without its numbers: which element a kernel complains of first differs from run to run."""
    return error and re.sub(r"\d+", "0", error)


class _Compiled:
    """A function that is compiled once, with the arguments as a call of the target handed them over: what its code
    takes for a constant shows when other values come."""

    def __init__(self, case: Recorded, function: FunctionType) -> None:
        self._case, self._function = case, function
        self._compiled: Callable[..., Any] | None = None

    def run(self, arguments: Any) -> dict[str, Any]:
        """What the compiled function does with the arguments."""
        if self._compiled is None:
            torch._dynamo.reset()
            self._compiled = torch.compile(self._function, backend="aot_eager")
            _run(self._compiled, self._case.arguments, self._case)
        return _run(self._compiled, arguments, self._case)


def _compiled_difference(now: dict[str, Any], was: dict[str, Any], device: str) -> str | None:
    if now["raised"] and ASSERTED in now["raised"]:
        return None  # what a fix assumes does not hold, and the new code says so
    if was["raised"]:
        return None if now["raised"] else f"the compiled code does not raise {was['raised']}"
    result = _with_numbers(was["result"], now["result"])
    found = compare(was["result"], result, exact=False, device=device).difference
    return found and f"compiled: {found}"


_OUTPUT = "['output']"
"""Where a snapshot of a run holds what the function returned."""


def _with_numbers(was: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The new result, with numbers for returned tensors without dimensions where the original returned numbers.

    A helper may return either, as long as its callers compute the same: the target's own results are compared strictly.
    """
    return now | {_OUTPUT: _as_numbers(was[_OUTPUT], now[_OUTPUT])}


def _as_numbers(was: Any, now: Any) -> Any:
    if isinstance(was, Leaf) and isinstance(now, torch.Tensor) and not now.dim() and not now.requires_grad:
        value = now.item()
        return Leaf(was.type, value) if type(value).__name__ == was.type else now
    if isinstance(was, dict) and isinstance(now, dict) and was.keys() == now.keys():
        return {key: _as_numbers(was[key], now[key]) for key in now}
    if isinstance(was, tuple | list) and type(was) is type(now) and len(was) == len(now):
        return type(was)(map(_as_numbers, was, now))
    return now


def _added_names(text: str, path: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """What the patched file has at module level and the original has not: imports, and classes that moved there."""
    kinds = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.Assign)
    found = dict(names)
    for node in ast.parse(text).body:
        if isinstance(node, kinds) and not any(name in names for name in _bound(node)):
            with contextlib.suppress(Exception):
                exec(compile(ast.Module([node], []), path, "exec", dont_inherit=True), found)
    return {name: value for name, value in found.items() if name not in names}


def _bound(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    return [one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)]


def _function(case: Recorded, code: CodeType, more: Mapping[str, Any] = MappingProxyType({})) -> FunctionType:
    names = {**case.names, "torch": case.names.get("torch", torch), **more}
    cells = tuple(CellType(case.cells[name]) if name in case.cells else CellType() for name in code.co_freevars)
    return FunctionType(code, names, code.co_name, None, cells)


def _run(function: Callable[..., Any], arguments: Any, case: Recorded) -> dict[str, Any]:
    """Call it on copies; modules and objects among the arguments get their state back afterwards."""
    args, kwargs = _copied(arguments)
    modules = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.nn.Module)]
    objects = [value for value in (*args, *kwargs.values()) if kept_in(value)]
    load.seed_everything(load.SEED)
    output, raised, latent, gradients = None, None, None, dict[str, Any]()
    with (
        _restored(modules),
        _restored_objects(objects),
        torch.inference_mode(case.inference),
        torch.set_grad_enabled(case.grad),
    ):
        try:
            output = function(*args, **kwargs)
            if case.gradients and _is_finite(output):
                gradients = gradients_of(output, (args, kwargs), modules)
        except Exception as error:
            raised = f"{type(error).__name__}: {error}"
            latent = None if _is_raised_on_purpose(error.__traceback__) else raised.splitlines()[0]
        result = snapshot({"output": output, "raised": raised, "arguments": [args, kwargs], "gradients": gradients})
        result |= {"state": state_of(modules), "objects": snapshot([kept_in(value) for value in objects])}
        drawn = random_states()
    return {"result": result, "drawn": drawn, "raised": raised, "latent": latent}


def _is_finite(output: Any) -> bool:
    """Gradients of what is not finite depend on the formula, not on the function."""
    tensors = (leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor) and leaf.is_floating_point())
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


@contextlib.contextmanager
def _restored(modules: Sequence[torch.nn.Module]) -> Iterator[None]:
    owners = [child for module in modules for child in module.modules()]
    kept = [(owner, dict(vars(owner)), dict(owner._buffers)) for owner in owners]
    values = [
        (buffer, buffer.detach().clone()) for *_, buffers in kept for buffer in buffers.values() if buffer is not None
    ]
    try:
        yield
    finally:
        for owner, attributes, buffers in kept:
            vars(owner).clear()
            vars(owner).update(attributes)
            owner._buffers.clear()
            owner._buffers.update(buffers)
        with torch.no_grad():
            for buffer, value in values:
                buffer.copy_(value)


@contextlib.contextmanager
def _restored_objects(objects: Sequence[Any]) -> Iterator[None]:
    """Give objects their attributes back, and what plain ones among these held."""
    kept = [(one, dict(vars(one)), _copied(kept_in(one))) for one in objects]
    try:
        yield
    finally:
        for one, attributes, values in kept:
            vars(one).clear()
            vars(one).update(attributes | values)


def _is_raised_on_purpose(trace: TracebackType | None) -> bool:
    """Whether the error comes from a `raise` or `assert` of the user's code."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or is_foreign(trace.tb_frame.f_code.co_filename):
        return False
    try:
        tree = ast.parse("".join(linecache.getlines(trace.tb_frame.f_code.co_filename)))
    except SyntaxError:
        return False
    kinds, line = (ast.Raise, ast.Assert), trace.tb_lineno
    return any(isinstance(node, kinds) and node.lineno <= line <= (node.end_lineno or 0) for node in ast.walk(tree))


def _ways(arcs: set[tuple[int, int]], branch: dict[str, list[int]] | None) -> list[bool]:
    if branch is None:  # nothing to tell apart: all counts as one way
        return [True, False]
    test, body = (range(first, last + 1) for first, last in (branch["test"], branch["body"]))
    after = {to for start, to in arcs if start in test and to not in test}
    return [any(to in body for to in after), any(to not in body for to in after)]
