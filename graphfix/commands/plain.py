"""Reads the command lines of `graphfix scan` that need no Typer, whose start takes longer than a scan of one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

_SWITCHES = {"--all": "all", "--no-cache": "no_cache", "--force-exclude": "force_exclude"}
_CODES = {"--select": "select", "--ignore": "ignore"}
_PATHS = {"--output": "output", "--baseline": "baseline", "--stdin-filename": "stdin_filename"}
FORMATS = ("text", "json", "sarif", "github", "html")


def scan_arguments(words: Sequence[str]) -> dict[str, Any] | None:
    """The arguments of `graphfix.commands.scan.command`; None for what Typer must read, and perhaps complain of."""
    if not words or words[0] != "scan":
        return None
    found: dict[str, Any] = {"where": []}
    left = iter(words[1:])
    for word in left:
        if not word.startswith("-") or word == "-":
            found["where"].append(word)
        elif word in _SWITCHES:
            found[_SWITCHES[word]] = True
        elif (value := next(left, "")).startswith("-") or not value or not _taken(found, word, value):
            return None
    return found


def _taken(found: dict[str, Any], option: str, value: str) -> bool:
    """Whether the option and its value were plain, and are among what was found now."""
    if option in _CODES:
        found.setdefault(_CODES[option], []).append(value)
    elif option in _PATHS:
        found[_PATHS[option]] = Path(value)
    elif option == "--format" and value in FORMATS:
        found["format"] = value
    elif option == "--jobs" and value.isascii() and value.isdigit() and int(value) > 0:
        found["jobs"] = int(value)
    else:
        return False
    return True
