"""GF603: let Dynamo trace recurrent layers."""

from __future__ import annotations

from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._settings import with_setting


class UntracedRnn(Rule):
    """What it does:
        Sets `torch._dynamo.config.allow_rnn` below the imports of the module whose function is compiled.

    Why it breaks the graph:
        Dynamo does not trace `nn.LSTM`, `nn.GRU` and `nn.RNN` (GB0014), since the loop over the steps may become a
        graph as long as the sequence: it skips the function that calls such a layer.

    Example:
        import torch

        torch._dynamo.config.allow_rnn = True

    Safety:
        Unsafe, and only with a proof. It holds for the whole process. On CPU, and wherever the layer is split into its
        steps, each length of a sequence is compiled anew and long ones take minutes; the fused kernel of cuDNN may be
        lost. Measure before you keep it. Importing the module now loads `torch._dynamo`, which takes about a second.
    """

    code, name = "GF603", "untraced-rnn"
    title = "let Dynamo trace recurrent layers"
    safety = Safety.UNSAFE
    repairs = frozenset({"GB0014"})

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        yield from with_setting(site, "allow_rnn = True")

    cases = (
        Rewrites(
            before="""
                import torch
                from torch import nn

                class Encoder(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.lstm = nn.LSTM(4, 4, batch_first=True)

                    def forward(self, x):
                        out, _ = self.lstm(x)
                        return out * 2

                f = Encoder().requires_grad_(False)
            """,
            after="""
                import torch
                from torch import nn

                torch._dynamo.config.allow_rnn = True

                class Encoder(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.lstm = nn.LSTM(4, 4, batch_first=True)

                    def forward(self, x):
                        out, _ = self.lstm(x)
                        return out * 2

                f = Encoder().requires_grad_(False)
            """,
            calls=("f(torch.ones(1, 3, 4))", "f(torch.ones(2, 3, 4))"),
        ),
        Rewrites(
            before="""
                import torch.nn as nn

                class Step(nn.Module):
                    def __init__(self, width: int = 3):
                        super().__init__()
                        self.cell = nn.GRU(width, width, num_layers=2)

                    def forward(self, x, state=None):
                        x = x + 1
                        # one sequence
                        out, state = self.cell(x, state)
                        return out + x, state

                f = Step().eval().requires_grad_(False)
            """,
            after="""
                import torch
                import torch.nn as nn

                torch._dynamo.config.allow_rnn = True

                class Step(nn.Module):
                    def __init__(self, width: int = 3):
                        super().__init__()
                        self.cell = nn.GRU(width, width, num_layers=2)

                    def forward(self, x, state=None):
                        x = x + 1
                        # one sequence
                        out, state = self.cell(x, state)
                        return out + x, state

                f = Step().eval().requires_grad_(False)
            """,
            calls=("f(torch.ones(2, 1, 3))", "f(torch.ones(2, 1, 3), state=torch.zeros(2, 1, 3))"),
        ),
        Rewrites(
            before="""
                import torch

                rnn = torch.nn.RNN(2, 2).requires_grad_(False)

                def f(x):
                    return rnn(x)[0].sum(-1)
            """,
            after="""
                import torch

                torch._dynamo.config.allow_rnn = True

                rnn = torch.nn.RNN(2, 2).requires_grad_(False)

                def f(x):
                    return rnn(x)[0].sum(-1)
            """,
            calls=("f(torch.ones(2, 1, 2))", "f(torch.ones(2, 3, 2))"),
        ),
        Leaves(
            source="""
                import torch

                torch._dynamo.config.allow_rnn = True
                rnn = torch.nn.RNN(2, 2).requires_grad_(False)

                def f(x):
                    return rnn(x)[0] + x.sum().item()
            """,
            calls=("f(torch.ones(2, 1, 2))",),
        ),
        Leaves(
            source="""
                from torch import nn

                cell = nn.LSTMCell(2, 2).requires_grad_(False)

                def f(x):
                    return cell(x)[0] * 2
            """,
            calls=("f(torch.ones(1, 2))",),
        ),
    )
