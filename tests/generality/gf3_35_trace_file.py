"""Two-tower recommender: each forward appends a JSON line to a trace file."""
import json
import os
import tempfile

import torch
from torch import nn

import graphfix

TRACE = os.path.join(tempfile.gettempdir(), "two_tower_trace.jsonl")


class TwoTower(nn.Module):
    def __init__(self, n_users=20, n_items=30, d=4, trace_path=TRACE):
        super().__init__()
        self.u, self.i = nn.Embedding(n_users, d), nn.Embedding(n_items, d)
        self.trace_path = trace_path

    def _trace(self, **row):
        with open(self.trace_path, "a", encoding="utf-8") as fh:
            fh.write(json.dumps(row) + "\n")

    def forward(self, users, items):
        uv = nn.functional.normalize(self.u(users), dim=-1)
        iv = nn.functional.normalize(self.i(items), dim=-1)
        self._trace(batch=len(users), dim=uv.shape[-1])
        return uv @ iv.T


@graphfix.target
def towers():
    torch.manual_seed(13)
    net = TwoTower()
    yield graphfix.Call(net, torch.tensor([1, 2, 3]), torch.tensor([4, 5]))
    yield graphfix.Call(net, users=torch.tensor([7]), items=torch.arange(6))
