"""Show graphfix on chatterbox's flow, and fail unless every repair is proven: `make demo` runs it after install.py.

The first step is the command itself. The second one is `graphfix apply` called as a function, so that its verdict can
be checked: it leaves with 1 here, since it has something to report that no rule repairs: a way of a branch that no
call takes fails in the code as shipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from graphfix import settings
from graphfix.commands.apply import Sink, apply
from graphfix.errors import GraphfixError
from graphfix.model import Verdict

ROOT = Path(__file__).resolve().parents[2]
TARGET = "examples/chatterbox/targets.py::flow"
SCOPE = "chatterbox"
OVERLAY = "out/chatterbox"
GRAPHS_BEFORE, GRAPHS_AFTER = 32, 1


class DemoError(Exception):
    """The demo did not show what it is there to show."""


def scan() -> None:
    """Print the breaks of the flow; DemoError where the command does not end as it does when it finds some."""
    print("==> Where does TorchDynamo break the graph? This takes about 30 seconds.")
    arguments = ["scan", TARGET, "--scope", SCOPE]
    print(f"$ graphfix {' '.join(arguments)}\n", flush=True)
    code = subprocess.run([sys.executable, "-m", "graphfix", *arguments], check=False).returncode
    if code != 1:
        raise DemoError(f"graphfix scan ended with code {code} instead of 1 (breaks found)")


def repair() -> Verdict:
    """Print the repairs with their proof, and write the overlay; the verdict on them, or DemoError where none is."""
    print("\n==> Repair one after the other, and prove each by compiling again. This takes about 6 minutes on 2 cores.")
    print("==> The repaired files go to a folder of their own: the installed chatterbox is not edited.")
    print(f"$ graphfix apply {TARGET} --scope {SCOPE} --overlay {OVERLAY}\n", flush=True)
    outcome = apply([TARGET], settings.load(scope=[SCOPE]), Sink(overlay=Path(OVERLAY)))
    print(outcome.render("text", color=sys.stdout.isatty() and "NO_COLOR" not in os.environ), flush=True)
    (flow,) = outcome.report.targets
    if flow.verdict is None:
        raise DemoError("nothing was repaired, so there is no verdict")
    return flow.verdict


def check(verdict: Verdict) -> None:
    """DemoError unless the verdict is the one that the README promises."""
    promised = {
        "the verdict is not proven": verdict.ok,
        "eager results changed": verdict.eager_identical,
        "compiled results are outside the tolerance": verdict.within_tolerance,
        f"there were not {GRAPHS_BEFORE} graphs before": verdict.before.graphs == GRAPHS_BEFORE,
        f"more than {GRAPHS_AFTER} graphs are left": verdict.after.graphs <= GRAPHS_AFTER,
    }
    if broken := [words for words, held in promised.items() if not held]:
        raise DemoError("; ".join(broken))


def main() -> int:
    """Run the demo; 0 when every repair is proven, 2 when something else came out."""
    os.chdir(ROOT)
    try:
        scan()
        verdict = repair()
        check(verdict)
    except (DemoError, GraphfixError) as error:
        print(f"error: the demo failed: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # graphfix has said so
        return 130
    print(f"==> Proven: {verdict.before.graphs} graphs became {verdict.after.graphs}, eager and compiled agree.")
    print(f"==> The repaired files lie in {OVERLAY}. Run your own program with them, nothing else changed:")
    print(f"$ graphfix run --overlay {OVERLAY} YOUR_SCRIPT.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())
