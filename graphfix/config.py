"""`[tool.graphfix]` of the project's pyproject.toml as one record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphfix.errors import ConfigError, nearest


@dataclass(frozen=True, slots=True)
class Config:
    """The project's settings. `root` is the folder of the pyproject.toml, the current one where there is none.

    `targets` maps a name to a spec (`file.py::flow`), files relative to `root`; `per_file_ignores` a pattern for paths
    to codes; `baseline` is a path relative to `root`.
    """

    root: Path
    targets: dict[str, str] = field(default_factory=dict)
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    unsafe: bool = False
    rule_packs: tuple[str, ...] = ()
    per_file_ignores: dict[str, tuple[str, ...]] = field(default_factory=dict)
    baseline: str | None = None
    respect_gitignore: bool = True


class _NotThat(Exception):
    """What a value must be."""


def _strings(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _NotThat("must be a list of strings")
    return tuple(value)


def _one_or_more(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else _strings(value)


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _NotThat("must be true or false")
    return value


def _path(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _NotThat("must be a path")
    return value


def _targets(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise _NotThat('must map names to specs like "file.py::flow"')
    return value


def _codes_of_files(value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict) or not all(isinstance(codes, list) for codes in value.values()):
        raise _NotThat('must map patterns to lists of codes, like "tests/*" = ["GF3"]')
    return {pattern: _strings(codes) for pattern, codes in value.items()}


_KEYS: dict[str, Callable[[Any], Any]] = {
    "baseline": _path,
    "exclude": _strings,
    "ignore": _strings,
    "per-file-ignores": _codes_of_files,
    "respect-gitignore": _switch,
    "rule-packs": _strings,
    "scope": _one_or_more,
    "select": _strings,
    "targets": _targets,
    "unsafe": _switch,
}


def load(folder: Path) -> Config:
    """The settings of the project around `folder`. Raises ConfigError for an unknown key or a wrong type."""
    whole = folder.absolute()
    root = next((f for f in (whole, *whole.parents) if (f / "pyproject.toml").is_file()), None)
    if root is None:
        return Config(folder)
    path = root / "pyproject.toml"
    tools = _read(path).get("tool", {})
    table = tools.get("graphfix", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise ConfigError(f"graphfix in [tool] of {path} must be a table, [tool.graphfix].")
    return Config(root, **{key.replace("-", "_"): _checked(key, value, path) for key, value in table.items()})


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}. Correct the file.") from None


def _checked(key: str, value: Any, path: Path) -> Any:
    if key not in _KEYS:
        advice = nearest(key, _KEYS) or f"known keys: {', '.join(_KEYS)}."
        raise ConfigError(f"[tool.graphfix] of {path} has an unknown key {key!r}; {advice}")
    try:
        return _KEYS[key](value)
    except _NotThat as wanted:
        raise ConfigError(f"{key} in [tool.graphfix] of {path} {wanted}.") from None
