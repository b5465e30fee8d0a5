"""Measure what graphfix's fixes and plans are worth on chatterbox: `make gpu-bench` runs it on a CUDA machine.

Everything is built at full size with random weights and 10 solver steps. The fixes come from an overlay of
`graphfix apply … --overlay` (made first, on the CPU, where `--overlay` names none). Each row is one run of the command
in which all arms take turns, and is written to `results.json` and `results.md` in the output folder as soon as it is
there; rows measured before stay, so that `--rows` can do them in several calls.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from graphfix import settings
from graphfix.commands.apply import Sink, apply
from graphfix.errors import GraphfixError
from graphfix.measured import Bench, Plans, TargetPlan, TargetTiming
from graphfix.model import Target
from graphfix.progress import Progress
from graphfix.prove import overlay
from graphfix.prove.plan import Wanted, plan
from graphfix.prove.turns import Arm, Settings, time_target
from graphfix.report import bench as report
from graphfix.report import plan as plan_report

ROOT = Path(__file__).resolve().parents[2]
OWN = "examples/chatterbox/bench_targets.py"
SHIPPED = "examples/chatterbox/targets.py"
HUGGINGFACE = "examples/huggingface/targets.py"
FIXED_TARGETS = ("estimator", "flow_inference", "vocoder", "tokenizer", "s3gen")
LENGTHS = "50,100,200,400"
FAST = "reduce-overhead"


def target(file: str, name: str) -> Target:
    return Target(f"{file}::{name}", name)


@dataclass
class Runner:
    """Times targets with the settings of the command line."""

    fixed: Mapping[str, str]
    huggingface: Mapping[str, str]
    device: str
    rounds: int
    timeout: float
    backend: str
    progress: Progress
    known: dict[str, tuple[str, ...]]
    """The code of plans that earlier rows made."""

    def timed(self, of: Target, arms: list[Arm], calls: int = 1, warm: bool = False) -> TargetTiming:
        options = settings.load(device=self.device, timeout=self.timeout).options
        wanted = Settings(self.backend, self.rounds, calls, warm)
        return time_target(of, arms, wanted, options, partial(self.progress, of.name))

    def planned(self, of: Target, mode: str = FAST) -> TargetPlan:
        options = settings.load(device=self.device, timeout=self.timeout).options
        return plan(of, self.fixed, Wanted(mode, self.rounds, True), options, partial(self.progress, of.name))

    def modes(self) -> list[Arm]:
        """Eager; compiled as it is, without CUDA graphs and with them; compiled with the fixes and CUDA graphs."""
        return [
            Arm("eager", "eager"),
            Arm("as shipped", "as is", "default"),
            Arm("as shipped, CUDA graphs", "as is", FAST),
            Arm("fixed, CUDA graphs", "fixed", FAST, self.fixed),
        ]

    def with_plan(self, code: tuple[str, ...]) -> list[Arm]:
        """Eager, compiled as it is, and in the regions that a plan's code compiles."""
        arms = self.modes()[:3]
        return [*arms, Arm("plan", "plan", None, self.fixed, code)] if code else arms


Row = tuple[list[TargetTiming], TargetPlan | None]


def estimator(run: Runner) -> Row:
    """One evaluation of the velocity network, T = 400 frames."""
    of = target(SHIPPED, "estimator")
    return [run.timed(of, run.modes())], None


def flow(run: Runner) -> Row:
    """`S3Gen.flow_inference`, 100 tokens."""
    os.environ["GRAPHFIX_CHATTERBOX_TOKENS"] = "100"
    of = target(OWN, "flow_inference")
    found = run.planned(of)
    return [run.timed(of, run.with_plan(found.code))], found


def lengths(run: Runner) -> Row:
    """The same, 50 to 400 tokens one after the other in one process: what recompiling costs.

    Without CUDA graphs on the code as shipped: all of its graphs are recorded for each length, which takes minutes.
    """
    os.environ["GRAPHFIX_CHATTERBOX_TOKENS"] = LENGTHS
    of = target(OWN, "flow_inference")
    code = run.known.get("flow", ())
    found = None if code else run.planned(of)
    arms = [arm for arm in run.with_plan(found.code if found else code) if arm.kind != "as is" or arm.mode == "default"]
    return [run.timed(of, arms, calls=len(LENGTHS.split(",")))], found


def s3gen(run: Runner) -> Row:
    """`S3Gen.inference`, 100 tokens: flow and vocoder."""
    os.environ["GRAPHFIX_CHATTERBOX_TOKENS"] = "100"
    of = target(OWN, "s3gen")
    found = run.planned(of)
    return [run.timed(of, run.with_plan(found.code))], found


def t3(run: Runner) -> Row:
    """One decode step, as shipped and with a static cache."""
    of, static = target(SHIPPED, "t3_decode_step"), target(OWN, "t3_static_step")
    arms = [
        Arm("eager", "eager"),
        Arm("as shipped", "as is", "default"),
        Arm("static cache, eager", "eager", target=static),
        Arm("static cache", "fixed", "default", target=static),
        Arm("static cache, CUDA graphs", "fixed", FAST, target=static),
    ]
    return [run.timed(of, arms)], None


def part(name: str) -> Callable[[Runner], Row]:
    """A part of the pipeline by itself."""

    def row(run: Runner) -> Row:
        return [run.timed(target(SHIPPED, name), run.modes())], None

    row.__doc__ = f"{name.replace('_', ' ').capitalize()}."
    return row


