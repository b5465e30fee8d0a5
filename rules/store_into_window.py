"""GF112: `mask[start:end, start:end] = 0` with bounds that are tensors."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._condition import Build
from ._match import is_pure
from ._numbers import Numbers, index_text
from ._reads import number_around, read_at
from ._windows import are_plain, dim_of, refusal, within


class StoreIntoWindow(Rule):
    """What it does:
        Stores a constant through a mask, where it was stored into a window whose bounds are tensors, in one dimension
        or two beside each other, as the blocks of an attention mask.

    Why it breaks the graph:
        A slice with a bound that is known at run time only has a shape that is known at run time only (GB0124). A mask
        has the shape of the dimension.

    Example:
        mask[:, ends[i - 1] : ends[i]] = 0.0

        row = torch.arange(mask.shape[1], device=mask.device)
        mask[:, (row >= ends[i - 1]) & (row < ends[i])] = 0.0

    Safety:
        Proven. The same elements are written, in place. A negative bound counts from the end, which the mask does not:
        an assert on the device refuses it.
    """

    code, name = "GF112", "store-into-window"
    title = "store through a mask, not into a window of unknown size"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0124", "GB0219", "GB0033"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module, statement = site.module, site.enclosing(ast.Assign)
        place = _place(module, site.node)
        if place is None or statement is None or statement.targets != [place] or not is_pure(place.value):
            return None
        parts: list[ast.expr] = list(place.slice.elts) if isinstance(place.slice, ast.Tuple) else [place.slice]
        windows = [number for number, part in enumerate(parts) if _is_window(part)]
        if not 0 < len(windows) <= 2 or windows[-1] - windows[0] + 1 != len(windows):
            return None
        if not is_pure(place.slice) or not isinstance(statement.value, ast.Constant):
            return None
        if not are_plain(module, parts) or "{" in ast.unparse(place):
            return None
        build, numbers = Build(module, site.node), Numbers(module, keeps_gradient=True)
        lines, masks = list[str](), list[str]()
        for number, wanted in zip(windows, ("row", "column"), strict=False):
            part, name = parts[number], build.fresh(wanted)
            assert isinstance(part, ast.Slice)
            lines.append(
                f"{name} = {{torch}}.arange({{tensor}}.shape[{dim_of(parts, part)}], device={{tensor}}.device)"
            )
            masks.append(within(numbers, name, part))
        mask = masks[0] if len(masks) == 1 else f"({masks[0]})[:, None] & {masks[1]}"
        given: dict[str, ast.AST] = {"tensor": place.value, "value": statement.value, **numbers.parts}
        shown = [mask if number == windows[0] else index_text(part, given) for number, part in enumerate(parts)]
        index = ", ".join(text for number, text in enumerate(shown) if number not in windows[1:])
        asked = build.wrapped(refusal(numbers, place))
        text = "\n".join([*filter(None, [asked]), *lines, f"{{tensor}}[{index}] = {{value}}"])
        return site.replace(statement, f"{text}\n", **given)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x, sizes):
                    block = torch.full((x.shape[0], x.shape[0]), -9.0)
                    ends = sizes.cumsum(-1)
                    for start, end in zip(ends - sizes, ends):
                        # each sees its own
                        block[start:end, start:end] = 0
                    return x + block.softmax(-1)
            """,
            after="""
                import torch

                def f(x, sizes):
                    block = torch.full((x.shape[0], x.shape[0]), -9.0)
                    ends = sizes.cumsum(-1)
                    for start, end in zip(ends - sizes, ends):
                        # each sees its own
                        torch._assert_async(
                            (start >= 0) & (end >= 0),
                            "graphfix: block[start:end, start:end] has a negative bound",
                        )
                        row = torch.arange(block.shape[0], device=block.device)
                        column = torch.arange(block.shape[1], device=block.device)
                        block[((row >= start) & (row < end))[:, None] & (column >= start) & (column < end)] = 0
                    return x + block.softmax(-1)
            """,
            calls=("f(torch.ones(5, 5), torch.tensor([2, 3]))", "f(torch.ones(4, 4), torch.tensor([1, 2]))"),
        ),
        Rewrites(
            before="""
                import torch

                class Blocks(torch.nn.Module):
                    def forward(self, hidden, cu_seqlens):
                        keep = torch.zeros([1, hidden.shape[0], hidden.shape[0]], dtype=torch.bool)
                        for i in range(1, len(cu_seqlens)):
                            keep[..., cu_seqlens[i - 1] : cu_seqlens[i], cu_seqlens[i - 1] : cu_seqlens[i]] = True
                        return hidden @ hidden.T * keep

                f = Blocks()
            """,
            after="""
                import torch

                class Blocks(torch.nn.Module):
                    def forward(self, hidden, cu_seqlens):
                        keep = torch.zeros([1, hidden.shape[0], hidden.shape[0]], dtype=torch.bool)
                        for i in range(1, len(cu_seqlens)):
                            torch._assert_async(
                                (cu_seqlens[i - 1] >= 0) & (cu_seqlens[i] >= 0),
                                "graphfix: keep[..., cu_seqlens[i - 1]:cu_seqlens[i], cu_seqlens[i - 1]:cu_seqlens[i]] has a negative bound",
                            )
                            row = torch.arange(keep.shape[-2], device=keep.device)
                            column = torch.arange(keep.shape[-1], device=keep.device)
                            keep[..., ((row >= cu_seqlens[i - 1]) & (row < cu_seqlens[i]))[:, None] & (column >= cu_seqlens[i - 1]) & (column < cu_seqlens[i])] = True
                        return hidden @ hidden.T * keep

                f = Blocks()
            """,  # noqa: E501
            calls=("f(torch.ones(5, 2), torch.tensor([0, 2, 5]))", "f(torch.ones(4, 3), torch.tensor([0, 3, 4]))"),
        ),
        Leaves(
            source="""
                def f(x, n, value):
                    y = x.clone()
                    y[n : n + 2] = value[:2]
                    return y
            """,
            calls=("f(torch.ones(5), torch.tensor(1), torch.zeros(3))",),
        ),
    )


def _place(module: Module, node: ast.AST) -> ast.Subscript | None:
    """What is stored into, of the slice, the bound or the subscript that Dynamo names."""
    if isinstance(node, ast.expr) and (read := read_at(module, node)) is not None:
        node = number_around(module, read.node)
    for one in (node, *module.parents(node)):
        if isinstance(one, ast.Subscript) and isinstance(one.ctx, ast.Store):
            return one
        if isinstance(one, ast.stmt):
            return None
    return None


def _is_window(part: ast.expr) -> bool:
    """Whether a part of an index is a slice between two bounds."""
    return isinstance(part, ast.Slice) and part.step is None and part.lower is not None and part.upper is not None
