"""Mixtral/Qwen-style sparse MoE block: loop over the experts that were hit, index_add_ the results."""
import torch
import torch.nn.functional as F
from torch import nn

import graphfix


class Expert(nn.Module):
    def __init__(self, hidden, inter):
        super().__init__()
        self.w1 = nn.Linear(hidden, inter, bias=False)
        self.w2 = nn.Linear(inter, hidden, bias=False)

    def forward(self, x):
        return self.w2(F.silu(self.w1(x)))


class SparseMoeBlock(nn.Module):
    def __init__(self, hidden=6, inter=8, num_experts=4, top_k=2):
        super().__init__()
        self.top_k, self.num_experts = top_k, num_experts
        self.router = nn.Linear(hidden, num_experts, bias=False)
        self.experts = nn.ModuleList(Expert(hidden, inter) for _ in range(num_experts))

    def forward(self, hidden_states: torch.Tensor):
        b, s, d = hidden_states.shape
        flat = hidden_states.view(-1, d)
        probs = F.softmax(self.router(flat), dim=1, dtype=torch.float)
        weights, selected = torch.topk(probs, self.top_k, dim=-1)
        weights = (weights / weights.sum(dim=-1, keepdim=True)).to(flat.dtype)
        final = torch.zeros_like(flat)
        expert_mask = F.one_hot(selected, num_classes=self.num_experts).permute(2, 1, 0)
        expert_hit = torch.greater(expert_mask.sum(dim=(-1, -2)), 0).nonzero()
        for expert_idx in expert_hit:
            idx, top_x = torch.where(expert_mask[expert_idx].squeeze(0))
            current = self.experts[expert_idx](flat[None, top_x].reshape(-1, d)) * weights[top_x, idx, None]
            final.index_add_(0, top_x, current)
        return final.reshape(b, s, d), probs


@graphfix.target
def sparse_moe_block():
    torch.manual_seed(4)
    moe = SparseMoeBlock().eval().requires_grad_(False)
    yield graphfix.Call(moe, torch.randn(2, 5, 6))
    yield graphfix.Call(moe, torch.randn(1, 1, 6))                # only two experts hit
