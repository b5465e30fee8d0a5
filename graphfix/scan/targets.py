"""Finds what the command line names: targets to compile, or paths to read."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from graphfix.config import Config
from graphfix.errors import GraphfixError, TargetError, UsageError
from graphfix.model import Target
from graphfix.source.module import FUNCTIONS, Module
from graphfix.source.text import read


@dataclass(frozen=True, slots=True)
class Selection:
    """What to work on: targets first, then files and folders."""

    targets: list[Target] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)


def select(arguments: Sequence[str], config: Config) -> Selection:
    """Sort the arguments into targets and paths. Without any: the configured targets, else the current folder.

    A `file.py` that defines decorated targets stands for all of them, any other path for itself.
    Raises UsageError or TargetError for what is not there.
    """
    found = Selection()
    if not arguments:
        for name in config.targets:
            found.targets.append(_configured(name, config))
        if not config.targets:
            found.paths.append(Path())
    for argument in arguments:
        if argument in config.targets:
            found.targets.append(_configured(argument, config))
        elif "::" in argument:
            found.targets.append(_named(argument, Path()))
        else:
            _add_path(argument, found)
    return found


def only_targets(arguments: Sequence[str], config: Config) -> list[Target]:
    """The targets that the arguments name. Raises UsageError where there are none or a path is named."""
    found = select(arguments, config)
    if found.targets and not found.paths:
        return found.targets
    named = f"{found.paths[0]} defines no target" if arguments and found.paths else "no target is named"
    raise UsageError(f"{named}; name one as file.py::function, or decorate a function with @graphfix.target.")


def module_and_name(target: Target) -> tuple[str | None, str | None, str]:
    """(module, path, function) of a target; module or path is None."""
    where, _, name = target.spec.rpartition("::")
    return (None, where, name) if where.endswith(".py") else (where, None, name)


def _configured(name: str, config: Config) -> Target:
    spec = config.targets[name]
    if "::" not in spec:
        raise TargetError(f"target {name!r} in [tool.graphfix] is {spec!r}; write it as file.py::function.")
    return Target(_named(spec, config.root).spec, name)


def _named(spec: str, root: Path) -> Target:
    where, _, name = spec.rpartition("::")
    if not where or not name or not all(part.isidentifier() for part in name.split(".")):
        raise TargetError(f"{spec!r} is no target; write file.py::function or package.module::function.")
    if where.endswith(".py"):
        path = root / where
        if not path.is_file():
            raise TargetError(f"{path} does not exist; correct the path before the '::'.")
        return Target(f"{path}::{name}", name)
    if not all(part.isidentifier() for part in where.split(".")):
        raise TargetError(f"{where!r} is neither a .py file nor a module; correct what stands before the '::'.")
    return Target(spec, name)


def _add_path(argument: str, found: Selection) -> None:
    path = Path(argument)
    if not path.exists():
        raise UsageError(f"{argument} does not exist; name a file, a folder or a target like file.py::function.")
    names = decorated_targets(path) if path.suffix == ".py" and path.is_file() else []
    found.targets.extend(Target(f"{argument}::{name}", name) for name in names)
    if not names:
        found.paths.append(path)


def decorated_targets(path: Path) -> list[str]:
    """The functions that `@graphfix.target` decorates at the top of a file, in order; none where it does not parse."""
    try:
        text = read(str(path)).text
        if "graphfix" not in text:
            return []
        tree = Module(str(path), text).tree
    except GraphfixError:
        return []
    marks = _names_of_target(tree)
    return [
        node.name
        for node in tree.body
        if isinstance(node, FUNCTIONS) and any(ast.unparse(decorator) in marks for decorator in node.decorator_list)
    ]


def _names_of_target(tree: ast.Module) -> set[str]:
    """How the file spells `graphfix.target`."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {f"{alias.asname or alias.name}.target" for alias in node.names if alias.name == "graphfix"}
        elif isinstance(node, ast.ImportFrom) and node.module == "graphfix":
            names |= {alias.asname or alias.name for alias in node.names if alias.name == "target"}
    return names
