"""Says where a break is: which frame of its stack is the user's, and which expression there is guilty."""

from __future__ import annotations

import ast
import functools
import importlib.util
import os
import re
import sysconfig
from collections.abc import Mapping, Sequence
from typing import Any

from graphfix.errors import SourceError
from graphfix.model import Location
from graphfix.source.module import Module, guilty_part
from graphfix.source.sources import Sources

_USES_TORCH = re.compile(r"^\s*(from\s+torch\b|import\s[^#\n]*\btorch\b)", re.MULTILINE)


@functools.cache
def _library_folders() -> tuple[str, ...]:
    """Folders whose code is nobody's to repair: torch and the standard library."""
    spec = importlib.util.find_spec("torch")
    torch = [os.path.dirname(spec.origin)] if spec and spec.origin else []
    return tuple(folder + os.sep for folder in [*torch, sysconfig.get_paths()["stdlib"]])


def is_library(path: str) -> bool:
    """Whether a frame's file belongs to torch, the standard library or no file at all."""
    if path.startswith("<") or f"{os.sep}torchinductor_" in path:  # code that Inductor wrote
        return True
    inside = path.startswith(_library_folders())
    return inside and (_library_folders()[0] in path or f"{os.sep}site-packages{os.sep}" not in path)


def user_frame(
    stack: Sequence[Mapping[str, Any]], sources: Sources, scope: Sequence[str] = ()
) -> tuple[Mapping[str, Any] | None, bool]:
    """The frame to show for a break, and whether it is in scope: the innermost one below the folders of `scope`.

    Where none is, it is the innermost one in code that uses torch, or that a log names and is not here, so that a
    break inside tqdm or a logging library is shown where the model calls it; else the innermost one outside torch and
    the standard library, else the last.
    """
    inside = [frame for frame in stack if _below(frame["path"], scope)]
    if inside:
        return inside[-1], True
    own = [frame for frame in stack if not is_library(frame["path"])]
    using = [frame for frame in own if "note" in frame or _uses_torch(frame["path"], sources)]
    found = using or own or list(stack)
    return (found[-1] if found else None), False


def _below(path: str, folders: Sequence[str]) -> bool:
    real = os.path.realpath(path)
    return any(real == folder or real.startswith(folder.rstrip(os.sep) + os.sep) for folder in folders)


def _uses_torch(path: str, sources: Sources) -> bool:
    try:
        return _USES_TORCH.search(sources.module(path).text) is not None
    except SourceError:
        return False


def node_of(frame: Mapping[str, Any], sources: Sources) -> tuple[Module, ast.AST] | None:
    """The module and node that a frame stands at, None where the file or the place cannot be read.

    Where its columns fit no expression (a backend prints those of several instructions), it is the line's statement.
    """
    try:
        module = sources.module(frame["path"])
        node = module.node_at(frame["line"], frame["column"], frame["end_line"], frame["end_column"])
        node = node or module.node_at(frame["line"], None, None, None)
    except SourceError:
        return None
    return None if node is None else (module, node)


def narrowed(found: tuple[Module, ast.AST] | None, explanation: str) -> tuple[Module, ast.AST] | None:
    """The subscript inside the node, if it is the only one and the break is about reading an item.

    A backend that fails names the operation, but the span it gives is that of a larger expression.
    """
    if found is None or "call_function[target=operator.getitem]" not in explanation:
        return found
    subscripts = [node for node in ast.walk(found[1]) if isinstance(node, ast.Subscript)]
    return (found[0], subscripts[0]) if len(subscripts) == 1 else found


def location_of(frame: Mapping[str, Any], found: tuple[Module, ast.AST] | None) -> Location:
    """The span to mark: the guilty expression, the whole line where no node was found."""
    if found is None or frame["column"] is None:
        return Location(frame["path"], frame["line"])
    module, node = found
    return module.location(guilty_part(node))
