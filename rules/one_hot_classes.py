"""GF409: `one_hot` without a number of classes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._lengths import class_counts, with_count
from ._match import dotted, is_pure


class OneHotClasses(Rule):
    """What it does:
        Hands `one_hot` the number of classes that the code knows, where Dynamo compiles: an attribute, the size of an
        embedding or of a layer's output, a dimension.

    Why it breaks the graph:
        Without a number, `one_hot` looks for the largest class in the tensor (GB0246).

    Example:
        F.one_hot(labels)

        if torch.compiler.is_compiling():
            torch._assert_async(labels.max() + 1 == self.classes, "graphfix: labels.max() + 1 is not self.classes")
        F.one_hot(labels, num_classes=self.classes if torch.compiler.is_compiling() else -1)

    Safety:
        Eager code does what it did. Compiled code asserts that the largest class is the last one, since the shape would
        differ else. Offered only where that held on every call of the target.
    """

    code, name = "GF409", "one-hot-classes"
    title = "say how many classes there are"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0246"})
    dual = True

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        call = site.node
        if not site.dual or not isinstance(call, ast.Call) or dotted(call.func).rpartition(".")[2] != "one_hot":
            return
        given = (
            call.args[0] if call.args else next((k.value for k in call.keywords if k.arg in ("tensor", "input")), None)
        )
        if given is None or len(call.args) > 1 or any(k.arg == "num_classes" for k in call.keywords):
            return
        if is_pure(given):
            tensor = f"{ast.unparse(given)}.max() + 1"
            yield from with_count(site, call, "num_classes", "-1", tensor, class_counts(site.module, call, given))

    cases = (
        Rewrites(
            before="""
                import torch
                import torch.nn.functional as F

                class Head(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.classes = 4

                    def forward(self, x, labels):
                        return F.one_hot(labels) * x

                f = Head()
            """,
            after="""
                import torch
                import torch.nn.functional as F

                class Head(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.classes = 4

                    def forward(self, x, labels):
                        if torch.compiler.is_compiling():
                            torch._assert_async(labels.max() + 1 == self.classes, "graphfix: labels.max() + 1 is not self.classes")
                        return F.one_hot(labels, num_classes=self.classes if torch.compiler.is_compiling() else -1) * x

                f = Head()
            """,  # noqa: E501
            calls=("f(torch.ones(1), torch.tensor([3, 0]))", "f(torch.ones(4), torch.tensor([1, 2, 3]))"),
        ),
        Rewrites(
            before="""
                import torch
                from torch.nn.functional import one_hot

                def f(y, n_bins: int):
                    # a histogram
                    return one_hot(y.long()).sum(0) / n_bins
            """,
            after="""
                import torch
                from torch.nn.functional import one_hot

                def f(y, n_bins: int):
                    # a histogram
                    if torch.compiler.is_compiling():
                        torch._assert_async(y.long().max() + 1 == n_bins, "graphfix: y.long().max() + 1 is not n_bins")
                    return one_hot(y.long(), num_classes=n_bins if torch.compiler.is_compiling() else -1).sum(0) / n_bins
            """,  # noqa: E501
            calls=("f(torch.tensor([2.0, 0.0]), 3)", "f(torch.tensor([1.0, 4.0]), 5)"),
        ),
        Rewrites(
            before="""
                import torch

                class Picks(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.t = torch.nn.Embedding(3, 2)

                    def forward(self, ids):
                        hot = torch.nn.functional.one_hot(ids)
                        return self.t(ids).sum() + hot.sum(0)

                f = Picks()
            """,
            after="""
                import torch

                class Picks(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.t = torch.nn.Embedding(3, 2)

                    def forward(self, ids):
                        if torch.compiler.is_compiling():
                            torch._assert_async(ids.max() + 1 == self.t.num_embeddings, "graphfix: ids.max() + 1 is not self.t.num_embeddings")
                        hot = torch.nn.functional.one_hot(ids, num_classes=self.t.num_embeddings if torch.compiler.is_compiling() else -1)
                        return self.t(ids).sum() + hot.sum(0)

                f = Picks()
            """,  # noqa: E501
            calls=("f(torch.tensor([2, 0]))", "f(torch.tensor([1, 2, 2]))"),
        ),
        Leaves(
            source="""
                import torch

                def f(y):
                    return torch.nn.functional.one_hot(y, 5)
            """,
            calls=("f(torch.tensor([2, 0]))",),
        ),
        Leaves(
            source="""
                import torch

                def f(y):
                    return torch.nn.functional.one_hot(y)
            """,
            calls=("f(torch.tensor([2, 0]))",),
        ),
    )
