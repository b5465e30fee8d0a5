"""Command lines that Typer need not read: read as Typer would."""

from __future__ import annotations

import inspect
import shlex
from typing import Any

import pytest

import graphfix.commands.scan
from graphfix.commands.app import Format, app
from graphfix.commands.plain import FORMATS, scan_arguments

SIGNATURE = inspect.signature(graphfix.commands.scan.command)


def test_the_formats_are_all_there_are() -> None:
    assert list(FORMATS) == [one.value for one in Format]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "a.py src",
        "- --stdin-filename src/a.py",
        "src --all --no-cache --force-exclude",
        "--select GF1,GF3 src --select item-in-fill --ignore GF6 --format json --output out.json",
        "--baseline base.json --jobs 2 src --format github",
        "a.py::flow",
    ],
)
def test_plain_lines_are_read_as_by_typer(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["scan", *shlex.split(line)]
    given: dict[str, Any] = {}

    def command(*values: Any, **named: Any) -> int:
        bound = SIGNATURE.bind(*values, **named)
        bound.apply_defaults()
        given.update({name: value or None for name, value in bound.arguments.items()})
        return 0

    monkeypatch.setattr(graphfix.commands.scan, "command", command)
    plain = scan_arguments(words)
    assert plain is not None
    command(**plain)
    by_us = dict(given)
    app(words, standalone_mode=False)
    assert given == by_us


@pytest.mark.parametrize(
    "line",
    [
        "apply a.py",
        "scan --help",
        "scan --format yaml a.py",
        "scan --jobs 0 a.py",
        "scan --jobs ² a.py",
        "scan --format=json a.py",
        "scan a.py --output",
        "scan --output '' a.py",
        "scan --select --all a.py",
        "scan -- a.py",
        "scan --colour a.py",
        "scan --debug a.py",
    ],
)
def test_other_lines_are_left_to_typer(line: str) -> None:
    assert scan_arguments(shlex.split(line)) is None
