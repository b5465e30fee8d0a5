"""Install transformers 5.2.0 and 4.52.4 side by side: `.venv/bin/python examples/huggingface/install.py`.

Each goes, with all that it needs, into a folder of its own, which `PYTHONPATH` puts in front of the environment; the
environment itself is left as it is, and a version that it has already is not installed again. Other versions can be
named: `install.py 4.57.1`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

VERSIONS = ("5.2.0", "4.52.4")


class InstallError(Exception):
    """pip failed; the message says what is missing and what to do."""


def folder_of(wanted: str) -> Path:
    """Where a version is installed; called site-packages, so that tools see that it is nobody's own code."""
    return Path(sys.prefix, f"transformers-{wanted}", "site-packages")


def in_environment(wanted: str) -> bool:
    """Whether this is the version that the environment itself has."""
    try:
        return version("transformers") == wanted
    except PackageNotFoundError:
        return False


def install(wanted: str) -> None:
    """Install one version with all that it needs, or nothing at all: the folder appears when it is complete.

    Raises:
        InstallError: pip could not install it.
    """
    folder = folder_of(wanted)
    print(f"installing transformers {wanted} into {folder}", flush=True)
    with tempfile.TemporaryDirectory(dir=sys.prefix) as unfinished:
        made = Path(unfinished, "site-packages")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--target", str(made), f"transformers=={wanted}", *numpy_as_it_is()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reasons = ["no reason given", *(line for line in done.stderr.splitlines() if line.startswith("ERROR: "))]
            raise InstallError(
                f"pip could not install transformers {wanted} ({reasons[-1].removeprefix('ERROR: ')}); "
                "check the version and pip's index and network settings, then run this again."
            )
        folder.parent.mkdir(exist_ok=True)
        if not folder.is_dir():  # another run may have been faster
            made.rename(folder)


def numpy_as_it_is() -> list[str]:
    """The NumPy of the environment as a requirement, so that its other packages find the one they know."""
    try:
        return [f"numpy=={version('numpy')}"]
    except PackageNotFoundError:
        return []


def main(wanted: Sequence[str]) -> int:
    """Install what is missing; 0 when every version is there, 2 when pip failed."""
    for each in wanted:
        if in_environment(each):
            print(f"transformers {each} is ready in this environment")
            continue
        try:
            if not folder_of(each).is_dir():
                install(each)
        except InstallError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        print(f"transformers {each} is ready: PYTHONPATH={folder_of(each)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or VERSIONS))
