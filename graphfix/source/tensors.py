"""What the text alone makes certain to be a tensor: annotations, torch results, and what is computed from them."""

from __future__ import annotations

import ast

from graphfix.source.module import FUNCTIONS, Module
from graphfix.source.names import binders, module_torch, scopes

_BOTH = frozenset(
    """
    abs add all amax amin any argmax argmin bmm clamp clamp_max clamp_min clone cos count_nonzero cumprod cumsum
    detach diag diff div eq exp expand_as flatten flip floor fmod gather ge gt index_select isfinite isinf isnan le log
    log10 log1p log2 log_softmax logical_and logical_not logical_or logical_xor logsumexp lt masked_fill
    masked_select matmul mean minimum maximum mm mul ne neg nan_to_num norm permute pow prod reciprocal relu
    remainder repeat_interleave reshape roll round rsqrt scatter scatter_add sigmoid sign sin softmax sqrt square
    squeeze std sub sum t take tan tanh tile transpose tril triu trunc unsqueeze var
    """.split()
)
"""Both functions of `torch` and methods of a tensor: they return one tensor whatever their arguments."""

_FUNCTIONS = _BOTH | frozenset(
    """
    arange as_tensor cat concat einsum empty empty_like eye from_numpy full full_like hstack linspace logspace ones
    ones_like rand rand_like randint randint_like randn randn_like randperm stack tensor vstack zeros zeros_like
    """.split()
)
_METHODS = _BOTH | frozenset(
    """
    bfloat16 bool byte char contiguous cpu cuda double expand float half int long new_empty new_full new_ones
    new_tensor new_zeros repeat short to type_as unfold view view_as
    """.split()
)
_TENSOR_ATTRIBUTES = frozenset({"T", "mT", "H", "mH", "data", "real", "imag"})
_CLASSES = ("Tensor", "FloatTensor", "LongTensor", "BoolTensor", "IntTensor", "HalfTensor", "DoubleTensor")


def is_tensor(module: Module, node: ast.expr, depth: int = 32) -> bool:
    """Whether the expression is a tensor for certain. Follows names within their function only, `depth` steps deep."""
    return _Certain(module).holds(node, depth, frozenset())


