"""PUCT-like action scoring over a batch of visit counts (one search tree)."""
import math

import torch

import graphfix

C_BASE, C_INIT = 19652, 1.25


def puct_scores(prior, visits, value_sum, *, fpu: float = 0.2):
    total = float(visits.sum())
    c = math.log((total + C_BASE + 1) / C_BASE) + C_INIT
    # sqrt of the parent count, as in the paper
    explore = c * prior * math.sqrt(total) / (1 + visits)
    q = torch.where(visits > 0, value_sum / visits.clamp(min=1), value_sum.new_tensor(-fpu))
    return q + explore


def select(prior, visits, value_sum):
    s = puct_scores(prior, visits, value_sum)
    best = int(s.argmax())
    return s, s[best], prior[best].log()


@graphfix.target
def puct():
    g = torch.Generator().manual_seed(4)
    p = torch.rand(7, generator=g).softmax(0)
    yield graphfix.Call(select, p, torch.zeros(7), torch.zeros(7))
    v = torch.randint(0, 20, (9,), generator=g).float()
    yield graphfix.Call(select, torch.rand(9, generator=g).softmax(0), visits=v, value_sum=v * 0.3)
