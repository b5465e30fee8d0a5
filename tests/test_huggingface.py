"""Real transformers models, random weights: every break that torch prints is attributed (examples/huggingface).

What torch prints is read from a process of its own that knows nothing of graphfix but the targets' calls: it does what
a scan does (explain the first call, compile all of them with aot_eager) with `TORCH_LOGS=graph_breaks`.

On 2 cores, two targets at a time, all of it takes about 3 minutes: 8 s (xlm) to 27 s (encodec, mixtral) for the scan of
a target and 10 to 16 s for the process that prints, a third of it imports.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, report, run_graphfix

pytestmark = pytest.mark.torch

EXAMPLES = ROOT / "examples" / "huggingface"

ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # more only wait for one another in models so small

Place = tuple[str, int]

# transformers version → target → (file, line, id) of the sites that show without a look behind skipped frames
EXPECTED: dict[str, dict[str, set[tuple[str, int, str]]]] = {
    "5.2.0": {
        "vits": {
            ("import_utils.py", 73, "GB0291"),
            ("modeling_vits.py", 87, "GB0124"),
            ("modeling_vits.py", 1116, "GB0033"),
            ("modeling_vits.py", 1362, "GB0033"),
        },
        "fastspeech2_conformer": {
            ("modeling_fastspeech2_conformer.py", 116, "GB0170"),
            ("modeling_fastspeech2_conformer.py", 123, "GB0033"),
            ("modeling_fastspeech2_conformer.py", 131, "GB0036"),
        },
        "encodec": {
            ("modeling_encodec.py", 150, "GB0170"),
            ("modeling_encodec.py", 153, "GB0219"),  # in aot_eager only
            ("modeling_encodec.py", 247, "GB0014"),
        },
        "mixtral": {
            ("modeling_mixtral.py", 84, "GB0036"),
            ("modeling_mixtral.py", 88, "GB0170"),
            ("output_capturing.py", 229, "GB4347"),
        },
        "bart_half": {("modeling_bart.py", 312, "GB0170")},
        "xlm": {("modeling_xlm.py", 65, "GB0124"), ("modeling_xlm.py", 805, "GB0124")},
        "ctrl": {("modeling_utils.py", 4368, "GB0291")},
    },
    "4.52.4": {
        "t5": {("modeling_t5.py", 1019, "GB0291")},
        "layoutlmv3": {("modeling_utils.py", 1614, "GB0007")},
        "phi3_longrope": {("modeling_rope_utils.py", 50, "GB0170")},
    },
}
CASES = [(release, name) for release, targets in EXPECTED.items() for name in targets]

REFERENCE = """
import copy, os, random, sys
import numpy, torch, torch._dynamo
import targets

def seeded():
    for seed in (random.seed, numpy.random.seed, torch.manual_seed):
        seed(0)

def run(function, call):
    args, kwargs = copy.deepcopy((call.args, call.kwargs))
    seeded()
    function(*args, **kwargs)

def calls():
    seeded()
    made = list(getattr(targets, sys.argv[1])())
    run(made[0].fn, made[0])
    return made

first = calls()[0]
run(torch._dynamo.explain(first.fn), first)
print(os.path.getsize(os.environ["TORCH_LOGS_OUT"]))
torch._dynamo.reset()
for call in calls():
    run(torch.compile(call.fn, backend="aot_eager"), call)
"""


@dataclass(frozen=True)
class Printed:
    """One record that torch printed: its first line's place, all places in it, and the ids in it, the cause first.

    `failed` is where the op stands that a backend failed on, None in any other record.
    """

    step: str
    place: Place
    places: frozenset[Place]
    ids: tuple[str, ...]
    failed: Place | None

    def is_of(self, site: dict[str, Any]) -> bool:
        """Whether the site stands for this record: the same id, shown at its place or at a call that leads there."""
        shown = (site["path"], site["line"])
        real = (site["real"]["path"], site["real"]["line"]) if site["real"] else shown
        return site["id"] == self.ids[0] and shown in self.places and real == (self.failed or self.place)


@dataclass(frozen=True)
class Seen:
    """One target: graphfix's report of it, and what torch printed."""

    row: dict[str, Any]
    printed: list[Printed]

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The sites that stand for something printed; those behind skipped frames do not."""
        return [site for site in self.row["sites"] if not site["hidden"]]


def environment(release: str) -> dict[str, str]:
    """The variables with which a process imports that release of transformers; skips where it is not installed."""
    try:
        if version("transformers") == release:
            return {}
    except PackageNotFoundError:
        pass
    folder = Path(sys.prefix, f"transformers-{release}", "site-packages")
    if not folder.is_dir():
        pytest.skip(f"transformers {release} is not installed; examples/huggingface/install.py installs it")
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))}


@functools.cache
def rows(release: str) -> dict[str, dict[str, Any]]:
    """What one scan says of all targets of a release."""
    found = environment(release)
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {**found, **ONE_THREAD}.items():
            patch.setenv(key, value)
        specs = [f"{EXAMPLES / 'targets.py'}::{name}" for name in EXPECTED[release]]
        done = run_graphfix("scan", *specs, "--format", "json", "--device", "cpu", "--jobs", "2", cwd=ROOT)
    assert done.returncode == 1, done.stderr
    return {row["name"]: row for row in report(done)["targets"]}


@functools.cache
def logs(release: str, folder: Path) -> dict[str, list[Printed]]:
    """What torch printed of all targets of a release, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        made = pool.map(functools.partial(log_of, release, folder), EXPECTED[release])
        return dict(zip(EXPECTED[release], made, strict=True))


