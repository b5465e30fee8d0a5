"""GF215: a branch on a tensor of which compiled code can run one way only."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._chain import elifs_above
from ._condition import Build, branch_of, negated

_NEEDS_HOST = frozenset({"item", "tolist", "nonzero", "unique", "numpy"})


class AssumedBranch(Rule):
    """What it does:
        Lets compiled code take the way of a branch that it can compile, where the other one needs values on the host
        (it loops by a tensor, or reads numbers), and asserts on the device that this is the right way.

    Why it breaks the graph:
        Which way to go is known at run time only, so Dynamo ends the graph and lets Python decide (GB0170, GB0124).
        The other way could not be in a graph at all.

    Example:
        if (lengths > limit).any():
            return self.in_windows(x, lengths)
        return self.encode(x)

        if torch.compiler.is_compiling():
            torch._assert_async(~(lengths > limit).any(), "graphfix: this input needs …")
        elif (lengths > limit).any():
            return self.in_windows(x, lengths)
        return self.encode(x)

    Safety:
        Unsafe: where the other way is needed, compiled code raises RuntimeError (on a GPU at the next point where the
        host waits) instead of going it. Eager is unchanged. Call the uncompiled function for such inputs.
    """

    code, name = "GF215", "assumed-branch"
    title = "compile one way of the branch, and assert that it is the right one"
    safety = Safety.UNSAFE
    repairs = frozenset({"GB0170", "GB0124"})

    def rewrite(self, site: Site) -> Rewrite | None:
        branch = branch_of(site, ast.If)
        if not isinstance(branch, ast.If) or elifs_above(site.module, branch):
            return None
        if not _leaves(branch.body) or not _needs_host(site, branch.body):
            return None
        build = Build(site.module, site.node)
        decision = negated(build, branch.test)
        if decision is None or any(isinstance(part, ast.NamedExpr) for part in ast.walk(branch.test)):
            return None
        message = '"graphfix: this input needs a way that was not compiled"'
        check = build.wrapped(f"{{torch}}._assert_async({decision.tensor}, {message})")
        guarded = "".join(f"    {line}\n" for line in decision.guard(build, check).splitlines())
        text = f"if {{torch}}.compiler.is_compiling():\n{guarded}"
        text += f"elif {build.slot(branch.test)}:\n    {build.slot(branch.body)}\n"
        if branch.orelse:
            text += f"{build.slot(branch.orelse)}\n"
        return build.put(site, branch, text, branch.test)

    cases = (
        Rewrites(
            before="""
                import torch

                class Tokenizer(torch.nn.Module):
                    def encode(self, x):
                        return x.cumsum(-1)

                    def in_windows(self, x, lengths):
                        parts = [row[: n.item()] for row, n in zip(x, lengths)]
                        return torch.stack([part.sum() for part in parts])

                    def forward(self, x, lengths, limit: int = 9):
                        too_long = lengths > limit
                        if too_long.any():
                            # in parts
                            return self.in_windows(x, lengths)
                        else:
                            hidden = self.encode(x)
                            return hidden * 2

                f = Tokenizer()
            """,
            after="""
                import torch

                class Tokenizer(torch.nn.Module):
                    def encode(self, x):
                        return x.cumsum(-1)

                    def in_windows(self, x, lengths):
                        parts = [row[: n.item()] for row, n in zip(x, lengths)]
                        return torch.stack([part.sum() for part in parts])

                    def forward(self, x, lengths, limit: int = 9):
                        too_long = lengths > limit
                        if torch.compiler.is_compiling():
                            torch._assert_async(
                                ~too_long.any(),
                                "graphfix: this input needs a way that was not compiled",
                            )
                        elif too_long.any():
                            # in parts
                            return self.in_windows(x, lengths)
                        hidden = self.encode(x)
                        return hidden * 2

                f = Tokenizer()
            """,
            calls=("f(torch.ones(2, 3), torch.tensor([2, 3]))", "f(torch.ones(2, 4), torch.tensor([2, 4]))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, mask, strict: bool = True):
                    if strict and not mask.all():
                        kept = x[mask]
                        return kept.new_full((len(x),), kept.tolist()[0])
                    return x * 2
            """,
            after="""
                import torch

                def f(x, mask, strict: bool = True):
                    if torch.compiler.is_compiling():
                        if strict:
                            torch._assert_async(mask.all(), "graphfix: this input needs a way that was not compiled")
                    elif strict and not mask.all():
                        kept = x[mask]
                        return kept.new_full((len(x),), kept.tolist()[0])
                    return x * 2
            """,
            calls=("f(torch.ones(3), torch.ones(3, dtype=torch.bool))", "f(torch.ones(4), torch.ones(4) > 0, False)"),
        ),
        Rewrites(
            before="""
                import torch

                def slowly(x):
                    total = 0.0
                    for value in x.tolist():
                        total += value
                    return x + total

                def f(x):
                    if x.isnan().sum().item() > 0:
                        return slowly(x)
                    y = x.relu()
                    return y + 1
            """,
            after="""
                import torch

                def slowly(x):
                    total = 0.0
                    for value in x.tolist():
                        total += value
                    return x + total

                def f(x):
                    if torch.compiler.is_compiling():
                        torch._assert_async(
                            ~(x.isnan().sum() > 0),
                            "graphfix: this input needs a way that was not compiled",
                        )
                    elif x.isnan().sum().item() > 0:
                        return slowly(x)
                    y = x.relu()
                    return y + 1
            """,
            calls=("f(torch.ones(3))", "f(-torch.ones(4))"),
        ),
        Leaves(
            source="""
                def f(x):
                    if x.sum() < 0:
                        return x - 1
                    return x + 1
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                def f(x):
                    if x.sum() < 0:
                        x = x * x.max().item()
                    return x + 1
            """,
            calls=("f(torch.ones(3))",),
        ),
    )


def _leaves(body: Sequence[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Return) and body[-1].value is not None


def _needs_host(site: Site, body: Sequence[ast.stmt]) -> bool:
    """Whether a way, or a function of this module that it calls, reads values from tensors or masks by them."""
    seen: set[ast.AST] = set()
    todo: list[ast.AST] = list(body)
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        for part in ast.walk(node):
            if isinstance(part, ast.Attribute) and part.attr in _NEEDS_HOST:
                return True
            if isinstance(part, ast.While) and not isinstance(part.test, ast.Constant):
                return True
            if isinstance(part, ast.Call):
                todo += _called(site, part)
    return False


def _called(site: Site, call: ast.Call) -> list[ast.AST]:
    """The functions of this module that a call may mean, by their name."""
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    own = isinstance(call.func, ast.Name) or (
        isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "self"
    )
    functions = [node for node in ast.walk(site.module.tree) if isinstance(node, ast.FunctionDef)]
    return [node for node in functions if own and node.name == name]
