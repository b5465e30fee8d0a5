"""A sparse MoE block with shared expert, which gathers tokens expert by expert."""
from dataclasses import dataclass
from typing import Iterator, Tuple

import torch
import torch.nn.functional as F
from torch import nn

import graphfix


@dataclass
class MoEConfig:
    hidden_size: int = 12
    moe_intermediate_size: int = 16
    num_experts: int = 6
    num_experts_per_tok: int = 2
    norm_topk_prob: bool = True


class ExpertMLP(nn.Module):
    def __init__(self, config: MoEConfig):
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.moe_intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.moe_intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.moe_intermediate_size, config.hidden_size, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class MoEGate(nn.Module):
    def __init__(self, config: MoEConfig):
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.randn(config.num_experts, config.hidden_size) * 0.3)

    def forward(self, hidden_states) -> Tuple[torch.Tensor, torch.Tensor]:
        scores = F.linear(hidden_states, self.weight).softmax(dim=-1, dtype=torch.float)
        topk_weight, topk_idx = torch.topk(scores, k=self.config.num_experts_per_tok, dim=-1, sorted=False)
        if self.config.norm_topk_prob:
            topk_weight = topk_weight / (topk_weight.sum(dim=-1, keepdim=True) + 1e-20)
        return topk_idx, topk_weight


class SparseMoE(nn.Module):
    def __init__(self, config: MoEConfig):
        super().__init__()
        self.config = config
        self.experts = nn.ModuleList([ExpertMLP(config) for _ in range(config.num_experts)])
        self.gate = MoEGate(config)
        self.shared_experts = ExpertMLP(config)

    @torch.no_grad()
    def moe_infer(self, x, flat_expert_indices, flat_expert_weights):
        expert_cache = torch.zeros_like(x)
        idxs = flat_expert_indices.argsort()
        tokens_per_expert = flat_expert_indices.bincount(minlength=len(self.experts)).cpu().numpy().cumsum(0)
        token_idxs = idxs // self.config.num_experts_per_tok
        for i, end_idx in enumerate(tokens_per_expert):
            start_idx = 0 if i == 0 else tokens_per_expert[i - 1]
            if start_idx == end_idx:
                continue
            exp_token_idx = token_idxs[start_idx:end_idx]
            expert_out = self.experts[i](x[exp_token_idx])
            expert_out.mul_(flat_expert_weights[idxs[start_idx:end_idx]])
            expert_cache.scatter_reduce_(0, exp_token_idx.view(-1, 1).repeat(1, x.shape[-1]), expert_out, reduce="sum")
        return expert_cache

    def forward(self, hidden_states):
        identity, orig_shape = hidden_states, hidden_states.shape
        topk_idx, topk_weight = self.gate(hidden_states.view(-1, orig_shape[-1]))
        y = self.moe_infer(hidden_states.view(-1, orig_shape[-1]), topk_idx.view(-1), topk_weight.view(-1, 1))
        return y.view(*orig_shape) + self.shared_experts(identity)


@graphfix.target
def moe_expert_loop() -> Iterator[graphfix.Call]:
    """A batch that uses all experts, a single token that uses two."""
    torch.manual_seed(0)
    moe = SparseMoE(MoEConfig()).eval()
    yield graphfix.Call(moe, torch.randn(2, 10, 12))
    yield graphfix.Call(moe, torch.randn(1, 1, 12))
