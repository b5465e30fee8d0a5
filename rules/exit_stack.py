"""GF520: contexts entered through an `ExitStack`."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import FUNCTIONS, Module
from graphfix.source.text import literal

_LONGEST = 120


class ExitStack(Rule):
    """What it does:
        Lists the contexts that a block enters at its start in the block's own `with`, instead of entering them through
        an `ExitStack`. Those entered on a condition become `… if condition else contextlib.nullcontext()`.

    Why it breaks the graph:
        Dynamo traces `ExitStack`, and with it the `__enter__` of the context itself, which it cannot for torch's own
        contexts and `nullcontext` (GB0007, GB0147, GB0156, GB0467). It skips the whole function then, since it cannot
        go on inside the block. In a `with` it knows these contexts.

    Example:
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            if amp:
                stack.enter_context(torch.autocast("cpu"))
            return self.net(x)

        with torch.no_grad(), torch.autocast("cpu") if amp else contextlib.nullcontext():
            return self.net(x)

    Safety:
        Exact. Contexts and conditions are evaluated and entered in the same order, and left in the opposite one, after
        an error in the block or in one that is entered later as well. A stack with a name that anything else uses, to
        enter a context later, to call something at its end or to hand it on, is left alone.
    """

    code, name = "GF520", "exit-stack"
    title = "list the contexts in the with statement"
    safety = Safety.EXACT
    repairs = frozenset({"GB0007", "GB0147", "GB0156", "GB0467"})

    def rewrite(self, site: Site) -> Rewrite | None:
        block = next((one for one in (site.node, *site.module.parents(site.node)) if _stack(site.module, one)), None)
        stack = _stack(site.module, block)
        if block is None or stack is None:
            return None
        assert isinstance(block, ast.With)
        entered = _entered(block, stack)
        rest = block.body[len(entered) :]
        if not entered or not rest or not any(_holds(one.statement, site.node) for one in entered):
            return None
        if _is_used(site.module, block, stack, {id(call.owner) for one in entered for call in one.calls}):
            return None
        return _listed(site, block, entered, rest)

    cases = (
        Rewrites(
            before="""
                from contextlib import ExitStack
                import torch

                def f(x, amp: bool = True):
                    with ExitStack() as stack:  # all at once
                        stack.enter_context(torch.no_grad())
                        # half the bits
                        if amp:
                            stack.enter_context(torch.autocast("cpu"))
                        # the product
                        y = x @ x

                        return y + 1  # shifted
            """,
            after="""
                import contextlib
                from contextlib import ExitStack
                import torch

                def f(x, amp: bool = True):
                    # all at once
                    # half the bits
                    with torch.no_grad(), torch.autocast("cpu") if amp else contextlib.nullcontext():
                        # the product
                        y = x @ x

                        return y + 1  # shifted
            """,
            calls=("f(torch.ones(2, 2))", "f(torch.ones(3, 3), amp=False)"),
        ),
        Rewrites(
            before="""
                import contextlib as c
                import torch

                class Frozen(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.net = torch.nn.Linear(3, 3)

                    def forward(self, x, *, train: bool = False):
                        with torch.autocast("cpu", enabled=False), c.ExitStack() as opened:
                            scale = opened.enter_context(c.nullcontext(x.mean()))
                            if train:
                                opened.enter_context(torch.enable_grad())
                            else:
                                opened.enter_context(torch.no_grad())
                            for _ in range(2):
                                x = self.net(x) * scale
                        return x

                f = Frozen()
            """,
            after="""
                import contextlib as c
                import torch

                class Frozen(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.net = torch.nn.Linear(3, 3)

                    def forward(self, x, *, train: bool = False):
                        with (
                            torch.autocast("cpu", enabled=False),
                            c.nullcontext(x.mean()) as scale,
                            torch.enable_grad() if train else torch.no_grad(),
                        ):
                            for _ in range(2):
                                x = self.net(x) * scale
                        return x

                f = Frozen()
            """,
            calls=("f(torch.ones(2, 3))", "f(torch.ones(3, 3), train=True)"),
        ),
        Rewrites(
            before="""
                from contextlib import ExitStack as Stack, nullcontext
                import torch

                def attend(q, kernels=None):
                    with Stack() as s:
                        s.enter_context(torch.nn.attention.sdpa_kernel(kernels) if kernels else nullcontext())
                        out = torch.nn.functional.scaled_dot_product_attention(q, q, q)
                    return out

                def f(q):
                    return attend(q, [torch.nn.attention.SDPBackend.MATH]) + attend(q)
            """,
            after="""
                from contextlib import ExitStack as Stack, nullcontext
                import torch

                def attend(q, kernels=None):
                    with torch.nn.attention.sdpa_kernel(kernels) if kernels else nullcontext():
                        out = torch.nn.functional.scaled_dot_product_attention(q, q, q)
                    return out

                def f(q):
                    return attend(q, [torch.nn.attention.SDPBackend.MATH]) + attend(q)
            """,
            calls=("f(torch.ones(1, 2, 4))", "f(torch.ones(1, 3, 4))"),
        ),
        Leaves(
            source="""
                from contextlib import ExitStack
                import torch

                def f(x):
                    with ExitStack() as stack:
                        stack.enter_context(torch.no_grad())
                        stack.callback(print, end="")
                        y = x.sin()
                    return y
            """,
            calls=("f(torch.ones(2))",),
        ),
        Leaves(
            source="""
                from contextlib import ExitStack
                import torch

                def autocast(stack):
                    stack.enter_context(torch.autocast("cpu"))

                def f(x):
                    with ExitStack() as stack:
                        stack.enter_context(torch.no_grad())
                        autocast(stack)
                        return x @ x
            """,
            calls=("f(torch.ones(2, 2))",),
        ),
        Leaves(
            source="""
                from contextlib import ExitStack
                import torch

                def f(x, modes):
                    with ExitStack() as stack:
                        for mode in modes:
                            stack.enter_context(mode())
                        return x.sin()
            """,
            calls=("f(torch.ones(2), [torch.no_grad])",),
        ),
        Leaves(
            source="""
                import torch

                class ExitStack:
                    def __enter__(self):
                        return self

                    def __exit__(self, *error):
                        return None

                    def enter_context(self, context):
                        torch._dynamo.graph_break()
                        return context

                def f(x):
                    with ExitStack() as stack:
                        stack.enter_context(torch.no_grad())
                        return x.sin()
            """,
            calls=("f(torch.ones(2, requires_grad=True))",),
        ),
    )


@dataclass(frozen=True)
class _Call:
    """`name = stack.enter_context(context)`, or without a name."""

    owner: ast.expr
    context: ast.expr
    name: str = ""


@dataclass(frozen=True)
class _Entered:
    """A statement that enters a context, one of two, or one on a condition."""

    statement: ast.stmt
    calls: tuple[_Call, ...]
    test: ast.expr | None = None


def _stack(module: Module, block: ast.AST | None) -> str | None:
    """The name of the stack of `with …, ExitStack() as stack:`."""
    if not isinstance(block, ast.With):
        return None
    last = block.items[-1]
    made, name = last.context_expr, last.optional_vars
    if not isinstance(made, ast.Call) or made.args or made.keywords or not isinstance(name, ast.Name):
        return None
    return name.id if module.analysis.meaning(made.func) == "contextlib.ExitStack" else None


def _entered(block: ast.With, stack: str) -> list[_Entered]:
    """The statements at the start of the block that only enter contexts."""
    found = []
    for statement in block.body:
        if (one := _entry(statement, stack)) is None:
            break
        found.append(one)
    return found


def _entry(statement: ast.stmt, stack: str) -> _Entered | None:
    if (call := _enter_call(statement, stack)) is not None:
        return _Entered(statement, (call,))
    if not isinstance(statement, ast.If) or len(statement.body) != 1 or len(statement.orelse) > 1:
        return None
    calls = [_enter_call(one, stack) for one in (*statement.body, *statement.orelse)]
    sure = tuple(call for call in calls if call is not None and not call.name)
    return _Entered(statement, sure, statement.test) if len(sure) == len(calls) else None


def _enter_call(statement: ast.stmt, stack: str) -> _Call | None:
    """What `stack.enter_context(…)` enters, and the name it gets."""
    name = ""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        name = statement.targets[0].id
    elif not isinstance(statement, ast.Expr):
        return None
    call = statement.value
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr != "enter_context":
        return None
    owner = call.func.value
    plain = len(call.args) == 1 and not call.keywords and not isinstance(call.args[0], ast.Starred)
    return _Call(owner, call.args[0], name) if plain and isinstance(owner, ast.Name) and owner.id == stack else None


def _holds(statement: ast.stmt, node: ast.AST) -> bool:
    return any(part is node for part in ast.walk(statement))


def _is_used(module: Module, block: ast.With, stack: str, known: set[int]) -> bool:
    """Whether anything but the calls known uses the stack's name; whatever can, outside of functions."""
    function = next((one for one in module.parents(block) if isinstance(one, (*FUNCTIONS, ast.ClassDef))), None)
    if function is None or isinstance(function, ast.ClassDef):
        return True
    known = {*known, id(block.items[-1].optional_vars)}
    return any(
        (isinstance(node, ast.Name) and node.id == stack and id(node) not in known)
        or (isinstance(node, ast.Global | ast.Nonlocal) and stack in node.names)
        for node in ast.walk(function)
    )


def _listed(site: Site, block: ast.With, entered: list[_Entered], rest: list[ast.stmt]) -> Rewrite | None:
    """The block with its contexts in one line, or each in its own where that is too long."""
    parts: dict[str, ast.AST | list[ast.stmt]] = {"rest": rest}
    items, texts = [], []

    def slot(node: ast.expr) -> str:
        parts[f"p{len(parts)}"] = node
        texts.append(site.module.segment(node))
        return f"{{p{len(parts) - 1}}}"

    for item in block.items[:-1]:
        name = f" as {literal(site.module.segment(item.optional_vars))}" if item.optional_vars else ""
        items.append(slot(item.context_expr) + name)
    for one in entered:
        text = slot(one.calls[0].context) + (f" as {one.calls[0].name}" if one.calls[0].name else "")
        if one.test is not None:
            text += f" if {slot(one.test)} else "
            text += slot(one.calls[1].context) if len(one.calls) > 1 else "{contextlib}.nullcontext()"
        items.append(text)
    line = f"with {', '.join(items)}:"
    length = block.col_offset + len(line) + sum(len(text) - len("{p0}") for text in texts)
    if length > _LONGEST or any("\n" in text for text in texts):
        line = "\n".join(["with (", *(f"    {item}," for item in items), "):"])
    return site.replace(block, f"{line}\n    {{rest}}", **parts)
