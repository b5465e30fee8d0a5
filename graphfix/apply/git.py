"""Asks git whether something is not committed yet."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from graphfix.errors import UsageError


def refuse_uncommitted(scope: Iterable[Path]) -> None:
    """Raises UsageError where a tracked file in the scope has changes, staged or not, or where git cannot tell.

    Files that git does not know, and folders outside of any repository, are no reason to refuse.
    """
    changed = [path for place in scope for path in _changed(place)]
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise UsageError(
            f"{changed[0]}{more} has changes that are not committed; commit or stash them, or say --allow-dirty."
        )


def _changed(place: Path) -> list[str]:
    """The tracked files at or below `place` that differ from the last commit, as paths in their repository."""
    folder = place if place.is_dir() else place.parent
    status = ["status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=untracked", "--no-renames"]
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(folder), *status, "--", str(place)],
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError:  # no git here
        return []
    if done.returncode:
        said = os.fsdecode(done.stderr).strip()
        if "not a git repository" in said:
            return []
        reason = said.splitlines()[0] if said else f"exit code {done.returncode}"
        raise UsageError(f"git cannot say what is committed ({reason}); correct that, or say --allow-dirty.")
    return [os.fsdecode(entry[3:]) for entry in done.stdout.split(b"\0") if entry]
