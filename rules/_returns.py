"""What the arms of a branch return, so that it can be chosen element by element."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from ._condition import Build
from ._items import Unknown


@dataclass(frozen=True)
class Leaf:
    """One value."""

    text: str


@dataclass(frozen=True)
class Group:
    """A tuple, dictionary or other container whose elements are chosen one by one: `head`, elements, `tail`."""

    kind: str
    names: tuple[str, ...]
    parts: tuple[Tree, ...]


Tree = Leaf | Group


def tree_of(build: Build, value: ast.expr | None) -> Tree:
    """A returned value. Raises Unknown for nothing at all."""
    if value is None:
        raise Unknown
    if isinstance(value, ast.Tuple | ast.List) and not any(isinstance(one, ast.Starred) for one in value.elts):
        parts = tuple(tree_of(build, one) for one in value.elts)
        return Group(type(value).__name__, tuple(map(str, range(len(parts)))), parts)
    if isinstance(value, ast.Dict) and all(isinstance(key, ast.Constant) for key in value.keys):
        names = tuple(build.slot(key) for key in value.keys if key is not None)
        return Group("Dict", names, tuple(tree_of(build, one) for one in value.values))
    if isinstance(value, ast.Call) and _makes_record(value):
        parts = tuple(tree_of(build, one) for one in (*value.args, *(keyword.value for keyword in value.keywords)))
        names = (*map(str, range(len(value.args))), *(str(keyword.arg) for keyword in value.keywords))
        return Group(ast.unparse(value.func), names, parts)
    if any(isinstance(part, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom) for part in ast.walk(value)):
        raise Unknown
    return Leaf(build.slot(value))


def _makes_record(call: ast.Call) -> bool:
    """Whether a call makes a record of its arguments, as far as its name tells: `ModelOutput(loss=loss)`."""
    name = ast.unparse(call.func).rpartition(".")[2]
    given = [*call.args, *(keyword.arg for keyword in call.keywords)]
    whole = not any(isinstance(one, ast.Starred) or one is None for one in given)
    return whole and name[:1].isupper() and name.endswith(("Output", "Outputs", "Result", "Results"))


def chosen(build: Build, condition: str, yes: Tree, no: Tree) -> Tree:
    """The value where each part is chosen by the condition. Raises Unknown."""
    if isinstance(yes, Group) and isinstance(no, Group):
        if (yes.kind, [*map(build.text, yes.names)]) != (no.kind, [*map(build.text, no.names)]):
            raise Unknown
        pairs = zip(yes.parts, no.parts, strict=True)
        return Group(yes.kind, yes.names, tuple(chosen(build, condition, one, other) for one, other in pairs))
    if isinstance(yes, Leaf) and isinstance(no, Leaf):
        same = build.text(yes.text) == build.text(no.text)
        if not same and any(_is_no_tensor(build, leaf) for leaf in (yes, no)):
            raise Unknown
        return Leaf(build.where(condition, yes.text, no.text))
    raise Unknown


def _is_no_tensor(build: Build, leaf: Leaf) -> bool:
    part = build.parts.get(leaf.text.strip("{}"))
    if isinstance(part, ast.Constant):
        return not isinstance(part.value, int | float)
    return isinstance(part, ast.List | ast.Dict | ast.Set | ast.Lambda | ast.JoinedStr | ast.ListComp)


def written(tree: Tree, outermost: bool = True) -> str:
    """The text of a value; a tuple returned as such has no parentheses."""
    if isinstance(tree, Leaf):
        return tree.text
    parts = [written(part, False) for part in tree.parts]
    if tree.kind == "Tuple":
        text = f"{parts[0]}," if len(parts) == 1 else ", ".join(parts)
        return text if outermost and parts else f"({text if parts else ''})"
    if tree.kind == "List":
        return f"[{', '.join(parts)}]"
    if tree.kind == "Dict":
        pairs = (f"{name}: {part}" for name, part in zip(tree.names, parts, strict=True))
        return "{" + ", ".join(pairs) + "}"
    named = (part if name.isdigit() else f"{name}={part}" for name, part in zip(tree.names, parts, strict=True))
    return f"{tree.kind}({', '.join(named)})"


def ends_in_return(body: Sequence[ast.stmt]) -> bool:
    """Whether a block surely returns, by its last statement."""
    if not body:
        return False
    last = body[-1]
    if isinstance(last, ast.If):
        return ends_in_return(last.body) and ends_in_return(last.orelse)
    return isinstance(last, ast.Return)
