"""GF114: `torch.equal(a, b)`, `torch.allclose(a, b)` and `v in t`, whose truth goes on into tensors or an assert."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.values import Kind

from ._match import dotted, is_pure
from ._reads import number_around
from ._uses import may_be_tensor, use_of


class EqualAsBool(Rule):
    """What it does:
        Compares tensors into a tensor of truth, where `torch.equal`, `torch.allclose` or `in` gave a Python bool that
        only goes on into computations or an assert.

    Why it breaks the graph:
        The bool is known at run time only (GB0033, GB0124), so Dynamo ends the graph.

    Example:
        assert torch.allclose(total, torch.ones_like(total))

        assert torch.isclose(total, torch.ones_like(total)).all()

    Safety:
        Proven. The truth is the same; a run must show that what takes it takes a tensor.
    """

    code, name = "GF114", "equal-as-bool"
    title = "compare into a tensor, not into a Python bool"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0033", "GB0124"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module, node = site.module, site.node
        if not isinstance(node, ast.Call | ast.Compare):
            return None
        whole = number_around(module, node)
        if use_of(module, whole) == "host" and whole is node:
            return None
        if not may_be_tensor(module, whole, (node,)):
            return None
        if isinstance(node, ast.Compare):
            return _contained(site, node)
        if node.args and any(isinstance(one, ast.Starred) for one in node.args):
            return None
        name = module.analysis.meaning(node.func)
        if isinstance(node.func, ast.Attribute) and not name.startswith("torch.") and len(node.args) == 1:
            name, given = f"torch.{node.func.attr}", [node.func.value, *node.args]
        else:
            given = list(node.args)
        if len(given) < 2:
            return None
        parts: dict[str, ast.AST] = {"one": given[0], "other": given[1]}
        if name == "torch.equal" and not node.keywords and all(map(is_pure, given)):
            return site.replace(node, "{one}.shape == {other}.shape and ({one} == {other}).all()", **parts)
        if name != "torch.allclose":
            return None
        more = ["{one}", "{other}"]
        for number, one in enumerate(given[2:]):
            parts[f"more{number}"] = one
            more.append(f"{{more{number}}}")
        for keyword in node.keywords:
            parts[f"named_{keyword.arg}"] = keyword.value
            more.append(f"{keyword.arg}={{named_{keyword.arg}}}")
        return site.replace(node, f"{{torch}}.isclose({', '.join(more)}).all()", **parts)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x):
                    total = x.softmax(-1).sum(-1)
                    assert torch.allclose(total, torch.ones_like(total), atol=1e-4)
                    return x * 2
            """,
            after="""
                import torch

                def f(x):
                    total = x.softmax(-1).sum(-1)
                    assert torch.isclose(total, torch.ones_like(total), atol=1e-4).all()
                    return x * 2
            """,
            calls=("f(torch.arange(4.0))", "f(torch.ones(2, 3))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, y):
                    same = torch.equal(x, y)
                    return x * same + x.mul(y).allclose(y)
            """,
            after="""
                import torch

                def f(x, y):
                    same = x.shape == y.shape and (x == y).all()
                    return x * same + torch.isclose(x.mul(y), y).all()
            """,
            calls=("f(torch.arange(4.0), torch.ones(4))",),
        ),
        Rewrites(
            before="""
                def f(x, tokens):
                    found = 3 in tokens
                    return x + 2 * found
            """,
            after="""
                def f(x, tokens):
                    found = (tokens == 3).any()
                    return x + 2 * found
            """,
            calls=("f(torch.arange(4.0), torch.tensor([1, 3]))", "f(torch.ones(4), torch.tensor([1, 2]))"),
        ),
        Leaves(
            source="""
                import torch

                def f(x, y):
                    if torch.equal(x, y):
                        return x + 1
                    return x * 2
            """,
            calls=("f(torch.arange(4.0), torch.ones(4))",),
        ),
        Leaves(
            source="""
                def f(x, tokens):
                    return [x * 2, 3 in tokens]
            """,
            calls=("f(torch.arange(4.0), torch.tensor([1, 3]))",),
        ),
    )


def _contained(site: Site, node: ast.Compare) -> Rewrite | None:
    if len(node.ops) != 1 or not isinstance(node.ops[0], ast.In | ast.NotIn):
        return None
    tensor, value = node.comparators[0], node.left
    if site.module.analysis.value(tensor).kind not in (Kind.TENSOR, Kind.UNKNOWN) or not dotted(tensor):
        return None
    test = "({tensor} == {value}).any()" if isinstance(node.ops[0], ast.In) else "({tensor} != {value}).all()"
    return site.replace(node, test, tensor=tensor, value=value)
