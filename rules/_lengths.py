"""What the rules on lengths share: which dimension a number read from a tensor may equal, and how to say so."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from graphfix.model import Assumption
from graphfix.rule import Rewrite, Site
from graphfix.source.module import Module
from graphfix.source.names import import_name

from ._match import is_pure, only_value

OFFERS = 24
"""How many dimensions are offered for one number."""
_CASTS = frozenset("long int to float cpu detach type clone flatten view reshape contiguous squeeze".split())
_READS = frozenset("item cpu long int detach".split())
_SUFFIX = re.compile(r"_?(seq)?_?(lengths?|lens?|sizes?|masks?|padding|pad|mask)$")
_NAMED = re.compile(r"(^|[_.])(max_?)?(len|lens|lengths?|sizes?|num|count|total|frames?|steps?)(_|\b)")
Def = ast.FunctionDef | ast.AsyncFunctionDef


def tensor_of(read: ast.expr) -> ast.expr:
    """The tensor of a read: `t` of `t.item()`, `int(t)`, `int(t.cpu())`."""
    while isinstance(read, ast.Call) and not read.keywords:
        if isinstance(read.func, ast.Attribute) and not read.args and read.func.attr in _READS:
            read = read.func.value
        elif isinstance(read.func, ast.Name) and read.func.id == "int" and len(read.args) == 1:
            read = read.args[0]
        else:
            break
    return read


def is_length(node: ast.AST) -> bool:
    """Whether an expression looks as the longest or last of lengths, or their sum, does: `n.max()`, `ends[-1]`."""
    if not isinstance(node, ast.expr):
        return False
    inner = tensor_of(node)
    if isinstance(inner, ast.Subscript) and node is not inner:
        at = inner.slice.operand if isinstance(inner.slice, ast.UnaryOp) else inner.slice
        return isinstance(at, ast.Constant) and isinstance(at.value, int)
    if not isinstance(inner, ast.Call):
        return False
    if isinstance(inner.func, ast.Name):
        return inner.func.id == "max" and len(inner.args) == 1 and not inner.keywords
    return isinstance(inner.func, ast.Attribute) and inner.func.attr in {"max", "amax", "sum"}


def whole_read(module: Module, node: ast.expr) -> ast.expr:
    """The read around a length: `int(n.max().item())` of `n.max()`."""
    for parent in module.parents(node):
        if isinstance(parent, ast.Attribute) and parent.attr in _READS:
            continue
        if not isinstance(parent, ast.Call) or tensor_of(parent) is not tensor_of(node):
            break
        node = parent
    return node


def lengths_read(module: Module, node: ast.AST) -> list[ast.expr]:
    """The lengths that the code at a break reads: in the expression itself, or where its names got their values."""
    above = next(module.parents(node), None)
    if isinstance(above, ast.Call) and is_length(above) and node in above.args:  # `n.tolist()` in `max(n.tolist())`
        node = above
    found = [whole_read(module, part) for part in ast.walk(node) if is_length(part)]  # type: ignore[arg-type]
    if isinstance(node, ast.Call) and tensor_of(node) is not node and not found and _NAMED.search(ast.unparse(node)):
        found = [node]
    for name in (part for part in ast.walk(node) if isinstance(part, ast.Name)):
        for value in values_of(module, name):
            found += [whole_read(module, part) for part in ast.walk(value) if is_length(part)]  # type: ignore[arg-type]
    return list(dict.fromkeys(found))


def values_of(module: Module, name: ast.Name) -> list[ast.expr]:
    """What the function around a name assigns to it, up to there."""
    function = module.function_of(name)
    if function is None:
        return []
    found = []
    for node in ast.walk(function):
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            targets = [node.target]
        if any(isinstance(target, ast.Name) and target.id == name.id for target in targets):
            assert isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr)
            if node.value is not None and node.lineno <= name.lineno:
                found.append(node.value)
    return found


def statement_of(module: Module, node: ast.AST) -> ast.stmt | None:
    """The statement around an expression."""
    return next((one for one in (node, *module.parents(node)) if isinstance(one, ast.stmt)), None)


def as_tensor_text(node: ast.expr) -> str:
    """The text of a read's tensor; the builtin `max(n)`, or `max(n.tolist())`, as `n.max()`."""
    inner = tensor_of(node)
    if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and len(inner.args) == 1:
        of = inner.args[0]
        if isinstance(of, ast.Call) and isinstance(of.func, ast.Attribute) and of.func.attr == "tolist":
            of = of.func.value
        inner = ast.Call(ast.Attribute(of, "max", ast.Load()), [], [])
    return ast.unparse(inner)


