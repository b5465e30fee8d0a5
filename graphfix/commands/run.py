"""`graphfix run`: the user's own program, and a report of its breaks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from graphfix.commands.outcome import Outcome
from graphfix.errors import UsageError
from graphfix.model import Report
from graphfix.prove import overlay
from graphfix.scan.watch import watch
from graphfix.settings import Settings
from graphfix.source.sources import Sources


def run(script: str, arguments: Sequence[str], settings: Settings, overlay_folder: Path | None) -> Outcome:
    """Run the script; the exit code is the program's own."""
    if not Path(script).is_file():
        raise UsageError(f"{script} does not exist; name the Python file to run.")
    patched = overlay.load(overlay_folder) if overlay_folder else {}
    target, seen, code = watch(script, arguments, patched)
    report = seen.report(target, Sources(patched), settings.rules)
    return Outcome(Report(settings.versions((report,)), (report,)), code)
