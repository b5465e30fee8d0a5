"""Two-tower recommender with wall-clock timers per stage and a call counter."""
import time
from collections import defaultdict

import torch
from torch import nn

import graphfix


class TwoTower(nn.Module):
    def __init__(self, users=30, items=50, dim=8):
        super().__init__()
        self.user_emb = nn.Embedding(users, dim)
        self.item_emb = nn.EmbeddingBag(items, dim, mode="mean")
        self.user_mlp = nn.Sequential(nn.Linear(dim, dim), nn.ReLU())
        self.timings = defaultdict(list)
        self.n_calls = 0

    def forward(self, user, history, offsets):
        self.n_calls += 1
        t0 = time.perf_counter()
        u = self.user_mlp(self.user_emb(user))
        self.timings["user"].append(time.perf_counter() - t0)

        t0 = time.perf_counter()
        i = self.item_emb(history, offsets)
        self.timings["item"].append(time.perf_counter() - t0)

        t0 = time.time()
        s = nn.functional.cosine_similarity(u, i, dim=-1)
        self.timings["score"].append(time.time() - t0)
        return s


@graphfix.target
def two_tower():
    torch.manual_seed(27)
    m = TwoTower().eval().requires_grad_(False)
    yield graphfix.Call(m, torch.tensor([1, 4]), torch.randint(0, 50, (7,)), torch.tensor([0, 3]))
    yield graphfix.Call(m, user=torch.tensor([2, 2, 9]), history=torch.randint(0, 50, (5,)), offsets=torch.tensor([0, 1, 3]))
