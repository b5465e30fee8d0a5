"""Tells caches that compiled code fills earlier than eager code from state that it should not have changed."""

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
