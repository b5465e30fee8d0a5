"""The console command: reads the plainest command lines itself, leaves all others to Typer, and says how it went."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from graphfix._version import __version__
from graphfix.commands.plain import scan_arguments
from graphfix.errors import GraphfixError


def main() -> None:
    """The console command. Leaves with 0, 1 or 2 as the README says, and 130 after Ctrl-C."""
    sys.exit(_guarded(lambda: run(sys.argv[1:])))


def run(arguments: Sequence[str]) -> Any:
    """What a command line does; its exit code, or None for 0."""
    if list(arguments) == ["--version"]:
        print(f"graphfix {__version__}")
        return 0
    if (scan := scan_arguments(arguments)) is not None:
        from graphfix.commands.scan import command

        return command(**scan)
    from graphfix.commands.app import app

    return app(arguments, standalone_mode=False)


def __getattr__(name: str) -> Any:
    if name == "app":
        from graphfix.commands.app import app

        return app
    raise AttributeError(f"module 'graphfix.cli' has no attribute {name!r}")


def _guarded(command: Callable[[], Any]) -> int:
    try:
        code = command()
        return code if isinstance(code, int) else 0
    except GraphfixError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    except Exception as error:
        if type(error).__name__ == "Abort":  # Typer's word for Ctrl-C
            return 130
        if hasattr(error, "format_message"):  # Typer's own usage errors
            return _complain(error.format_message())
        return _complain(f"internal error: {type(error).__name__}: {error}; please report it with --debug.")


def _complain(sentence: str) -> int:
    if os.environ.get("GRAPHFIX_DEBUG"):
        import traceback

        traceback.print_exc()
    sys.stderr.write(f"graphfix: {sentence}\n")
    return 2
