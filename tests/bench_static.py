"""What a static scan costs, beside tools that users know. Run by `make bench`, after `make demo`: the files of
transformers and chatterbox are the load (without them, those of torch).

Each figure is of whole processes, start included: the best of some rounds in which the kinds take turns. The ratios of
wall time are what a user feels; those of processor time (user and system) say it where the machine has other work.
"""

from __future__ import annotations

import importlib.util
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 3
SAMPLE = 300
"""So many files, drawn at random, are given to torchfix, so that the bench ends in minutes."""
SMALL = """
import torch


class Net(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return x / x.max().item()
"""
PARSE = """
import ast, sys, warnings
warnings.simplefilter("ignore")
for path in open(sys.argv[1]).read().splitlines():
    with open(path, "rb") as file:
        data = file.read()
    try:
        ast.parse(data)
    except (SyntaxError, ValueError):
        pass
"""


def packages() -> list[Path]:
    """The folders of the load."""
    found = [importlib.util.find_spec(name) for name in ("transformers", "chatterbox")]
    folders = [Path(spec.origin).parent for spec in found if spec is not None and spec.origin is not None]
    return folders or [Path(importlib.util.find_spec("torch").origin).parent]  # type: ignore[union-attr, arg-type]


def seconds(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """The wall time and the processor time of a command, its children included."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1) or "Traceback" in done.stderr:
        sys.exit(f"{' '.join(command[:6])} failed:\n{done.stderr[-2000:]}")
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def best(
    commands: Mapping[str, Sequence[str]], environment: Mapping[str, str], rounds: int = ROUNDS
) -> dict[str, tuple[float, float]]:
    """The best wall and processor time of each command, taken in turns."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            times[name].append(seconds(command, environment))
    return {name: (min(wall for wall, _ in found), min(own for _, own in found)) for name, found in times.items()}


def show(title: str, times: Mapping[str, tuple[float, float]], base: str) -> None:
    print(f"\n{title:<30}{'wall':>12}{'ratio':>8}{'processor':>13}{'ratio':>8}")
    for name, (wall, own) in times.items():
        ratios = wall / times[base][0], own / times[base][1]
        print(f"  {name:<28}{wall:10.2f} s{ratios[0]:8.2f}{own:11.2f} s{ratios[1]:8.2f}")


def main() -> None:
    folders = list(map(str, packages()))
    files = sorted(str(path) for folder in folders for path in Path(folder).rglob("*.py"))
    size = sum(Path(path).stat().st_size for path in files)
    print(f"{len(files)} files, {size / 1e6:.1f} MB, of {', '.join(Path(folder).name for folder in folders)}")
    graphfix, python = [sys.executable, "-m", "graphfix"], [sys.executable, "-c"]
    torchfix = os.environ.get("TORCHFIX") or shutil.which("torchfix")
    with tempfile.TemporaryDirectory(prefix="graphfix-bench-") as folder:
        scratch = Path(folder)
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": path, "GRAPHFIX_CACHE_DIR": str(scratch / "cache")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # without byte code a start is no user's start
        (scratch / "files").write_text("\n".join(files))
        (scratch / "small.py").write_text(SMALL)
        parse = [*python, PARSE, str(scratch / "files")]
        cold = {"ast.parse": parse, "graphfix, one process": [*graphfix, "scan", "--no-cache", "--jobs", "1", *folders]}
        show("cold", best(cold, environment), "ast.parse")
        seconds([*graphfix, "scan", *folders], environment)  # fills the cache
        ruff = [str(Path(sys.executable).with_name("ruff")), "check", "--no-cache", "--quiet", *folders]
        warm = {"ruff check --no-cache": ruff, "graphfix, remembered": [*graphfix, "scan", *folders]}
        show("warm", best(warm, environment), "ruff check --no-cache")
        start = {
            "python -c 'import typer'": [*python, "import typer"],
            "graphfix --version": [*graphfix, "--version"],
            "graphfix scan small.py": [*graphfix, "scan", str(scratch / "small.py")],
        }
        show("start", best(start, environment, rounds=10), "python -c 'import typer'")
        if torchfix is None:
            print("\ntorchfix is not installed; TORCHFIX=/path/to/torchfix names it")
            return
        sample = sorted(random.Random(0).sample(files, min(SAMPLE, len(files))))
        (scratch / "files").write_text("\n".join(sample))
        few = {
            "graphfix, one process": [*graphfix, "scan", "--no-cache", "--jobs", "1", *sample],
            "torchfix, one process": [torchfix, "-j", "1", "--select", "ALL", *sample],
        }
        show(f"{len(sample)} of the files", best(few, environment, rounds=1), "graphfix, one process")


if __name__ == "__main__":
    main()
