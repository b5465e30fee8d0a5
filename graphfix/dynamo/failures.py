"""Turns an error inside torch's compiler into a break event, so that its place is a site like any other."""

from __future__ import annotations

import re
import traceback
from types import CodeType
from typing import Any

import torch

from graphfix.printed import frames_in

_USER_CODE = re.compile(r"from user code:\n(?P<stack>(?:.*\n?)*)")
_BEHIND = re.compile(r"\n(?:from user code|Original traceback|Found from :|\s*Hint:)")
"""Follows what the error says itself."""
_OPERATION = re.compile(r"(?:Original traceback:|\nFound from :) *\n(?P<stack>(?:.*\n?)*)")
"""Heads the stack of the operation that a backend failed on, after Dynamo had traced all of the frame (the second where
Inductor failed to lower it)."""
_LOWERED = re.compile(r"\n\s*target: (?P<name>\S+)\n")
"""Names the operation that Inductor failed to lower; its arguments follow, which can be thousands of lines."""


def compiler_failure(error: BaseException) -> dict[str, Any] | None:
    """The event for an error that torch's compiler raised itself; None for an error of the user's own code."""
    own_kind = any(kind.__module__.startswith(("torch._dynamo", "torch._inductor")) for kind in type(error).__mro__)
    if not own_kind and not _raised_in_compiler(error):
        return None
    text = str(error)
    explanation = _both_ends(_BEHIND.split(text)[0].strip())
    if (lowered := _LOWERED.search(text)) is not None and lowered["name"] not in explanation:
        explanation = f"{explanation} (at {lowered['name']})"
    return {
        "event": "break",
        "id": None,
        "type": f"{type(error).__name__} inside torch.compile",
        "explanation": explanation,
        "hints": ["Dynamo itself failed here; the call runs in eager only where torch.compile is left out."],
        "consequences": [],
        "hides_rest": True,
        "stack": _user_frames(error, text),
    }


def short(text: str, most: int = 400) -> str:
    """The beginning of an error's text: what a compiler printed can be thousands of lines."""
    return text if len(text) <= most else text[:most].rstrip() + " …"


def _both_ends(text: str, most: int = 600) -> str:
    """The beginning and the end of an error's text: arguments stand between them, and the end says what is wrong."""
    return text if len(text) <= most else f"{text[: most // 2].rstrip()} … {text[-most // 2 :].lstrip()}"


def is_torch_broken() -> bool:
    """Whether torch fails at anything from now on.

    So it does after an operation that failed in the backend under inference mode (2.11 and 2.13).
    """
    try:
        torch.zeros(1) + 1
    except RuntimeError:
        return True
    return False


def is_out_of_memory(text: str) -> bool:
    """Whether an error's text is torch's for a lack of memory, on a GPU or on the CPU."""
    return any(words in text for words in ("OutOfMemoryError", "out of memory", "can't allocate memory"))


def _compiled_code(error: BaseException) -> CodeType | None:
    """The function that Dynamo was compiling when it failed (a local of `_compile`, seen on torch 2.13)."""
    trace, found = error.__traceback__, None
    while trace is not None:
        code = trace.tb_frame.f_locals.get("code")
        if isinstance(code, CodeType) and trace.tb_frame.f_code.co_name == "_compile":
            found = code
        trace = trace.tb_next
    return found


def _raised_in_compiler(error: BaseException) -> bool:
    """Whether the error was raised there, and did not merely pass through."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and "/torch/_dynamo/" in frames[-1].filename


def _user_frames(error: BaseException, text: str) -> list[dict[str, Any]]:
    found = _OPERATION.search(text) or _USER_CODE.search(text)
    if found and (frames := list(frames_in(found["stack"]))):
        return frames
    frames = [
        {"path": frame.filename, "line": frame.lineno or 0, "function": frame.name}
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    if (code := _compiled_code(error)) is not None:
        frames.append({"path": code.co_filename, "line": code.co_firstlineno, "function": code.co_qualname})
    return [{**frame, "column": None, "end_line": None, "end_column": None} for frame in frames]
