"""A command's settings: the project's configuration and the flags, joined."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graphfix import config, registry
from graphfix._version import __version__
from graphfix.config import Config
from graphfix.model import TargetReport
from graphfix.rule import Rule
from graphfix.scan.dynamic import Options
from graphfix.source.paths import scope_path


@dataclass(frozen=True)
class Settings:
    """What a command works with. `scope` holds what may be rewritten: by default the project.

    `shown` holds the folders that were named as scope, in which breaks are shown; empty where none was.
    """

    config: Config
    rules: tuple[Rule, ...]
    device: str | None
    timeout: float
    jobs: int
    backend: str | None
    scope: tuple[Path, ...]
    shown: tuple[str, ...]
    unsafe: bool
    quick: bool

    @property
    def options(self) -> Options:
        return Options(self.rules, self.device, self.timeout, self.jobs, self.shown, self.quick, self.backend)

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.config.root.resolve()

    def versions(self, targets: Sequence[TargetReport] = ()) -> dict[str, str]:
        """What a report says of where it was made; the device is the one the targets ran on, `none` without any."""
        try:
            torch = importlib.metadata.version("torch")
        except importlib.metadata.PackageNotFoundError:
            torch = "not installed"
        python = platform.python_version()
        device = next((target.device for target in targets if target.device), "none")
        return {"graphfix": __version__, "python": python, "torch": torch, "device": device}


def load(
    select: Sequence[str] | None = None,
    ignore: Sequence[str] | None = None,
    scope: Sequence[str] | None = None,
    unsafe: bool = False,
    device: str | None = None,
    timeout: float = 600.0,
    jobs: int = 1,
    backend: str | None = None,
    quick: bool = False,
) -> Settings:
    """Flags win over configuration. Raises ConfigError or UsageError."""
    found = config.load(Path.cwd())
    named = tuple(scope_path(name) for name in scope or found.scope)
    return Settings(
        config=found,
        rules=registry.selected(select or found.select, ignore or found.ignore, found.rule_packs),
        device=device,
        timeout=timeout,
        jobs=jobs,
        backend=backend,
        scope=named or (found.root.resolve(),),
        shown=tuple(map(str, named)),
        unsafe=unsafe or found.unsafe,
        quick=quick,
    )
