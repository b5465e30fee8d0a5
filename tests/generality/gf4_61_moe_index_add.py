"""Sparse mixture of experts layer with the usual dispatch loop over experts."""

from dataclasses import dataclass
from typing import Iterator, Tuple

import torch
import torch.nn.functional as F
from torch import nn

import graphfix


@dataclass
class MoEConfig:
    hidden_size: int = 16
    intermediate_size: int = 24
    num_experts: int = 4
    top_k: int = 2
    norm_topk_prob: bool = True


class ExpertMLP(nn.Module):
    def __init__(self, cfg: MoEConfig):
        super().__init__()
        self.gate_proj = nn.Linear(cfg.hidden_size, cfg.intermediate_size, bias=False)
        self.up_proj = nn.Linear(cfg.hidden_size, cfg.intermediate_size, bias=False)
        self.down_proj = nn.Linear(cfg.intermediate_size, cfg.hidden_size, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class SparseMoE(nn.Module):
    def __init__(self, cfg: MoEConfig):
        super().__init__()
        self.cfg = cfg
        self.router = nn.Linear(cfg.hidden_size, cfg.num_experts, bias=False)
        self.experts = nn.ModuleList([ExpertMLP(cfg) for _ in range(cfg.num_experts)])

    def forward(self, hidden_states: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        bsz, seq, dim = hidden_states.shape
        flat = hidden_states.view(-1, dim)
        router_logits = self.router(flat)
        weights = F.softmax(router_logits, dim=1, dtype=torch.float)
        weights, selected = torch.topk(weights, self.cfg.top_k, dim=-1)
        if self.cfg.norm_topk_prob:
            weights = weights / weights.sum(dim=-1, keepdim=True)
        weights = weights.to(flat.dtype)

        out = torch.zeros_like(flat)
        # (experts, top_k, tokens)
        expert_mask = F.one_hot(selected, num_classes=self.cfg.num_experts).permute(2, 1, 0)
        for e in range(self.cfg.num_experts):
            idx, top_x = torch.where(expert_mask[e])
            if top_x.numel() == 0:
                continue
            current = flat[None, top_x].reshape(-1, dim)
            current = self.experts[e](current) * weights[top_x, idx, None]
            out.index_add_(0, top_x, current.to(flat.dtype))
        return out.view(bsz, seq, dim), router_logits


class Block(nn.Module):
    def __init__(self, cfg: MoEConfig):
        super().__init__()
        self.norm = nn.LayerNorm(cfg.hidden_size)
        self.moe = SparseMoE(cfg)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.moe(self.norm(x))
        return x + y


@graphfix.target
def moe_block() -> Iterator[graphfix.Call]:
    """Many tokens, and so few that some experts stay idle."""
    torch.manual_seed(0)
    model = Block(MoEConfig()).eval().requires_grad_(False)
    yield graphfix.Call(model, torch.randn(2, 5, 16))
    yield graphfix.Call(model, torch.randn(1, 1, 16))
