"""Stand-ins for values that Dynamo cannot carry over a graph break, for `graphfix.dynamo.discover`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from torch._dynamo.bytecode_transformation import create_build_tuple, create_call_function
from torch._dynamo.exc import Unsupported
from torch._dynamo.side_effects import SideEffects
from torch._dynamo.variables import ConstantVariable, UserMethodVariable
from torch._dynamo.variables.base import ValueMutationNew
from torch._dynamo.variables.ctx_manager import (
    ContextWrappingVariable,
    GenericContextWrappingVariable,
    NullContextVariable,
)
from torch._dynamo.variables.lists import TupleIteratorVariable


def report(translator: Any, error: Unsupported) -> None:
    """Log a break that tracing goes on after."""
    translator.log_graph_break(translator.code_options, reason=str(error), exc=error)


def no_rounds() -> Any:
    """An iterator with nothing in it."""
    return TupleIteratorVariable([], mutation_type=ValueMutationNew())


def entering_at_once(original: Any) -> Any:
    """Enter a user's context manager where it is met, and carry a plain one over breaks in its place."""

    def setup(self: Any, inst: Any) -> None:
        manager = self.stack[-1]
        own = isinstance(manager, GenericContextWrappingVariable)
        try:
            if own and not manager.supports_graph_breaks():
                self.stack[-1] = _Entered(manager.enter(self), manager)
            elif not isinstance(manager, ContextWrappingVariable | GenericContextWrappingVariable):
                self.unsupported_ctx_graph_break(manager)
        except Unsupported as error:
            report(self, error)
            self.stack[-1] = _Entered(manager, manager if own else None)
        original(self, inst)

    return setup


class _Entered(NullContextVariable):
    """A context manager that was entered already, or could not be; leaving it traces `__exit__` once."""

    def __init__(self, value: Any, manager: Any) -> None:  # public names: Dynamo looks into those only
        super().__init__()
        self.value, self.manager = value, manager

    def enter(self, tx: Any) -> Any:
        return self.value

    def exit(self, tx: Any, *args: Any) -> Any:
        manager, self.manager = self.manager, None
        if manager is not None and len(args) == 3:  # without arguments it is the cleanup of a graph break
            leave = getattr(type(manager.cm_obj), "__exit__", None)
            try:
                UserMethodVariable(leave, manager).call_function(tx, list(args), {})  # type: ignore[arg-type]
            except Unsupported as error:
                report(tx, error)
        return ConstantVariable.create(None)


def values() -> Iterator[AbstractContextManager[object]]:
    """Changes that let Dynamo carry half-consumed dictionary views and generators over a break."""
    with contextlib.suppress(ImportError):
        from torch._dynamo.variables.iter import DictViewIterator

        yield mock.patch.object(DictViewIterator, "reconstruct", _rebuild_rest)
    yield mock.patch.object(SideEffects, "is_reconstructing_generator", return_value=False)


def _rebuild_rest(self: Any, codegen: Any) -> None:
    """`dict.values()` and the like, half consumed (ModuleList): an iterator over what is left."""
    rest = list(self._iter)
    self._iter = iter(rest)
    codegen.add_push_null(lambda: codegen.append_output(codegen.create_load_python_module(iter)))
    for item in rest:
        if self.view_type == "items":
            codegen(item[0].vt)
            codegen(item[1])
            codegen.append_output(create_build_tuple(2))
        else:
            codegen(item.vt if self.view_type == "keys" else item)
    codegen.append_output(create_build_tuple(len(rest)))
    codegen.extend_output(create_call_function(1, False))
