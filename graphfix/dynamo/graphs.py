"""Counts the graphs that Dynamo hands to any backend, wherever in the program they come from."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from torch._dynamo.output_graph import OutputGraph

from graphfix.dynamo.capture import count_ops


@contextlib.contextmanager
def watch_graphs(tell: Callable[[int], object]) -> Iterator[None]:
    """Tell the operations of each captured graph.

    A backend of our own would count only where we compile; `mode` and a module's own `compile()` allow none.
    `OutputGraph.call_user_compiler` takes the graph first in torch 2.6 to 2.13.
    """
    usual: Any = OutputGraph.call_user_compiler

    def call_user_compiler(self: OutputGraph, module: Any, *args: Any, **kwargs: Any) -> Any:
        tell(count_ops(module))
        return usual(self, module, *args, **kwargs)

    OutputGraph.call_user_compiler = call_user_compiler  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        OutputGraph.call_user_compiler = usual  # type: ignore[method-assign]
