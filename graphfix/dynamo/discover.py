"""Lets Dynamo go on where it would give up on a whole frame, so that later breaks in it show as well.

Dynamo cannot resume inside a loop, a `try` block or a user's context manager, nor at an attribute, an operator or an
iterator whose code breaks: it reports the first break there and runs the frame in eager. Here it resumes all the same.
What runs then may compute something else: good for finding places, never for a result. Written for torch 2.13; a change
that another version has no place for is left out.
"""

from __future__ import annotations

import contextlib
import dis
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from torch._dynamo import symbolic_convert
from torch._dynamo.exc import Unsupported
from torch._dynamo.symbolic_convert import InstructionTranslator, InstructionTranslatorBase

from graphfix.dynamo.discover_values import entering_at_once, no_rounds, report, values

_RESUMABLE = ("LOAD_ATTR", "BINARY_OP", "CONTAINS_OP", "UNARY_NEGATIVE", "UNARY_INVERT")
_LOOPS = ("GET_ITER", "FOR_ITER")
_JUMPS = tuple(f"POP_JUMP_{way}IF_{truth}" for way in ("", "FORWARD_") for truth in ("TRUE", "FALSE"))


@contextlib.contextmanager
def resuming_everywhere() -> Iterator[None]:
    """Override Dynamo's decisions to skip a frame, for as long as the block lasts."""
    with contextlib.ExitStack() as stack:
        for change in (*_decisions(), *values(), *_steps()):
            with contextlib.suppress(AttributeError):
                stack.enter_context(change)
        yield


def _decisions() -> Iterator[AbstractContextManager[object]]:
    base = InstructionTranslatorBase
    yield mock.patch.object(base, "maybe_has_backedge", return_value=False)
    yield mock.patch.object(InstructionTranslator, "should_compile_partial_graph", _may_resume)
    if hasattr(base, "setup_or_before_with"):
        yield mock.patch.object(base, "setup_or_before_with", entering_at_once(base.setup_or_before_with))


def _may_resume(self: Any) -> bool:
    """Everywhere but where resuming has no meaning: `try` blocks count no more."""
    return not (self.one_graph or self.is_tracing_resume_prologue or self.output.current_tracer.parent)


def _steps() -> Iterator[AbstractContextManager[object]]:
    """Changes of how single instructions are traced."""
    changes: dict[str, Callable[[Any], Any]] = {"POP_EXCEPT": _forgiving}
    changes |= dict.fromkeys(_RESUMABLE, symbolic_convert.break_graph_if_unsupported(push=True, msg_prefix=""))
    changes |= dict.fromkeys((*_LOOPS, *_JUMPS), _going_on)
    translators = ("InstructionTranslator", "InliningInstructionTranslator", "InliningGeneratorInstructionTranslator")
    for kind in (getattr(symbolic_convert, name) for name in translators if hasattr(symbolic_convert, name)):
        table = list(kind.dispatch_table)
        for name, change in changes.items():
            if name in dis.opmap and table[dis.opmap[name]] is not None:
                table[dis.opmap[name]] = change(table[dis.opmap[name]])
        yield mock.patch.object(kind, "dispatch_table", table)


def _forgiving(original: Any) -> Any:
    """Where an `except` block was resumed there is no exception to forget."""

    def step(self: Any, inst: Any) -> None:
        if len(self.exn_vt_stack):
            original(self, inst)
        else:
            self.pop()

    return step


def _going_on(original: Any) -> Any:
    """A loop over what cannot be iterated has no rounds; a condition that cannot be decided falls through."""

    def step(self: Any, inst: Any) -> Any:
        before = list(self.stack)
        try:
            return original(self, inst)
        except Unsupported as error:
            if not isinstance(self, InstructionTranslator):
                raise
            report(self, error)
            self.stack[:] = before[:-1]
            if inst.opname == "GET_ITER":
                self.push(no_rounds())
            elif inst.opname == "FOR_ITER":
                self.jump(inst)
            return None

    return step
