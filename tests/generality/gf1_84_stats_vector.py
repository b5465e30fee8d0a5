"""Append [mean, std, max] of a signal to its embedding, built from Python floats."""
import torch

import graphfix


def with_stats(signal, emb):
    mean, std, peak = float(signal.mean()), float(signal.std()), float(signal.abs().max())
    stats = torch.tensor([mean, std, peak], dtype=emb.dtype, device=emb.device)
    return torch.cat([emb, stats])


@graphfix.target
def stats_vector():
    torch.manual_seed(3)
    yield graphfix.Call(with_stats, torch.randn(50), torch.randn(4))
    yield graphfix.Call(with_stats, signal=torch.randn(20) * 3, emb=torch.randn(7))