class _Certain:
    """`names` are those taken for tensors while the values given to them are looked at: what keeps a tensor one."""

    def __init__(self, module: Module) -> None:
        self._module = module

    def holds(self, node: ast.expr, depth: int, names: frozenset[str]) -> bool:
        if depth == 0:
            return False
        if isinstance(node, ast.Name):
            return node.id in names or self._name(node, depth - 1, names)
        if isinstance(node, ast.Call):
            return self._call(node, depth - 1, names)
        if isinstance(node, ast.Compare):
            return self._compare(node, depth - 1, names)
        if isinstance(node, ast.BinOp):
            left = self.holds(node.left, depth - 1, names)
            return left or (_is_number(node.left) and self.holds(node.right, depth - 1, names))
        if isinstance(node, ast.UnaryOp):
            return not isinstance(node.op, ast.Not) and self.holds(node.operand, depth - 1, names)
        if isinstance(node, ast.IfExp):
            return all(self.holds(arm, depth - 1, names) for arm in (node.body, node.orelse))
        if isinstance(node, ast.Attribute) and node.attr not in _TENSOR_ATTRIBUTES:
            return False
        return isinstance(node, ast.Subscript | ast.Attribute) and self.holds(node.value, depth - 1, names)

    def _call(self, node: ast.Call, depth: int, names: frozenset[str]) -> bool:
        if not isinstance(node.func, ast.Attribute):
            return False
        owner, name = node.func.value, node.func.attr
        if isinstance(owner, ast.Name) and self._is_torch(owner):
            if name in ("max", "min"):
                return len(node.args) == 1 and not node.keywords
            return name in _FUNCTIONS or (name == "where" and len(node.args) == 3)
        if name in ("max", "min"):
            returns = not node.args and not node.keywords
        else:
            returns = name in _METHODS or (name == "where" and len(node.args) == 2)
            returns = returns or (name.endswith("_") and not name.startswith("_"))
        return returns and self.holds(owner, depth, names)

    def _compare(self, node: ast.Compare, depth: int, names: frozenset[str]) -> bool:
        """One comparison by value, not with None or a text, which a tensor answers by False."""
        if len(node.ops) != 1 or isinstance(node.ops[0], ast.Is | ast.IsNot | ast.In | ast.NotIn):
            return False
        sides = (node.left, node.comparators[0])
        if any(isinstance(side, ast.Constant) and not _is_number(side) for side in sides):
            return False
        return any(self.holds(side, depth, names) for side in sides)

    def _name(self, node: ast.Name, depth: int, names: frozenset[str]) -> bool:
        scope = next((s for s in scopes(self._module, node) if any(binders(s, node.id))), None)
        if not isinstance(scope, FUNCTIONS) or scope is not self._module.function_of(node):
            return False
        if any(node.id in one.names for one in ast.walk(scope) if isinstance(one, ast.Nonlocal)):
            return False
        return all(self._gives(one, depth, names | {node.id}) for one in binders(scope, node.id))

    def _gives(self, binder: ast.AST, depth: int, names: frozenset[str]) -> bool:
        """Whether a binder gives its name a tensor; not so loops, `with`, unpacking, imports and the like."""
        parent = next(self._module.parents(binder), None)
        if isinstance(binder, ast.arg):
            return isinstance(parent, ast.arguments) and self._parameter(parent, binder)
        if isinstance(parent, ast.Assign) and binder in parent.targets:
            return self.holds(parent.value, depth, names)
        if isinstance(parent, ast.AnnAssign) and parent.value is None:
            return True  # a mere annotation gives nothing
        if isinstance(parent, ast.AnnAssign | ast.NamedExpr):
            return parent.value is not None and self.holds(parent.value, depth, names)
        return isinstance(parent, ast.AugAssign)  # what was a tensor before stays one

    def _parameter(self, all_: ast.arguments, parameter: ast.arg) -> bool:
        """Annotated as a tensor, with no default but a tensor; neither `*args` nor `**kwargs`."""
        if parameter in (all_.vararg, all_.kwarg) or parameter.annotation is None:
            return False
        plain = [*all_.posonlyargs, *all_.args]
        defaults = dict(zip(reversed(plain), reversed(all_.defaults), strict=False))
        defaults |= {one: value for one, value in zip(all_.kwonlyargs, all_.kw_defaults, strict=True) if value}
        return parameter not in defaults and self._is_class(parameter.annotation)

    def _is_class(self, annotation: ast.expr) -> bool:
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            text = annotation.value
        else:
            text = ast.unparse(annotation)
        owner, _, name = text.rpartition(".")
        if owner:
            return name in _CLASSES and owner == module_torch(self._module)
        imports = [node for node in self._module.tree.body if isinstance(node, ast.ImportFrom)]
        found = [(node.module, a.name) for node in imports for a in node.names if (a.asname or a.name) == name]
        return bool(found) and found[-1][0] == "torch" and found[-1][1] in _CLASSES

    def _is_torch(self, owner: ast.Name) -> bool:
        taken = any(any(binders(scope, owner.id)) for scope in scopes(self._module, owner))
        return owner.id == module_torch(self._module) and not taken


def _is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub | ast.UAdd) and _is_number(node.operand)
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float | complex)


def is_compiled(module: Module, node: ast.AST) -> bool:
    """Whether the node runs inside a compiled region for all that the file shows.

    That is: in `forward` of a class derived from something named `…Module`, or under a `torch.compile` decorator.
    """
    for parent in module.parents(node):
        if isinstance(parent, FUNCTIONS):
            if any("compile" in ast.unparse(decorator) for decorator in parent.decorator_list):
                return True
            owner = next(module.parents(parent), None)
            if parent.name == "forward" and isinstance(owner, ast.ClassDef):
                return any(ast.unparse(base).endswith("Module") for base in owner.bases)
    return False
