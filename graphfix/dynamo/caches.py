"""Tells state that a rewrite may add, and caches that compiled code fills early, from state that must not change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphfix.dynamo.compare import compare


def without_early_caches(eager: Sequence[dict[str, Any]], compiled: Sequence[dict[str, Any]]) -> None:
    """Take from the recorded states the attributes that compiled code set in an earlier call than eager code did, to
    the same value: code that runs both ways of a branch fills a cache (`if not hasattr(self, "x")`) in its first call.
    """
    states = [
        (was["state"]["attributes"], now["state"]["attributes"]) for was, now in zip(eager, compiled, strict=True)
    ]
    early: set[str] = set()
    for number, (was, now) in enumerate(states):
        for key in now.keys() - was.keys():
            later = [state[key] for state, _ in states[number:] if key in state]
            if later and compare(later[0], now[key], exact=False).difference is None:
                early.add(key)
    for was, now in states:
        for key in sorted(early & now.keys()):
            value = now.pop(key)
            if key in was:  # compared there, but in one order
                was[key], now[key] = was.pop(key), value


def without_new_constants(
    original: Sequence[dict[str, Any]], patched: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The patched code's states without the plain attributes that the original never has and that no call changes: such
    as a number that a patched `__init__` keeps beside a buffer. Buffers that are plain attributes in the original are
    taken for such.
    """
    known = {key for record in original for key in record["state"]["attributes"]}
    states = [_without_new_buffers(was["state"], now["state"]) for was, now in zip(original, patched, strict=False)]
    added = set[str]()
    for key in {key for state in states for key in state["attributes"]} - known:
        values = [state["attributes"].get(key) for state in states]
        if None not in values and all(compare(values[0], one, exact=True).difference is None for one in values):
            added.add(key)
    return [
        {**state, "attributes": {key: one for key, one in state["attributes"].items() if key not in added}}
        for state in states
    ]


def _without_new_buffers(original: dict[str, Any], patched: dict[str, Any]) -> dict[str, Any]:
    """The patched code's state with the buffers among the plain attributes that are there in the original."""
    buffers, attributes = patched["buffers"], patched["attributes"]
    new = (buffers.keys() - original["buffers"].keys()) & (original["attributes"].keys() - attributes.keys())
    if not new:
        return patched
    both = attributes | {key: buffers[key] for key in new}
    order = dict.fromkeys([*original["attributes"], *both])
    return {
        **patched,
        "buffers": {key: value for key, value in buffers.items() if key not in new},
        "attributes": {key: both[key] for key in order if key in both},
    }
