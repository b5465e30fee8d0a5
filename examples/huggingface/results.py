"""What `graphfix apply` makes of the models: `.venv/bin/python examples/huggingface/results.py > results.md`.

For every target, in the version of transformers that its breaks are those of (see install.py): breaks and places as
shipped, after `apply --scope transformers` (and with `--unsafe`, where something stays), and with both capture
settings on and nothing rewritten. Prints a Markdown table, and below it what stays. Some minutes for a model on 2
cores; names of models after the command limit it to them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from install import folder_of, in_environment

HERE = Path(__file__).parent
MODELS = {
    "5.2.0": ("bart_half", "xlm", "ctrl", "mixtral", "vits", "encodec", "fastspeech2_conformer"),
    "4.52.4": ("t5", "layoutlmv3", "phi3_longrope"),
}
SETTINGS = {"TORCHDYNAMO_CAPTURE_SCALAR_OUTPUTS": "1", "TORCHDYNAMO_CAPTURE_DYNAMIC_OUTPUT_SHAPE_OPS": "1"}


def graphfix(release: str, arguments: list[str], variables: Mapping[str, str] = {}) -> dict[str, Any]:
    """The JSON report of a command on one target, on a version of transformers; an error where there is none."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    if not in_environment(release):
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, [os.environ.get("PYTHONPATH"), str(folder_of(release))])
        )
    command = [sys.executable, "-m", "graphfix", *arguments, "--format", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    try:
        return dict(json.loads(done.stdout)["targets"][0])
    except (ValueError, LookupError):
        return {"status": "error", "error": (done.stderr.strip().splitlines() or ["no report"])[-1], "sites": []}


def counted(report: Mapping[str, Any], side: str | None = None) -> str:
    """Breaks and places of a report, or of one side of its verdict."""
    if report["status"] != "ok" and side is None:
        return f"fails: {str(report['error']).splitlines()[0][:60]}"
    counts = report.get(side) if side else {**report, "sites": len(report["sites"])}
    return f"{counts['graph_breaks']} ({counts['sites']})" if counts else "–"


def row(release: str, name: str) -> tuple[str, list[str]]:
    """The table's row for one target, and a line for each place that stays."""
    target = f"{HERE / 'targets.py'}::{name}"
    shipped = graphfix(release, ["scan", target, "--scope", "transformers"])
    settings = graphfix(release, ["scan", target, "--scope", "transformers"], SETTINGS)
    cells, stays = [], list[str]()
    with tempfile.TemporaryDirectory() as folder:
        for number, more in enumerate(([], ["--unsafe"])):
            options = ["--scope", "transformers", "--overlay", str(Path(folder, str(number))), *more]
            fixed = graphfix(release, ["apply", target, *options])
            cells.append(counted(fixed, "after") + ("" if fixed.get("verdict") == "ok" else ", not proven"))
            stays = [f"{Path(s['path']).name}:{s['line']} {s['id']} {s['type']}" for s in fixed["sites"]]
            if not fixed["sites"]:
                break
    cells += ["–"] * (2 - len(cells))
    return f"| {name} | {release} | {counted(shipped)} | {' | '.join(cells)} | {counted(settings)} |", stays


def main() -> None:
    print("| model | transformers | as shipped | apply | apply --unsafe | both settings, no rewrite |")
    print("|---|---|---|---|---|---|")
    staying = {}
    for release, names in MODELS.items():
        for name in (one for one in names if one in (sys.argv[1:] or names)):
            line, staying[name] = row(release, name)
            print(line, flush=True)
    print("\nBreaks of the first call (distinct places of all calls).\n")
    for name, places in staying.items():
        print("".join(f"- {name}: {place} stays\n" for place in places), end="")


if __name__ == "__main__":
    main()
