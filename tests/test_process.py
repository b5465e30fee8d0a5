"""A worker's time limit: it counts the worker's own time."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any

import pytest

from graphfix.scan.process import _Worker


@pytest.mark.parametrize(("waits", "timed_out"), [(True, False), (False, True)])
def test_time_in_which_a_worker_waits_for_others_does_not_count(waits: bool, timed_out: bool) -> None:
    worker = object.__new__(_Worker)
    worker.timed_out = False
    worker._events, write = os.pipe()

    def tell(**event: Any) -> None:
        os.write(write, (json.dumps(event) + "\n").encode())

    def play() -> None:
        tell(event="ready", waits=waits)
        time.sleep(0.6)
        tell(event="turn")
        os.close(write)

    player = threading.Thread(target=play)
    player.start()
    seen = [event["event"] for event in worker._lines(time.monotonic() + 0.3)]
    player.join()
    os.close(worker._events)
    assert worker.timed_out is timed_out
    assert seen == (["ready"] if timed_out else ["ready", "turn"])
