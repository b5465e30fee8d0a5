"""Show graphfix on chatterbox's flow, and fail unless every break is repaired and proven: `make demo` runs it after
install.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = "examples/chatterbox/targets.py::flow"
OVERLAY = "out/chatterbox"
STEPS = (
    (
        "Where does TorchDynamo break the graph? This takes about 30 seconds.",
        ["scan", TARGET, "--scope", "chatterbox"],
        1,  # breaks found
    ),
    (
        "Repair one after the other, and prove each by compiling again. This takes about 5 minutes on 2 cores.\n"
        "==> The repaired files go to a folder of their own: the installed chatterbox is not edited.",
        ["apply", TARGET, "--scope", "chatterbox", "--overlay", OVERLAY],
        0,  # none left, all proven
    ),
)


def main() -> int:
    """Run the demo; 0 when no break is left and every repair is proven, 2 when something else came out."""
    os.chdir(ROOT)
    for words, arguments, expected in STEPS:
        print(f"==> {words}\n$ graphfix {' '.join(arguments)}\n", flush=True)
        try:
            code = subprocess.run([sys.executable, "-m", "graphfix", *arguments], check=False).returncode
        except KeyboardInterrupt:  # graphfix has said so
            return 130
        if code != expected:
            print(f"error: graphfix {arguments[0]} ended with code {code} instead of {expected}", file=sys.stderr)
            return 2
    print(f"\n==> The repaired files lie in {OVERLAY}. Run your own program with them, nothing else changed:")
    print(f"$ graphfix run --overlay {OVERLAY} YOUR_SCRIPT.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())
