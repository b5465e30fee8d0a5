"""What a scan costs: `graphfix scan --quick` beside a bare `torch._dynamo.explain`, and where the default scan goes.

Run by `make bench`, or with targets of your own: `python tests/bench_scan.py FILE.py::NAME…`. Each figure is the wall
time of whole processes, start included: the median of some rounds in which the kinds take turns.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from graphfix.model import Target
from graphfix.scan.dynamic import Options, observe, scan_job

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 3
TARGETS = ["examples/breaks.py::scalar"]
CHATTERBOX = ["examples/chatterbox/targets.py::estimator", "examples/chatterbox/targets.py::flow"]

BARE = """
import inspect, sys
sys.path.insert(0, sys.argv[1].rpartition("/")[0])
import torch, torch._dynamo
from graphfix.hook import load_file
made = getattr(load_file("targets", sys.argv[1]), sys.argv[2])()
call = next(made) if inspect.isgenerator(made) else made
torch._dynamo.explain(call.fn)(*call.args, **call.kwargs)
"""


def seconds(command: list[str]) -> float:
    """Wall time of a process; its output is thrown away, 1 (breaks found) is as good as 0."""
    start = time.perf_counter()
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode not in (0, 1) or "Traceback" in done.stderr:
        sys.exit(f"{' '.join(command[:6])} failed:\n{done.stderr[-2000:]}")
    return time.perf_counter() - start


def steps(target: Target) -> dict[str, float]:
    """Seconds of each step of the default scan, in order."""
    marks: list[tuple[str, float]] = [("starting", time.perf_counter())]
    options = Options(rules=())
    observe([scan_job(target, options)], options, lambda step: marks.append((step, time.perf_counter())))
    marks.append(("", time.perf_counter()))
    found: dict[str, float] = {}
    for (step, start), (_, end) in itertools.pairwise(marks):
        found[step] = found.get(step, 0.0) + end - start
    return found


def main(specs: list[str]) -> None:
    """Print the table."""
    print(f"{'target':16} {'bare explain':>13} {'scan --quick':>13} {'ratio':>6} {'scan':>9} {'ratio':>6}")
    for spec in specs:
        path, _, name = spec.rpartition("::")
        scan = [sys.executable, "-m", "graphfix", "scan", spec]
        kinds = {
            "bare": [sys.executable, "-c", BARE, str(ROOT / path), name],
            "quick": [*scan, "--quick"],
            "scan": scan,
        }
        times: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(ROUNDS):
            for kind, command in kinds.items():
                times[kind].append(seconds(command))
        bare, quick, whole = (statistics.median(times[kind]) for kind in kinds)
        print(f"{name:16} {bare:11.2f} s {quick:11.2f} s {quick / bare:5.2f}× {whole:7.2f} s {whole / bare:5.2f}×")
        for step, spent in steps(Target(spec, name)).items():
            print(f"    {spent:7.2f} s  {step}")


if __name__ == "__main__":
    installed = importlib.util.find_spec("chatterbox") is not None
    main(sys.argv[1:] or TARGETS + (CHATTERBOX if installed else []))
