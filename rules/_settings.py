"""What the rules on settings share: where a setting of torch.compile goes, and whether it is there already."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from graphfix.rule import Rewrite, Site
from graphfix.source.module import FUNCTIONS, Module


def with_setting(site: Site, setting: str, name: str = "") -> Iterator[Rewrite]:
    """Rewrites that put a setting (`capture_scalar_outputs = True`) at module level, below the imports.

    First into the module of the outermost function that was compiled, which every program that compiles it imports;
    then into the break's own, for where the other may not be rewritten (docs/decisions/0027). `name`: a name that has
    to mean there what it means to Python.
    """
    for place in _places(site):
        if _has(place.module, setting, "config") or _rebinds(place.module, name):
            continue
        if (found := _added(place, f"{{torch}}._dynamo.config.{setting}")) is not None:
            yield found


def with_call(site: Site, module: str, call: str) -> Iterator[Rewrite]:
    """Rewrites that import a module of torch and call a function of it (`{torch}.….f(…)`), where a setting would go."""
    for place in _places(site):
        word = call.partition("(")[0].rpartition(".")[2]
        if _has(place.module, call.replace("{torch}", "torch"), word):
            continue
        if (found := _added(place, call, f"import {module}")) is not None:
            yield found


def _places(site: Site) -> Iterator[Site]:
    """The outermost call that led to the break, and the break itself where it is in another module."""
    outermost = replace(site, module=site.callers[-1][0], node=site.callers[-1][1]) if site.callers else site
    yield outermost
    if site.module.path != outermost.module.path:
        yield site


def _added(site: Site, line: str, needed: str = "") -> Rewrite | None:
    imports = _last_import(site.module)
    if imports is not None:
        between = f"{needed}\n\n" if needed else "\n"
        return site.replace(imports, f"{{imports}}\n{between}{line}\n", imports=imports)
    body = [node for node in site.module.tree.body if not _is_docstring(node)]
    return site.before(body[0], f"{needed}\n{line}".strip()) if body else None


def _last_import(module: Module) -> ast.stmt | None:
    """The last import of the module's head, which ends at its first function or class."""
    found = None
    for node in module.tree.body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            break
        if isinstance(node, ast.Import | ast.ImportFrom):
            found = node
    return found


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _has(module: Module, line: str, word: str) -> bool:
    """Whether the module holds the line already, in a statement with the word."""
    wanted = "".join(line.split())
    return any(wanted in "".join(ast.unparse(node).split()) for node in module.tree.body if word in ast.unparse(node))


def _rebinds(module: Module, name: str) -> bool:
    return bool(name) and any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store) for node in module.tree.body
    )
