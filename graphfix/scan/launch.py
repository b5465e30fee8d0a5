"""Starts the user's own program as Python itself would, with the observer let in before its first line.

The program is `python script.py …` or `python -m module …` and nothing else. A folder that comes first on PYTHONPATH
holds a `sitecustomize` that starts the observer, takes the folder out of the way again (environment and `sys.path`
are the program's own before its first line), and hands over to the user's own `sitecustomize`, if there is one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SITE = '''"""Written by graphfix run."""
from _frozen_importlib_external import SourceFileLoader  # importlib.machinery's, loaded already
loader = SourceFileLoader("graphfix.dynamo.observe", {observer})
names = {{"__name__": loader.name, "__file__": loader.path}}
exec(loader.get_code(loader.name), names)
names["start"]({package}, {folder}, {overlay}, {python_path})
'''
_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Program:
    """A Python file, or a module as `python -m` takes one, with its arguments."""

    name: str
    arguments: tuple[str, ...] = ()
    is_module: bool = False

    @property
    def words(self) -> list[str]:
        """What follows `python` on the command line that starts it."""
        return [*(["-m"] if self.is_module else []), self.name, *self.arguments]


def launch(program: Program, overlay: Mapping[str, str], folder: Path) -> subprocess.Popen[bytes]:
    """Start the program, patched by `overlay`; what is seen in it is written to the file that `events_in` names."""
    events_in(folder).touch()
    (folder / "overlay.json").write_text(json.dumps(dict(overlay)), encoding="utf-8")
    python_path = os.environ.get("PYTHONPATH")
    settings = {
        "observer": str(_PACKAGE / "dynamo" / "observe.py"),
        "package": str(_PACKAGE),
        "folder": str(folder),
        "overlay": bool(overlay),
        "python_path": python_path,
    }
    site = _SITE.format(**{name: ascii(value) for name, value in settings.items()})
    (folder / "sitecustomize.py").write_text(site, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "GRAPHFIX_DEBUG"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), python_path]))
    return subprocess.Popen([sys.executable, *_words(program, overlay, folder)], env=environment)


def events_in(folder: Path) -> Path:
    """The file of events, one JSON object a line, of the program that was launched with `folder`."""
    return folder / "events.jsonl"


def _words(program: Program, overlay: Mapping[str, str], folder: Path) -> list[str]:
    """The program's words; a script that is patched itself is run from its patched text."""
    if program.is_module or os.path.realpath(program.name) not in overlay:
        return program.words
    run = f"__import__('graphfix.dynamo.observe', fromlist=['']).run_patched({str(folder / 'overlay.json')!a})"
    return ["-c", run, *program.words]