class Translate:
    """Puts what a caller hands in for the parameters of a function, and what a local name was given for it."""

    def __init__(self, module: Module, function: Def, given: Mapping[str, ast.expr]) -> None:
        self._module, self._function, self._given = module, function, given
        self._open: set[str] = set()

    def of(self, node: ast.expr) -> ast.expr | None:
        """The expression in the caller's words, None where it cannot be said there."""
        try:
            found = self._copy(node)
        except LookupError:
            return None
        assert isinstance(found, ast.expr)
        return found

    def _copy(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Name):
            return self._name(node)
        parts: dict[str, object] = {}
        for field, value in ast.iter_fields(node):
            if isinstance(value, list):
                parts[field] = [self._copy(one) if isinstance(one, ast.AST) else one for one in value]
            else:
                parts[field] = self._copy(value) if isinstance(value, ast.AST) else value
        return type(node)(**parts)

    def _name(self, name: ast.Name) -> ast.AST:
        if name.id in self._given and self._keeps_value(name.id):
            return self._given[name.id]
        if name.id in {arg.arg for arg in _arguments(self._function)} or name.id in self._open:
            raise LookupError(name.id)
        if not any(one.id == name.id and isinstance(one.ctx, ast.Store) for one in _names(self._function)):
            if name.id in {"torch", "len", "max", "min", "F"}:
                return name
            raise LookupError(name.id)
        value = only_value(self._module, name)
        if value is None or not is_pure(value):
            raise LookupError(name.id)
        self._open.add(name.id)
        found = self._copy(value)
        self._open.discard(name.id)
        return found

    def _keeps_value(self, name: str) -> bool:
        """Whether a parameter is only ever assigned casts of itself."""
        for node in ast.walk(self._function):
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
                parent = next(self._module.parents(node), None)
                if not isinstance(parent, ast.Assign) or not _is_cast(parent.value, name):
                    return False
        return True


def _is_cast(node: ast.expr, name: str) -> bool:
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CASTS:
        node = node.func.value
    return isinstance(node, ast.Name) and node.id == name


def _names(function: Def) -> Iterator[ast.Name]:
    return (node for node in ast.walk(function) if isinstance(node, ast.Name))


def _arguments(function: Def) -> list[ast.arg]:
    given = function.args
    return [*given.posonlyargs, *given.args, *given.kwonlyargs]


@dataclass(frozen=True, slots=True)
class Parameter:
    """An optional parameter: its name, place among the positional ones (None: by keyword only) and default."""

    name: str
    place: int | None
    default: ast.expr


def optional_parameters(function: Def) -> list[Parameter]:
    """The parameters with a constant default."""
    plain = [*function.args.posonlyargs, *function.args.args]
    first = len(plain) - len(function.args.defaults)
    pairs = zip(plain[first:], function.args.defaults, strict=True)
    found = [Parameter(arg.arg, first + at, default) for at, (arg, default) in enumerate(pairs)]
    for arg, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        if default is not None:
            found.append(Parameter(arg.arg, None, default))
    return [one for one in found if isinstance(one.default, ast.Constant | ast.UnaryOp)]


