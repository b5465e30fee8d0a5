"""`graphfix run`: the user's own program, and a report of its breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from graphfix.commands.outcome import Outcome
from graphfix.errors import UsageError
from graphfix.model import Report, Target
from graphfix.prove import overlay
from graphfix.scan.launch import Program
from graphfix.scan.observation import Observation
from graphfix.scan.watch import watch
from graphfix.settings import Settings
from graphfix.source.sources import Sources


def run(
    words: Sequence[str],
    settings: Settings,
    overlay_folder: Path | None,
    output: Path | None,
    write: Callable[[Outcome], None],
) -> int:
    """Run the program that the words name; returns its own exit code.

    `write` gets the report at the end, and the report so far whenever SIGUSR1 asks for it. Raises UsageError where
    there is nothing to run, or no folder to put `output` in.
    """
    if output is not None and not output.absolute().parent.is_dir():
        raise UsageError(f"{output.parent} does not exist; name a file in a folder that does.")
    program = program_of(words)
    patched = overlay.load(overlay_folder) if overlay_folder else {}
    target = Target(" ".join(program.words[: 1 + program.is_module]), Path(program.name).name)

    def tell(seen: Observation) -> None:
        report = seen.report(target, Sources(patched), settings.rules)
        write(Outcome(Report(settings.versions((report,)), (report,)), 0))

    return watch(program, patched, settings.shown, tell)


def program_of(words: Sequence[str]) -> Program:
    """`script.py arguments…` or `-m module arguments…`. Raises UsageError."""
    name, *arguments = words
    if name == "-m":
        if not arguments:
            raise UsageError("-m names no module; name one as for python -m.")
        return Program(arguments[0], tuple(arguments[1:]), is_module=True)
    if not Path(name).exists():
        if name.startswith("-"):
            raise UsageError(f"No such option: {name}; name the program's own options after its file.")
        raise UsageError(f"{name} does not exist; name the Python file to run, or -m and a module.")
    return Program(name, tuple(arguments))
