"""What the rules on recompiles share: an index in `x[:, i]`, taken with `select` so that it may vary."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator

from graphfix.rule import Rewrite, Site
from graphfix.source.values import Kind

from ._match import is_whole

_GUARD = re.compile(r"^(?:\d+/\d+: )?(?P<left>.+?) [!=]= -?\d+(?:\s|$)")


def guarded_names(site: Site) -> set[str]:
    """The names in a guard on a whole number that failed: `cursor` of `self.cursor == 3`. None for other guards."""
    found = _GUARD.match(site.break_.explanation) if site.break_ else None
    if found is None or "size()" in found["left"]:
        return set()
    return set(re.findall(r"[A-Za-z_]\w*", found["left"])) - {"self"}


def derived_names(function: ast.AST, names: Collection[str]) -> set[str]:
    """The names, and others to which the function gives values computed from them."""
    found = set(names)
    assigned = [node for node in ast.walk(function) if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign)]
    for node in assigned * 2:  # twice, for what a loop hands back
        if node.value is not None and found & _names(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {name for target in targets if isinstance(target, ast.Name) for name in _names(target)}
    return found


def _names(node: ast.AST) -> set[str]:
    """The names and attributes in an expression, `self` left out."""
    return {getattr(one, "attr", getattr(one, "id", "")) for one in ast.walk(node)} - {"", "self"}


def selected(site: Site, root: ast.AST, names: Collection[str] = ()) -> Rewrite | None:
    """One rewrite of all indices among others in `root` that may be whole numbers (with `names`: that name one)."""
    subscripts = [node for node in _run(root) if isinstance(node, ast.Subscript)]
    changes = [(node, *found) for node in subscripts if (found := _select(site, node, names)) is not None]
    return site.replace_each(changes) if changes else None


def _run(root: ast.AST) -> Iterator[ast.AST]:
    """The nodes in `root` but those of annotations."""
    yield root
    for name, value in ast.iter_fields(root):
        if name not in ("annotation", "returns"):
            for node in value if isinstance(value, list) else [value]:
                if isinstance(node, ast.AST):
                    yield from _run(node)


def _select(site: Site, node: ast.Subscript, names: Collection[str]) -> tuple[str, dict[str, ast.AST]] | None:
    """Template and parts of `x.select(1, i)[…]` for `x[:, i, …]`."""
    if not isinstance(node.slice, ast.Tuple) or isinstance(node.ctx, ast.Del):
        return None
    items = node.slice.elts
    numbers = [number for number, item in enumerate(items) if _may_vary(site, item, names)]
    if not numbers:
        return None
    template = "{x}"
    parts: dict[str, ast.AST] = {"x": node.value}
    for number in reversed(numbers):
        before, after = items[:number], items[number + 1 :]
        if any(_is_ellipsis(item) for item in before):
            dimension = -1 - _dimensions(item for place, item in enumerate(after, number + 1) if place not in numbers)
        else:
            dimension = _dimensions(before)
        template += f".select({dimension}, {{i{number}}})"
        parts[f"i{number}"] = items[number]
    rest = [number for number in range(len(items)) if number not in numbers]
    while rest and _is_whole(items[rest[-1]]) and not any(_is_ellipsis(items[number]) for number in rest[:-1]):
        rest.pop()
    if rest:
        slices = {
            n: ast.unparse(items[n]).replace("{", "{{").replace("}", "}}")
            for n in rest
            if isinstance(items[n], ast.Slice)
        }
        parts |= {f"i{number}": items[number] for number in rest if number not in slices}
        template += f"[{', '.join(slices.get(number, f'{{i{number}}}') for number in rest)}]"
    elif not isinstance(node.ctx, ast.Load):
        template += "[...]"
    return template, parts


def _may_vary(site: Site, item: ast.expr, names: Collection[str]) -> bool:
    if not isinstance(item, ast.Name | ast.Attribute | ast.BinOp | ast.Call):
        return False
    if names and not _names(item) & set(names):
        return False
    return site.module.analysis.value(item).kind is not Kind.TENSOR


def _dimensions(items: Iterable[ast.expr]) -> int:
    return sum(not (isinstance(item, ast.Constant) and item.value is None) for item in items)


def _is_ellipsis(item: ast.expr) -> bool:
    return isinstance(item, ast.Constant) and item.value is ...


def _is_whole(item: ast.expr) -> bool:
    return _is_ellipsis(item) or is_whole(item)