def handed_in(function: Def, call: ast.Call) -> dict[str, ast.expr] | None:
    """What a call hands to each parameter, None where stars hide it."""
    if any(isinstance(arg, ast.Starred) for arg in call.args) or any(k.arg is None for k in call.keywords):
        return None
    plain = [arg.arg for arg in (*function.args.posonlyargs, *function.args.args)]
    if plain and plain[0] in ("self", "cls"):
        plain = plain[1:]
    if len(call.args) > len(plain):
        return None
    given = dict(zip(plain, call.args, strict=False))
    return given | {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}


def candidates(module: Module, at: ast.stmt, near: ast.AST, lengths: ast.expr) -> list[tuple[str, str]]:
    """Dimensions that a length of `lengths` may equal, known where `at` stands, the likeliest first.

    Each as its text and as what has to hold of it besides, empty for nothing. `near` is the code that uses the length.
    """
    function = module.function_of(at)
    if function is None:
        return []
    inside = set(ast.walk(at))
    bound = _bound_before(function, at)
    own = {node.id for node in ast.walk(lengths) if isinstance(node, ast.Name)}
    if ".sum(" not in ast.unparse(lengths):  # what a tensor holds is not how long it is; a mask's sum may be
        bound = [name for name in bound if name not in own]
    beside = _combined_with(function, at)
    scores: dict[str, int] = {}
    for place, name in enumerate(bound):
        stems = {_SUFFIX.sub("", one) for one in own}
        score = 0
        score += 8 * (name in beside)
        score += 6 * (name in stems or any(stem and name.startswith(stem) for stem in stems))
        score += 5 * any(isinstance(n, ast.Name) and n.id == name and n in inside for n in ast.walk(near))
        score += 4 * _goes_with(function, name, own)
        score += 3 * _is_tensor_like(function, name)
        score -= 20 * (name in own)
        scores[name] = score * 100 - place
    ranked = sorted(bound, key=lambda name: -scores[name])
    found = [(f"{name}.shape[{dim}]", "") for name in ranked if scores[name] >= 250 for dim in (1, -1)]
    found += [(name, f"isinstance({name}, int)") for name in ranked if _is_number_like(function, name)]
    found += [(f"{name}.shape[{dim}]", "") for name in ranked if scores[name] < 250 for dim in (1, -1)]
    found += [(f"{name}.shape[{dim}]", "") for name in ranked for dim in (0, 2)]
    return list(dict.fromkeys(found))[:OFFERS]


def _bound_before(function: Def, at: ast.stmt) -> list[str]:
    """The local names that have a value where `at` stands, those given last first."""
    found = [arg.arg for arg in _arguments(function) if arg.arg not in ("self", "cls")]
    stored = [node for node in _names(function) if isinstance(node.ctx, ast.Store) and node.lineno < at.lineno]
    found += [node.id for node in sorted(stored, key=lambda node: (node.lineno, node.col_offset))]
    return list(dict.fromkeys(reversed(found)))


