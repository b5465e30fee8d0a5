"""What Inductor logs of CUDA graphs is read without a GPU; that it says so on one is shown in docs/scan.md."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Any

import pytest

pytestmark = pytest.mark.torch

SKIP = """skipping cudagraphs due to mutated inputs (1 instances). Found from :
   File "/m/model.py", line 7, in f
    x.add_(1)
"""


@pytest.fixture
def seen() -> list[dict[str, Any]]:
    return []


def log(module: str, *messages: str) -> None:
    logger = logging.getLogger(f"torch._inductor.{module}.__cudagraphs")
    for message in messages:
        logger.warning(message)


def test_a_skip_has_its_reason_and_its_innermost_line(seen: list[dict[str, Any]]) -> None:
    from torch._dynamo.utils import counters

    from graphfix.dynamo.cuda import watch_cudagraphs

    with watch_cudagraphs(seen.append):
        log("cudagraph_utils", SKIP)
        counters["inductor"]["cudagraph_skips"] += 2
        counters["inductor"]["cudagraph_partitions"] += 3
    assert seen == [
        {"event": "cudagraph_skip", "reason": "mutated inputs (1 instances)", "path": "/m/model.py", "line": 7},
        {"event": "cudagraph_skip", "reason": "Inductor gave no reason", "path": None, "line": None},
        {"event": "cudagraph_partitions", "count": 3},
    ]


def test_a_partition_that_is_left_out_is_told_over_several_messages(seen: list[dict[str, Any]]) -> None:
    from graphfix.dynamo.cuda import watch_cudagraphs

    with watch_cudagraphs(seen.append):
        log(
            "scheduler",
            "Created 3 graph partitions: 2 cudagraphable, 1 non-cudagraphable",
            "    op1: reason=DeviceCopy ops, ir=DeviceCopy, fx=aten._to_copy(x)",
            '         File "/m/model.py", line 4, in f',
            "           return y.cpu()",
            "    op2: reason=cpu ops, ir=ComputedBuffer",
        )
    found = [(one["reason"], one["line"]) for one in seen if one["event"] == "cudagraph_skip"]
    assert found == [("left out of the graph: DeviceCopy ops", 4), ("left out of the graph: cpu ops", None)]


def test_a_wait_is_told_with_the_innermost_line_outside_torch(
    seen: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from graphfix.dynamo.cuda import watch_syncs

    modes: list[Any] = []
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    with watch_syncs(seen.append):
        warnings.warn("called a synchronizing CUDA operation")  # noqa: B028
        line = sys._getframe().f_lineno - 1
        warnings.warn("something else")  # noqa: B028
    assert modes == ["warn", 0]
    (one,) = seen
    assert (one["path"], one["line"]) == (__file__, line)
    assert one["op"].startswith("warnings.warn(")
