"""Traces which line followed which in the user's files, so that the ways a branch went can be told."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

_TORCH = os.path.dirname(torch.__file__) + os.sep
_GRAPHFIX = os.path.dirname(os.path.dirname(__file__)) + os.sep
_STDLIB = sysconfig.get_paths()["stdlib"] + os.sep

EXIT = 0
"""The line number that stands for leaving the function normally."""


@contextlib.contextmanager
def trace_arcs(wanted: bool) -> Iterator[dict[str, set[tuple[int, int]]]]:
    """Yield a dict (file → pairs of a line and the next) that fills with what runs inside the block.

    Code of torch and of the standard library is left out. Nothing is traced where it is not `wanted`.
    """
    arcs: dict[str, set[tuple[int, int]]] = defaultdict(set)

    def on_call(frame: FrameType, event: str, arg: Any) -> Any:
        if is_foreign(frame.f_code.co_filename):
            return None
        found = arcs[frame.f_code.co_filename]
        last = frame.f_lineno
        raising = False

        def on_line(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal last, raising
            if event == "line":
                found.add((last, frame.f_lineno))
                last, raising = frame.f_lineno, False
            elif event == "exception":
                raising = True
            elif event == "return" and not raising:
                found.add((last, EXIT))
            return on_line

        return on_line

    before = sys.gettrace()
    if wanted:
        sys.settrace(on_call)
    try:
        yield arcs
    finally:
        sys.settrace(before)


@functools.cache
def is_foreign(name: str) -> bool:
    if name.startswith((_TORCH, _GRAPHFIX, "<")):
        return True
    return name.startswith(_STDLIB) and f"{os.sep}site-packages{os.sep}" not in name