def log_of(release: str, folder: Path, name: str) -> list[Printed]:
    log = folder / f"{release}-{name}.log"
    path = [str(ROOT), str(EXAMPLES), environment(release).get("PYTHONPATH", os.environ.get("PYTHONPATH"))]
    done = subprocess.run(
        [sys.executable, "-c", REFERENCE, name],
        env={
            **os.environ,
            **ONE_THREAD,
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "TORCH_LOGS": "graph_breaks",
            "TORCH_LOGS_OUT": str(log),
        },
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    text, explained = log.read_bytes(), int(done.stdout)
    steps = {"explain": text[:explained], "compile": text[explained:]}
    return [record for step, part in steps.items() for record in printed(step, part.decode())]


def printed(step: str, log: str) -> Iterator[Printed]:
    """The breaks in a log of `TORCH_LOGS=graph_breaks`.

    Every line of a record begins with the same time. torch leaves the stack out of a record that repeats another one.
    A backend's failure is announced first (`WON'T CONVERT`) and then printed as a break.
    """
    lines = re.findall(r"^(V\d{4} .+?\[__graph_breaks\]) ?(.*)$", log, re.MULTILINE)
    stacks: dict[object, frozenset[Place]] = {}
    for _, group in itertools.groupby(lines, key=lambda line: line[0]):
        text = "\n".join(line for _, line in group)
        if text.startswith("WON'T CONVERT"):
            continue
        head = re.match(r"Graph break .*in user code at (.+):(\d+)\n", text)
        assert head, text
        place, ids = (head[1], int(head[2])), tuple(f"GB{number}" for number in re.findall(r"/gb(\d+)\.html", text))
        operation = re.search(r"Original traceback:\n((?: +\S.*\n)+)", text)
        places = stacks[(place, ids[0])] = frozenset({place, *frames(text)}) | stacks.get((place, ids[0]), frozenset())
        yield Printed(step, place, places, ids, frames(operation[1])[-1] if operation else None)


def frames(text: str) -> list[Place]:
    return [(path, int(line)) for path, line in re.findall(r'File "(.+)", line (\d+), in ', text)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture
def seen(release: str, name: str, folder: Path) -> Seen:
    return Seen(rows(release)[name], logs(release, folder)[name])


@pytest.mark.parametrize(("release", "name"), CASES)
def test_every_known_place_is_found(seen: Seen, release: str, name: str) -> None:
    assert seen.row["status"] == "ok"
    found = {(Path(site["path"]).name, site["line"], site["id"]) for site in seen.shown}
    assert found == EXPECTED[release][name]


@pytest.mark.parametrize(("release", "name"), CASES)
def test_no_printed_break_is_lost(seen: Seen) -> None:
    for record in seen.printed:
        sites = [site for site in seen.shown if record.is_of(site)]
        blamed = [site for site in seen.shown if record.ids[0] in site["consequences"]]
        assert sites or blamed, record
        if sites:
            assert {each for site in sites for each in site["consequences"]} >= set(record.ids[1:])


@pytest.mark.parametrize(("release", "name"), CASES)
def test_none_is_doubled(seen: Seen) -> None:
    sites = Counter((site["path"], site["line"], site["column"], site["id"]) for site in seen.row["sites"])
    assert sites.most_common(1)[0][1] == 1
    for site in seen.shown:
        counts = Counter(record.step for record in seen.printed if record.is_of(site))
        assert counts, f"never printed: {site['path']}:{site['line']} {site['id']}"
        assert site["seen"] == (counts["explain"] or counts["compile"])


@pytest.mark.parametrize(("release", "name"), CASES)
def test_all_of_them_are_counted(seen: Seen) -> None:
    explained = [record for record in seen.printed if record.step == "explain"]
    assert seen.row["graph_breaks"] == len(explained)


def test_the_scan_itself_prints_them(folder: Path) -> None:
    expected = logs("5.2.0", folder)["xlm"]
    log = folder / "scan.log"
    target = f"{EXAMPLES / 'targets.py'}::xlm"
    logging = {"TORCH_LOGS": "graph_breaks", "TORCH_LOGS_OUT": str(log)}
    run_graphfix("scan", target, "--device", "cpu", cwd=ROOT, **logging)
    found = printed("scan", log.read_text())
    assert Counter((each.place, each.ids) for each in found) == Counter((each.place, each.ids) for each in expected)
