"""`[tool.graphfix]` of the project's pyproject.toml as one record."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphfix.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Config:
    """The project's settings. `root` is the folder of the pyproject.toml, the current one where there is none.

    `targets` maps a name to a spec (`file.py::flow`), files relative to `root`.
    """

    root: Path
    targets: dict[str, str] = field(default_factory=dict)
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    unsafe: bool = False
    rule_packs: tuple[str, ...] = ()


_LISTS = {"select", "ignore", "exclude", "scope", "rule-packs"}


def load(folder: Path) -> Config:
    """The settings of the project around `folder`. Raises ConfigError for an unknown key or a wrong type."""
    whole = folder.absolute()
    root = next((f for f in (whole, *whole.parents) if (f / "pyproject.toml").is_file()), None)
    if root is None:
        return Config(folder)
    path = root / "pyproject.toml"
    try:
        tools: Any = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}. Correct the file.") from None
    table = tools.get("graphfix", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise ConfigError(f"graphfix in [tool] of {path} must be a table, [tool.graphfix].")
    return Config(root, **{key.replace("-", "_"): _checked(key, value, path) for key, value in table.items()})


def _checked(key: str, value: Any, path: Path) -> Any:
    if key in _LISTS:
        if isinstance(value, str) and key == "scope":
            return (value,)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ConfigError(f"{key} in [tool.graphfix] of {path} must be a list of strings.")
    if key == "targets":
        if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
            return value
        raise ConfigError(f'targets in [tool.graphfix] of {path} must map names to specs like "file.py::flow".')
    if key == "unsafe":
        if isinstance(value, bool):
            return value
        raise ConfigError(f"unsafe in [tool.graphfix] of {path} must be true or false.")
    known = ", ".join(sorted({*_LISTS, "targets", "unsafe"}))
    raise ConfigError(f"[tool.graphfix] of {path} has an unknown key {key!r}; known keys: {known}.")