def _combined_with(function: Def, at: ast.stmt) -> set[str]:
    """The names that meet what `at` assigns, in an operation or a call, or stand in `at` itself."""
    made = {node.id for node in ast.walk(at) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    found = {node.id for node in ast.walk(at) if isinstance(node, ast.Name)}
    for node in ast.walk(function):
        if isinstance(node, ast.BinOp | ast.Call) and getattr(node, "lineno", 0) >= at.lineno:
            names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
            if names & made:
                found |= names
    return found - made


def _goes_with(function: Def, name: str, own: set[str]) -> bool:
    """Whether a call takes the name beside the lengths."""
    for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        names = {one.id for one in given if isinstance(one, ast.Name)}
        if name in names and names & own:
            return True
    return False


def _is_tensor_like(function: Def, name: str) -> bool:
    """Whether the function asks the name for a shape, or a subscript with several parts."""
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name:
            return True
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == name:
            return True
    return False


def _is_number_like(function: Def, name: str) -> bool:
    """Whether the name gets a dimension, or stands where a size is asked for."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and any(name in {t.id for t in _stores(target)} for target in node.targets):
            text = ast.unparse(node.value)
            if ".shape" in text or ".size(" in text or "len(" in text:
                return True
    return any(arg.arg == name and _is_number(arg) for arg in _arguments(function))


def _is_number(arg: ast.arg) -> bool:
    if arg.annotation is not None:
        return "int" in ast.unparse(arg.annotation)
    return re.search(r"(^|_)(n|t|num|max|size|len|length|count|total|frames|steps)(_|$)", arg.arg) is not None


def _stores(target: ast.expr) -> Iterator[ast.Name]:
    return (node for node in ast.walk(target) if isinstance(node, ast.Name))


def inserted(site: Site, node: ast.AST, text: str) -> Rewrite | None:
    """The text behind a node."""
    from graphfix.source.rewrite import CannotRewrite, edits_between

    module = site.module
    assert isinstance(node, ast.expr | ast.arg)
    line, column = node.end_lineno or 0, module.character(node.end_lineno or 0, node.end_col_offset or 0)
    lines = module.text.split("\n")
    at = sum(len(one) + 1 for one in lines[: line - 1]) + column
    new = module.text[:at] + text + module.text[at:]
    try:
        return Rewrite(tuple(edits_between(module, new)))
    except CannotRewrite:
        return None


def with_count(
    site: Site, call: ast.Call, keyword: str, default: str, tensor: str, counts: Iterator[tuple[str, str]]
) -> Iterator[Rewrite | None]:
    """The call with a number handed in where Dynamo compiles, once for each number that `tensor` may equal."""
    statement = statement_of(site.module, call)
    last = max([*call.args, *(one.value for one in call.keywords)], key=_end, default=None)
    if statement is None or isinstance(statement, ast.While) or last is None or "{" in tensor or '"' in tensor:
        return
    torch = import_name(site.module, call) or "torch"
    for count, besides in itertools.islice(counts, OFFERS):
        condition = f"{besides} and {tensor} == {count}" if besides else f"{tensor} == {count}"
        assumption = Assumption(site.module.path, statement.lineno, condition)
        if not site.may_hold(assumption):
            continue
        said = f"graphfix: {tensor} is not {count}"
        guard = replace(site, dual=True).before(statement, f'{{torch}}._assert_async({tensor} == {count}, "{said}")')
        value = f"{count} if {torch}.compiler.is_compiling() else {default}"
        both = site.together(guard, inserted(site, last, f", {keyword}={value}"))
        yield None if both is None else replace(both, assumption=assumption)


def _end(node: ast.expr) -> tuple[int, int]:
    return (node.end_lineno or 0, node.end_col_offset or 0)


_COUNTS = re.compile(r"(^|_)(n|k|num|count|classes|vocab|experts?|labels|size|dim|bins|tokens|embeddings)(_|$)")


def class_counts(module: Module, node: ast.AST, tensor: ast.expr) -> Iterator[tuple[str, str]]:
    """Numbers of classes that the code around a node names, the likeliest first, each with what has to hold besides."""
    function = module.function_of(node)
    owner = next((one for one in module.parents(node) if isinstance(one, ast.ClassDef)), None)
    found: list[str] = []
    if function is not None:
        named = [arg.arg for arg in _arguments(function)] + [name.id for name in _names(function)]
        own = {part.id for part in ast.walk(tensor) if isinstance(part, ast.Name)}
        found += [name for name in named if _COUNTS.search(name) and name not in own]
        for call in (one for one in ast.walk(function) if isinstance(one, ast.Call)):
            called = ast.unparse(call.func)
            if called.startswith("self.") and called.count(".") == 1:
                found += [f"{called}.num_embeddings", f"{called}.out_features"]
    for part in ast.walk(owner) if owner is not None else ():
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "self":
            found += [f"self.{part.attr}"] if _COUNTS.search(part.attr) else []
    found = sorted(dict.fromkeys(found), key=lambda text: not re.search("class|num|label|expert|vocab", text))
    yield from ((text, f"isinstance({text}, int)") for text in found)
    statement = statement_of(module, node)
    if statement is not None:
        yield from candidates(module, statement, statement, tensor)
