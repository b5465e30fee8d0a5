"""Runs the user's own program under observation, leaving its output, exit code and signals to itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from graphfix.model import Status, Target
from graphfix.scan.observation import Observation
from graphfix.scan.process import Ending

_BOOT = "import sys; sys.path.append(sys.argv.pop(1)); from graphfix.dynamo.observe import main; \
main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])"


def watch(script: str, arguments: Sequence[str], overlay: Mapping[str, str]) -> tuple[Target, Observation, int]:
    """Run `script` to its end; returns what was seen in it and its exit code (128 + n where signal n ended it).

    Ctrl-C reaches the program itself; what was seen until then is reported.
    """
    start = time.monotonic()
    home = str(Path(__file__).resolve().parent.parent.parent)
    with tempfile.TemporaryDirectory(prefix="graphfix-") as folder:
        events = os.path.join(folder, "events.jsonl")
        patched = json.dumps(dict(overlay)) if overlay else ""
        command = [sys.executable, "-c", _BOOT, home, events, patched, script, *arguments]
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            code = subprocess.Popen(command, preexec_fn=_default_interrupt).wait()
        finally:
            signal.signal(signal.SIGINT, before)
        seen = Observation(ending=Ending(Status.OK, None, time.monotonic() - start))
        if os.path.exists(events):
            for line in Path(events).read_text(encoding="utf-8").splitlines():
                seen.add(json.loads(line))
    return Target(script, Path(script).name), seen, code if code >= 0 else 128 - code


def _default_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
