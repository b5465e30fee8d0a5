"""Lets Dynamo go on where it would give up on a whole frame, so that later breaks in it show as well.

Dynamo cannot resume inside a loop, a `try` block or a user's context manager: it reports the first break there and runs
the frame in eager. Here it resumes all the same (methods of torch 2.13; one that another version lacks is left alone).
What runs then may compute something else: good for finding places, never for a result.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from torch._dynamo.symbolic_convert import InstructionTranslator, InstructionTranslatorBase
from torch._dynamo.variables.ctx_manager import GenericContextWrappingVariable, NullContextVariable


@contextlib.contextmanager
def resuming_everywhere() -> Iterator[None]:
    """Override Dynamo's decisions to skip a frame, for as long as the block lasts."""
    with contextlib.ExitStack() as stack:

        def override(owner: type, name: str, change: Callable[[Any], Any]) -> None:
            if hasattr(owner, name):
                stack.enter_context(mock.patch.object(owner, name, change(getattr(owner, name))))

        override(InstructionTranslatorBase, "maybe_has_backedge", lambda _: lambda self: False)
        override(InstructionTranslator, "should_compile_partial_graph", lambda _: _may_resume)
        override(InstructionTranslatorBase, "setup_or_before_with", _entering_at_once)
        yield


def _may_resume(self: Any) -> bool:
    """Everywhere but where resuming has no meaning: `try` blocks count no more."""
    return not (self.one_graph or self.is_tracing_resume_prologue or self.output.current_tracer.parent)


class _Entered(NullContextVariable):
    """A user's context manager that was entered already; leaving it does nothing."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def enter(self, tx: Any) -> Any:
        return self.value


def _entering_at_once(original: Any) -> Any:
    def setup(self: Any, inst: Any) -> None:
        manager = self.stack[-1]
        if isinstance(manager, GenericContextWrappingVariable) and not manager.supports_graph_breaks():
            self.stack[-1] = _Entered(manager.enter(self))
        original(self, inst)

    return setup
