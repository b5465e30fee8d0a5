"""Runs the user's own program and writes the breaks of every torch.compile in it to a file."""

from __future__ import annotations

import atexit
import json
import os
import runpy
import sys
from typing import Any


def main(events_file: str, overlay: str, script: str, arguments: list[str]) -> None:
    """Run `script` as `__main__` with its arguments; torch is imported, and observed, before the script begins."""
    if overlay:
        from graphfix.hook import install

        install(json.loads(overlay))
    sys.argv = [script, *arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    _watch(events_file)
    runpy.run_path(script, run_name="__main__")


def _watch(events_file: str) -> None:
    from graphfix.dynamo.collector import Collector

    stream = open(events_file, "w", encoding="utf-8", buffering=1)  # noqa: SIM115 (lives as long as the program)
    owner = os.getpid()
    ops: list[int] = []

    def emit(event: dict[str, Any]) -> None:
        if os.getpid() == owner:  # a forked child's breaks are its own program's
            stream.write(json.dumps({"pass": "explain", **event}, default=str) + "\n")

    Collector(emit).__enter__()
    _count_graphs(ops)
    atexit.register(lambda: emit({"event": "graphs", "graphs": sum(o > 0 for o in ops), "ops": sum(ops)}))


def _count_graphs(ops: list[int]) -> None:
    """Note the ops of every graph that Dynamo hands to a backend (`call_user_compiler`, seen on torch 2.13)."""
    from torch._dynamo.output_graph import OutputGraph

    from graphfix.dynamo.capture import count_ops

    original = OutputGraph.call_user_compiler

    def counted(self: Any, module: Any, *args: Any, **kwargs: Any) -> Any:
        ops.append(count_ops(module))
        return original(self, module, *args, **kwargs)

    OutputGraph.call_user_compiler = counted  # type: ignore[method-assign, assignment]
