"""Sparse mixture of experts, looping over the experts that got any token."""
import torch
import torch.nn.functional as F
from torch import nn, Tensor

import graphfix


class Expert(nn.Module):
    def __init__(self, d: int, hidden: int):
        super().__init__()
        self.w1, self.w2, self.w3 = (nn.Linear(a, b, bias=False)
                                     for a, b in ((d, hidden), (hidden, d), (d, hidden)))

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class SparseMoE(nn.Module):
    def __init__(self, d: int = 8, n_experts: int = 4, top_k: int = 2):
        super().__init__()
        self.gate = nn.Linear(d, n_experts, bias=False)
        self.experts = nn.ModuleList(Expert(d, 12) for _ in range(n_experts))
        self.top_k = top_k

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        b, t, d = hidden.shape
        flat = hidden.view(-1, d)
        logits = self.gate(flat)
        weights, chosen = logits.softmax(-1).topk(self.top_k, dim=-1)
        weights = weights / weights.sum(-1, keepdim=True)
        out = torch.zeros_like(flat)
        mask = F.one_hot(chosen, num_classes=len(self.experts)).permute(2, 1, 0)
        hit = torch.greater(mask.sum(dim=(-1, -2)), 0).nonzero()
        for e in hit:
            slot, tok = torch.where(mask[e].squeeze(0))
            y = self.experts[e](flat[tok]) * weights[tok, slot, None]
            out.index_add_(0, tok, y)
        return out.view(b, t, d), logits


@graphfix.target
def sparse_moe():
    torch.manual_seed(70)
    moe = SparseMoE().eval().requires_grad_(False)
    yield graphfix.Call(moe, torch.randn(2, 6, 8))
    yield graphfix.Call(moe, torch.randn(1, 1, 8))          # some experts idle
