"""Prints what a command leaves behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from graphfix.commands.outcome import Outcome


def finish(outcome: Outcome, format: str, output: Path | None) -> int:
    """Print the outcome; its exit code."""
    if outcome.patch is not None:
        sys.stdout.buffer.write(outcome.patch)  # each file's part is in that file's own encoding
        sys.stdout.buffer.flush()
    show(outcome, format, output, sys.stdout if outcome.patch is None else sys.stderr)
    for note in outcome.notes:
        sys.stderr.write(f"graphfix: {note}\n")
    return outcome.exit_code


def show(outcome: Outcome, format: str, output: Path | None, stream: TextIO) -> None:
    """Write the report to `output`, or else to `stream`."""
    color = stream.isatty() and output is None and "NO_COLOR" not in os.environ
    write(outcome.render(format, color=color), output, stream)


def write(text: str, output: Path | None, stream: TextIO) -> None:
    """Write a text to `output`, or else to `stream`."""
    if output is None:
        stream.write(text)
        stream.flush()
    else:
        from graphfix.commands.outcome import write_text

        write_text(output, text)
