"""Tells which conditions held at their places while the target's calls ran in eager."""

from __future__ import annotations

import contextlib
import sys
from collections import defaultdict
from collections.abc import Sequence
from types import FrameType
from typing import Any

from graphfix.dynamo import capture, load
from graphfix.model import Call

_EXPRESSIONS = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<lambda>"})
"""Parts of a statement with a frame of their own, which has not the names of the function around."""


def held(calls: Sequence[Call], conditions: Sequence[tuple[str, int, str]]) -> list[bool | None]:
    """For each condition (file, line, text): whether it was true whenever its line ran, None where it never ran.

    One that fails to evaluate is not true.
    """
    found: list[bool | None] = [None] * len(conditions)
    by_line: dict[tuple[str, int], list[int]] = defaultdict(list)
    for number, (path, line, _) in enumerate(conditions):
        by_line[path, line].append(number)
    paths = {path for path, *_ in conditions}

    def on_call(frame: FrameType, event: str, arg: Any) -> Any:
        code = frame.f_code
        return on_line if code.co_filename in paths and code.co_name not in _EXPRESSIONS else None

    def on_line(frame: FrameType, event: str, arg: Any) -> Any:
        numbers = by_line.get((frame.f_code.co_filename, frame.f_lineno), ()) if event == "line" else ()
        for number in numbers:
            found[number] = found[number] is not False and _is_true(conditions[number][2], frame)
        return on_line

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


def _is_true(condition: str, frame: FrameType) -> bool:
    try:
        return bool(eval(condition, frame.f_globals, frame.f_locals))
    except Exception:
        return False
