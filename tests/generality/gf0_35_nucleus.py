"""LLM sampler: temperature buffer as float, repetition penalty under a check, masked top-p write, stop flag."""
from __future__ import annotations
import torch
from torch import nn, Tensor
from graphfix import Call, target


class Sampler(nn.Module):
    def __init__(self, temperature: float = 0.8, top_p: float = 0.9, penalty: float = 1.3):
        super().__init__()
        self.register_buffer("temperature", torch.tensor(temperature))
        self.top_p = top_p
        self.penalty = penalty

    def _penalise(self, logits: Tensor, seen: Tensor) -> Tensor:
        if seen.any():
            hit = logits[seen]
            logits = logits.clone()
            logits[seen] = torch.where(
                hit < 0,
                hit * self.penalty,    # push further down
                hit / self.penalty,
            )
        return logits

    def _nucleus(self, probs: Tensor) -> Tensor:
        p_sorted, idx = probs.sort(dim=-1, descending=True)
        mass = p_sorted.cumsum(-1)
        drop = mass - p_sorted > self.top_p
        p_sorted[drop] = 0.0
        p_sorted = p_sorted / p_sorted.sum(-1, keepdim=True)
        return torch.zeros_like(probs).scatter(-1, idx, p_sorted)

    def forward(self, logits: Tensor, seen: Tensor, u: Tensor, *, done: Tensor, eos: int = 0, pad: int = 1):
        """u: uniform draws (B, 1), made by the caller so that runs can be replayed"""
        logits = self._penalise(logits, seen)
        if float(self.temperature) == 0.0:
            nxt = logits.argmax(-1)
        else:
            probs = self._nucleus((logits / self.temperature).softmax(-1))
            cdf = probs.cumsum(-1)
            nxt = (cdf < u).sum(-1).clamp(max=logits.shape[-1] - 1)
        if done.any():
            nxt[done] = pad
        done = done | (nxt == eos)
        return nxt, done, done.all()


@target
def sampler():
    torch.manual_seed(30)
    z = torch.randn(3, 8) * 2
    seen = torch.zeros(3, 8, dtype=torch.bool)
    live = torch.zeros(3, dtype=torch.bool)
    yield Call(Sampler(), z, seen, torch.rand(3, 1), done=live)
    seen2 = seen.clone()
    seen2[0, 2] = seen2[1, 5] = True
    yield Call(Sampler(top_p=0.5), z, seen2, torch.rand(3, 1), done=torch.tensor([True, False, False]))
    yield Call(Sampler(temperature=0.0), z, seen, torch.rand(3, 1), done=live, eos=int(z[0].argmax()))
