"""MoE with FiLM experts (scale and shift per expert): the loop visits only experts that got tokens."""
import torch
from torch import nn
import torch.nn.functional as F
import graphfix


class FilmExpert(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.randn(width))
        self.beta = nn.Parameter(torch.randn(width))

    def forward(self, h):
        return F.silu(h * self.gamma + self.beta)


class SparseFilm(nn.Module):
    def __init__(self, width: int = 6, num_experts: int = 4, top_k: int = 1):
        super().__init__()
        self.num_experts, self.top_k = num_experts, top_k
        self.gate = nn.Linear(width, num_experts, bias=False)
        self.experts = nn.ModuleList(FilmExpert(width) for _ in range(num_experts))

    def forward(self, hidden_states):
        bsz, seq, dim = hidden_states.shape
        flat = hidden_states.view(-1, dim)
        weights, selected = self.gate(flat).softmax(-1).topk(self.top_k, dim=-1)
        final = torch.zeros_like(flat)
        expert_mask = F.one_hot(selected, num_classes=self.num_experts).permute(2, 1, 0)
        expert_hit = (expert_mask.sum(dim=(-1, -2)) > 0).nonzero()
        for e in expert_hit:
            slot, tok = torch.where(expert_mask[e].squeeze(0))
            out = self.experts[e](flat[tok]) * weights[tok, slot, None]
            final.index_add_(0, tok, out)
        return final.view(bsz, seq, dim)


@graphfix.target
def moe():
    torch.manual_seed(17)
    layer = SparseFilm().requires_grad_(False)
    yield graphfix.Call(layer, torch.randn(2, 5, 6))
    yield graphfix.Call(layer, torch.randn(1, 2, 6))
