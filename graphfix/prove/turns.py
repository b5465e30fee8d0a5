"""Times the arms of a target: a process for each, alive together, which run in turns."""

from __future__ import annotations

import os
import queue
import tempfile
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphfix.measured import ArmTiming, CallTiming, Launches, Steady, TargetTiming
from graphfix.model import Target
from graphfix.scan.dynamic import Options, make_job, observe
from graphfix.scan.observation import Observation
from graphfix.scan.process import Event

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Arm:
    """An arm to time: its sources (an overlay's texts) and how it is run. `code` compiles regions.

    `target` is another target than that of the rest: a step done in another way. Results are compared with the first
    eager arm of the same target.
    """

    name: str
    kind: str
    mode: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    code: tuple[str, ...] = ()
    target: Target | None = None

    @property
    def how(self) -> str:
        return "eager" if self.kind == "eager" else "regions" if self.code else "compiled"


@dataclass(frozen=True)
class Settings:
    """How long and how much: `rounds` turns of each arm, the first `calls` calls of the target; with `warm` the
    first run in a second process as well, which finds the caches full."""

    backend: str
    rounds: int
    calls: int
    warm: bool


def time_target(target: Target, arms: Sequence[Arm], wanted: Settings, options: Options, tell: Tell) -> TargetTiming:
    """Time the arms. One that fails is told with its error; the others go on.

    Each arm's process gets caches of its own for Inductor and Triton, empty at the start. The processes are started one
    after the other, so that nobody compiles while another one does; then all of them live, and each round gives every
    arm one turn, so that a machine which slows down slows all.
    """
    with tempfile.TemporaryDirectory(prefix="graphfix-bench-") as folder:
        racers = [
            _Racer(arm.target or target, arm, wanted, options, Path(folder, str(number)))
            for number, arm in enumerate(arms)
        ]
        for racer in racers:
            tell(f"{racer.arm.name}: starting, first run")
            racer.start()
            racer.wait("ready")
        for number in range(wanted.rounds):
            tell(f"round {number + 1} of {wanted.rounds}")
            for racer in racers:
                racer.turn()
        for racer in racers:
            racer.end()
        if wanted.warm:
            for racer in racers:
                tell(f"{racer.arm.name}: first run with full caches")
                racer.start_warm()
        draws = any(bool(racer.fact("timing_begins").get("draws")) for racer in racers)
        code = next((racer.arm.code for racer in racers if racer.arm.code), ())
        versions = next((found for racer in racers if (found := racer.fact("versions"))), {})
        device, gpu = versions.get("device"), versions.get("gpu")
        timings = tuple(racer.timing() for racer in racers)
        return TargetTiming(target.name, target.spec, timings, wanted.rounds, draws, device, gpu, code)


class _Racer:
    """One arm's process, listened to by a thread, and what it told so far."""

    def __init__(self, target: Target, arm: Arm, wanted: Settings, options: Options, folder: Path) -> None:
        self.arm, self._wanted, self._target, self._options = arm, wanted, target, options
        folder.mkdir()
        self._folder, self._events = folder, queue.Queue[Event | None]()
        self._seen: Observation | None = None
        self._warm: Observation | None = None
        self._facts: dict[str, Event] = {}
        self._rounds: list[list[list[float]]] = []
        os.mkfifo(folder / "turns")
        self._turns = os.open(folder / "turns", os.O_RDWR)  # both ways: opening it waits for nobody
        self._alive = False

    def start(self) -> None:
        self._alive = True
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        job = self._job(str(self._folder / "turns"))
        try:
            self._seen = observe([job], self._options, lambda step: None, self._events.put)
        finally:
            self._events.put(None)

    def _job(self, turns: str | None) -> dict[str, Any]:
        results = str(self._folder.parent / f"{zlib.crc32(self._target.spec.encode())}.pt")
        how = {
            "name": self.arm.name,
            "kind": self.arm.how,
            "mode": self.arm.mode,
            "backend": self._wanted.backend,
            "code": self.arm.code,
            "calls": self._wanted.calls,
            "turns": turns,
            "save": results if self.arm.kind == "eager" else None,
            "against": None if self.arm.kind == "eager" else results,
        }
        caches = {
            "TORCHINDUCTOR_CACHE_DIR": str(self._folder / "inductor"),
            "TRITON_CACHE_DIR": str(self._folder / "triton"),
        }
        return make_job(self._target, self._options, overlay=dict(self.arm.sources), time=how, environment=caches)

    def wait(self, kind: str) -> Event | None:
        """The next event of that kind; None where the process ended without one."""
        while self._alive:
            event = self._events.get()
            if event is None:
                self._alive = False
                break
            self._facts[event["event"]] = event
            if event["event"] == kind:
                return event
        return None

    def turn(self) -> None:
        if self._alive:
            os.write(self._turns, b"go\n")
            if (event := self.wait("round")) is not None:
                self._rounds.append(event["seconds"])

    def end(self) -> None:
        """Let the process measure the rest and leave."""
        if self._alive:
            os.write(self._turns, b"end\n")
        while self._alive:
            self.wait("")
        os.close(self._turns)

    def start_warm(self) -> None:
        if "ended" in self._facts and self.arm.kind != "eager":
            self._warm = observe([self._job(None)], self._options, lambda step: None)

    def fact(self, kind: str) -> Event:
        return self._facts.get(kind, {})

    def timing(self) -> ArmTiming:
        arm = (self.arm.name, self.arm.kind, self.arm.mode)
        ended = self.fact("ended")
        if not ended or not self._rounds:
            return ArmTiming(*arm, error=(self._seen and self._seen.error) or "the process ended early")
        first = self.fact("first")["seconds"]
        return ArmTiming(
            *arm,
            calls=tuple(self._call(number, ended) for number in range(len(first))),
            graphs=None if self.arm.kind == "eager" else ended["graphs"],
            recompiles=ended["recompiles"],
            peak_memory=ended["peak_memory"],
            reserved_memory=ended["reserved_memory"],
            max_abs_diff=ended.get("max_abs_diff"),
            difference=ended.get("difference"),
            inputs_copied=ended["inputs_copied"],
        )

    def _call(self, number: int, ended: Event) -> CallTiming:
        warm = self._warm.facts.get("first") if self._warm else None
        return CallTiming(
            first=self.fact("first")["seconds"][number],
            steady=Steady(tuple(seconds for turn in self._rounds for seconds in turn[number])),
            warm_first=warm["seconds"][number] if warm else None,
            launches=Launches(**ended["launches"][number]),
            argument_bytes=ended["argument_bytes"][number],
        )
