"""The text of a graph break: Dynamo's message taken apart, as it is logged by torch 2.6 to 2.13."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OTHER_RANDOM_NUMBERS = "other random numbers were drawn"
"""What is said where compiled code leaves the random generators in another state than eager code."""

NESTED = "*** While handling this graph break, another graph break occurred: ***"

CONSEQUENCES = frozenset({"GB7000", "GB0065", "GB0039", "GB0066", "GB0092", "GB1297", "GB8335"})
"""Ids that Dynamo reports, where a break came before, only because that happened inside a construct."""

CUT_IN_TWO = "trace the builtin `<unknown module>.Tensor."
"""What Dynamo says of a tensor's method that was looked up before a break in its arguments, and is called after it."""

BLAMES_EARLIER = "may have been caused by an earlier graph break"
"""The hint by which Dynamo itself says that a break is a consequence."""

_ALIASES = {"Data-dependent branching": "GB0170", "Data-dependent jump": "GB0170"}
"""Types that the registries of some versions spell differently (2.6 and 2.8)."""

_OLD = (
    (re.compile(r"Tensor\.item\b|Graph break from `Tensor\.item\(\)`"), "GB0124"),
    (re.compile(r"generic_jump TensorVariable\b"), "GB0170"),
    (re.compile(r"builtin: "), "GB0059"),
    (re.compile(r"dynamic shape operator: "), "GB0036"),
)
"""How types begin where there is no registry (2.6), and in every version's warning about `Tensor.item()`."""

_BEGINS = re.compile(r"^(?P<type>\S[^\n]*)\n  (?:Higher Order Operator|Explanation): ", re.MULTILINE)
_UNSUPPORTED = re.compile(r"(?:torch\._dynamo\.exc\.)?Unsupported: ")

_MESSAGE = re.compile(
    r"\s*(?P<type>[^\n]*)"
    r"(?:\n  Higher Order Operator: [^\n]*)?"
    r"(?:\n  Explanation: (?P<explanation>.*?))?(?=\n  Hint: |\n\n  Developer|\Z)"
    r"(?P<hints>(?:\n  Hint: .*?)*)"
    r"(?:\n+  Developer debug context: (?P<context>.*?))?(?:\n\n For more|\Z)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Message:
    """One break message: `id` is None where neither the text nor the registry knows it."""

    id: str | None
    type: str
    explanation: str
    hints: tuple[str, ...]


def parse(text: str, ids: Mapping[str, str]) -> tuple[Message, ...]:
    """The message and, after it, those of the breaks that happened while Dynamo handled it.

    `ids` maps a break type to its registry id (`graph_break_registry.json` of the torch at hand).
    """
    return tuple(_parse_one(part, ids) for part in text.split(NESTED))


def _parse_one(text: str, ids: Mapping[str, str]) -> Message:
    match = _MESSAGE.match(text)
    parts: dict[str, str | None] = match.groupdict() if match else {"type": text.strip().partition("\n")[0]}
    kind = (parts.get("type") or "").strip().removesuffix(", consider setting:")
    link = re.search(r"/gb(\d+)\.html", text)
    return Message(
        id=f"GB{link[1]}" if link else ids.get(kind) or _ALIASES.get(kind) or _old_id(kind),
        type=kind,
        explanation=(parts.get("explanation") or "").strip(),
        hints=tuple(hint.strip() for hint in re.split(r"\n  Hint: ", parts.get("hints") or "")[1:]),
    )


def _old_id(kind: str) -> str | None:
    return next((id_ for pattern, id_ in _OLD if pattern.match(kind)), None)


def reason_of(record: str) -> str:
    """The reason part of a `graph_breaks` log record: what stands between its header and the user's stack.

    A line that says what Dynamo was about (`Encountered graph break when …`) is no part of it.
    """
    reason = re.split(r"Graph Break Reason: |Reason: ", record, maxsplit=1)[-1]
    reason = re.split(r"\nUser code traceback|\nStack variable source|\n+from user code:", reason)[0]
    if begin := _BEGINS.search(reason):
        reason = reason[begin.start() :]
    return _UNSUPPORTED.sub("", reason, count=1) if _UNSUPPORTED.match(reason) else reason


def skips_frame(record: str) -> bool:
    """Whether the record says that Dynamo gave up on the whole frame, so that the rest of it is unseen."""
    return bool(re.search(r"results in a skip|[Ss]kipping the function|skip(?:ping)? the rest of the function", record))


@functools.cache
def registry() -> dict[str, list[dict[str, Any]]]:
    """torch's own list of break ids with their texts, the newest entry first, read without importing torch.

    Empty where torch is not installed or older than 2.8, which has none.
    """
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return {}
    path = Path(spec.origin).parent / "_dynamo" / "graph_break_registry.json"
    found: dict[str, list[dict[str, Any]]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


@functools.cache
def registry_ids() -> dict[str, str]:
    """Break type → id, from `registry`."""
    return {entry["Gb_type"]: id_ for id_, entries in registry().items() for entry in reversed(entries)}
