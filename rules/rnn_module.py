"""GF500: a recurrent layer in compiled code."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Finds, Leaves, Rule, Safety, Site
from graphfix.source.module import Module

_LAYERS = frozenset({"torch.nn.LSTM", "torch.nn.GRU", "torch.nn.RNN"})


class RnnModule(Rule):
    """What it does:
        Finds calls of `nn.LSTM`, `nn.GRU` and `nn.RNN` layers. It repairs nothing.

    Why it breaks the graph:
        Dynamo does not trace these layers (GB0014): it skips the whole function that calls one, so that nothing else in
        it is captured either. `torch._dynamo.config.allow_rnn` lets it, where the layers are small.

    Example:
        out, state = self.lstm(x)

    Safety:
        Nothing is changed. A person can move the call into a function of its own, so that the rest is captured.
    """

    code, name = "GF500", "rnn-module"
    title = "calls a recurrent layer, which Dynamo does not trace"
    safety = Safety.UNSAFE
    names = frozenset({"GB0014"})
    marks = ("LSTM", "GRU", "RNN")

    def find(self, module: Module) -> Iterator[Site]:
        for node in module.analysis.nodes(ast.Call):
            assert isinstance(node, ast.Call)
            if module.analysis.layer(node.func) in _LAYERS:
                yield Site(module, node)

    cases = (
        Finds(
            source="""
                import torch
                from torch import nn

                class Encoder(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.proj = nn.Linear(4, 4)
                        self.lstm = nn.LSTM(4, 4, batch_first=True)

                    def forward(self, x):
                        x = self.proj(x)
                        out, _ = self.lstm(x)
                        return out * 2

                f = Encoder()
            """,
            lines=(12,),
            calls=("f(torch.ones(1, 3, 4))", "f(torch.ones(1, 5, 4))"),
        ),
        Leaves(
            source="""
                import torch
                from torch import nn

                class Encoder(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.cell = nn.LSTMCell(4, 4)
                        self.name = "LSTM"

                    def forward(self, x):
                        h, c = self.cell(x)
                        return h + c

                f = Encoder()
            """,
            calls=("f(torch.ones(3, 4))",),
        ),
    )
