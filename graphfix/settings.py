"""A command's settings: the project's configuration and the flags, joined."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graphfix import config, registry
from graphfix._version import __version__
from graphfix.config import Config
from graphfix.model import TargetReport
from graphfix.rule import Rule
from graphfix.scan.files import python_files
from graphfix.scan.filtered import Filter
from graphfix.source.paths import scope_path
from graphfix.source.suppress import UNUSED, UNUSED_NAME

if TYPE_CHECKING:
    from graphfix.scan.baseline import Baseline
    from graphfix.scan.dynamic import Options


@dataclass(frozen=True)
class Settings:
    """What a command works with. `scope` holds what may be rewritten: by default the project.

    `rules` are the selected ones among `all_rules`; `unused` says whether comments that silence nothing are reported.
    `jobs` targets run side by side, and `file_jobs` processes read files (0: one for each processor). `shown` holds
    the folders that were named as scope, in which breaks are shown; empty where none was. `likely` shows static
    findings that are not certain, too.
    """

    config: Config
    rules: tuple[Rule, ...]
    all_rules: tuple[Rule, ...]
    unused: bool
    device: str | None
    timeout: float
    jobs: int
    file_jobs: int
    backend: str | None
    scope: tuple[Path, ...]
    shown: tuple[str, ...]
    unsafe: bool
    quick: bool
    likely: bool
    baseline: Path | None
    force_exclude: bool
    cache: bool

    @property
    def options(self) -> Options:
        from graphfix.scan.dynamic import Options  # a scan of files starts sooner without

        return Options(self.rules, self.device, self.timeout, self.jobs, self.shown, self.quick, self.backend)

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.config.root.resolve()

    @functools.cached_property
    def filter(self) -> Filter:
        """What of a static scan is reported. Raises ConfigError where the baseline cannot be read."""
        return Filter(
            rules=self.all_rules,
            selected=frozenset(rule.code for rule in self.rules) | ({UNUSED} if self.unused else set()),
            ignores=self.config.per_file_ignores,
            root=self.root,
            likely=self.likely,
            baseline=_read_baseline(self.baseline) if self.baseline else None,
        )

    def files(self, paths: Iterable[Path]) -> Iterator[Path]:
        """The Python files that the paths stand for, without those left out."""
        return python_files(
            paths,
            self.config.exclude,
            root=self.root,
            gitignore=self.config.respect_gitignore,
            force_exclude=self.force_exclude,
        )

    def versions(self, targets: Sequence[TargetReport] = ()) -> dict[str, str]:
        """What a report says of where it was made; the device is the one the targets ran on, `none` without any."""
        import importlib.metadata
        import platform

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
    jobs: int | None = None,
    backend: str | None = None,
    quick: bool = False,
    likely: bool = False,
    baseline: Path | None = None,
    force_exclude: bool = False,
    cache: bool = True,
) -> Settings:
    """Flags win over configuration. Raises ConfigError or UsageError."""
    found = config.load(Path.cwd())
    chosen, left_out = _codes(select) or found.select, _codes(ignore) or found.ignore
    registry.check_codes((code for codes in found.per_file_ignores.values() for code in codes), found.rule_packs)
    named = tuple(scope_path(name) for name in scope or found.scope)
    configured = found.root / found.baseline if found.baseline else None
    return Settings(
        config=found,
        rules=registry.selected(chosen, left_out, found.rule_packs),
        all_rules=registry.all_rules(found.rule_packs),
        unused=registry.is_selected(UNUSED, UNUSED_NAME, chosen, left_out),
        device=device,
        timeout=timeout,
        jobs=jobs or 1,
        file_jobs=jobs or 0,
        backend=backend,
        scope=named or (found.root.resolve(),),
        shown=tuple(map(str, named)),
        unsafe=unsafe or found.unsafe,
        quick=quick,
        likely=likely,
        baseline=baseline or configured,
        force_exclude=force_exclude,
        cache=cache,
    )


def _codes(flags: Sequence[str] | None) -> list[str]:
    """What `--select GF1,GF301 --select log-call` names."""
    return [part.strip() for flag in flags or () for part in flag.split(",")]


def _read_baseline(file: Path) -> Baseline:
    from graphfix.scan import baseline  # most scans have none

    return baseline.read(file)