def transformers_model(name: str) -> Callable[[Runner], Row]:
    """A small model of examples/huggingface, the first run with empty and with full caches."""

    def row(run: Runner) -> Row:
        arms = [Arm("eager", "eager"), Arm("as shipped", "as is", "default")]
        if run.huggingface:
            arms.append(Arm("fixed", "fixed", "default", run.huggingface))
        return [run.timed(target(HUGGINGFACE, name), arms, warm=True)], None

    row.__doc__ = f"{name} of examples/huggingface: warm is the first run with full caches."
    return row


ROWS: dict[str, Callable[[Runner], Row]] = {
    "estimator": estimator,
    "flow": flow,
    "t3": t3,
    "s3gen": s3gen,
    "lengths": lengths,
    **{name: part(name) for name in ("vocoder", "tokenizer", "voice_encoder")},
    **{name: transformers_model(name) for name in ("xlm", "mixtral", "bart_half")},
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(ROWS), help="what to measure, of: %(default)s")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--size", default="full", choices=("full", "small"))
    parser.add_argument(
        "--overlay", type=Path, help="chatterbox's fixes (default: out/chatterbox-fixes, made if missing)"
    )
    parser.add_argument("--hf-overlay", type=Path, help="fixes for the transformers that is installed (default: none)")
    parser.add_argument("--output", type=Path, default=ROOT / "out" / "chatterbox-bench", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--backend", default="inductor")
    parser.add_argument("--exact-matmul", action="store_true", help="float32 products without TF32")
    parser.add_argument("--timeout", type=float, default=1200.0, help="seconds for one process")
    return parser.parse_args()


def fixes(folder: Path | None) -> Mapping[str, str]:
    """The overlay's sources; the overlay is made first where none is named and none was made before."""
    place = folder or ROOT / "out" / "chatterbox-fixes"
    if folder is None and not place.exists():
        print(f"==> making the overlay {place} on the CPU, at the small size (many minutes)", flush=True)
        size = os.environ.pop("GRAPHFIX_CHATTERBOX_SIZE")
        where = [f"{SHIPPED}::{name}" for name in FIXED_TARGETS]
        scope = ["chatterbox", "s3tokenizer"]
        apply(where, settings.load(scope=scope, device="cpu", backend="aot_eager"), Sink(overlay=place))
        os.environ["GRAPHFIX_CHATTERBOX_SIZE"] = size
    return overlay.load(place)


def known_plans(folder: Path) -> dict[str, tuple[str, ...]]:
    """The code of the plans among the results in a folder."""
    file = folder / "results.json"
    rows = json.loads(file.read_text())["rows"] if file.exists() else {}
    return {name: tuple(row["plan"]["plan"]["code"]) for name, row in rows.items() if "plan" in row}


def save(folder: Path, name: str, row: dict[str, Any]) -> None:
    """Put one row in the results, beside those that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "results.json"
    rows = json.loads(file.read_text())["rows"] if file.exists() else {}
    rows[name] = row
    file.write_text(json.dumps({"schema": 1, "rows": rows}, indent=1) + "\n")
    words = [f"## {key}\n\n```\n{value['text']}```\n" for key, value in rows.items()]
    (folder / "results.md").write_text("# Measured\n\n" + "\n".join(words))


def measured(name: str, run: Runner, versions: dict[str, str]) -> dict[str, Any]:
    """One row: its figures as JSON and as text, when and with what it was measured."""
    start = time.monotonic()
    timings, found = ROWS[name](run)
    gpu = next((timing.gpu for timing in timings if timing.gpu), None)
    bench = Bench(versions | ({"gpu": gpu} if gpu else {}), timings, run.backend)
    shown = [report.text(bench)]
    document = report.document(bench) | {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", *sys.argv]),
        "seconds": round(time.monotonic() - start),
    }
    if found is not None:
        plans = Plans(versions, [found])
        shown.insert(0, plan_report.text(plans))
        document["plan"] = plan_report.document(plans)["targets"][0]
    return document | {"text": "\n".join(shown), "what": (ROWS[name].__doc__ or "").strip()}


def main() -> int:
    """Measure; 0 when every row was measured, 1 where an arm failed, 2 where nothing could be done."""
    wanted = arguments()
    os.chdir(ROOT)
    os.environ["GRAPHFIX_CHATTERBOX_SIZE"] = wanted.size
    if not wanted.exact_matmul:  # as torch.set_float32_matmul_precision("high"), in the processes of all arms
        os.environ["TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"] = "1"
    names = [name.strip() for name in wanted.rows.split(",")]
    if unknown := [name for name in names if name not in ROWS]:
        print(f"error: {unknown[0]} is no row; choose from: {', '.join(ROWS)}", file=sys.stderr)
        return 2
    versions = settings.load().versions() | {"device": wanted.device, "size": wanted.size}
    versions["products"] = "float32" if wanted.exact_matmul else "TF32"
    for package in ("transformers", "chatterbox-tts"):
        versions[package] = importlib.metadata.version(package)
    code, known = 0, known_plans(wanted.output)
    try:
        with Progress() as progress:
            fixed = fixes(wanted.overlay)
            other = overlay.load(wanted.hf_overlay) if wanted.hf_overlay else {}
            run = Runner(fixed, other, wanted.device, wanted.rounds, wanted.timeout, wanted.backend, progress, known)
            for name in names:
                row = measured(name, run, versions)
                save(wanted.output, name, row)
                run.known.update(known_plans(wanted.output))
                print(f"==> {name}: {row['what']} ({row['seconds']} s)\n{row['text']}", flush=True)
                code |= any(arm["error"] for each in row["targets"] for arm in each["arms"])
    except GraphfixError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
