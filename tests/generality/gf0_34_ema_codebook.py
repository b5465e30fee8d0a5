"""Neural codec quantizer: lazy init from a buffer flag, EMA through .data, dead codes replaced, usage logged."""
import logging
import torch
from torch import nn
import torch.nn.functional as F
import graphfix

_log = logging.getLogger(__name__)


def ema_inplace(moving_avg, new, decay):
    moving_avg.data.mul_(decay).add_(new, alpha=(1 - decay))


class EuclideanCodebook(nn.Module):
    def __init__(self, dim=3, codebook_size=5, decay=0.8, threshold_ema_dead_code=0.15):
        super().__init__()
        self.decay, self.codebook_size = decay, codebook_size
        self.threshold_ema_dead_code = threshold_ema_dead_code
        self.register_buffer("inited", torch.tensor([False]))
        self.register_buffer("cluster_size", torch.zeros(codebook_size))
        self.register_buffer("embed", torch.zeros(codebook_size, dim))

    @torch.no_grad()
    def init_embed_(self, data):
        if self.inited:
            return
        self.embed.data.copy_(data[: self.codebook_size])
        self.cluster_size.data.fill_(1.0)
        self.inited.data.copy_(torch.tensor([True]))

    def expire_codes_(self, batch):
        expired = self.cluster_size < self.threshold_ema_dead_code
        if not torch.any(expired):
            return
        fresh = batch[: self.codebook_size]
        self.embed.data.copy_(torch.where(expired[:, None], fresh, self.embed))

    def forward(self, x):
        shape = x.shape
        flat = x.reshape(-1, shape[-1])
        self.init_embed_(flat)
        dist = (flat[:, None] - self.embed[None]).pow(2).sum(-1)
        ind = dist.argmin(dim=-1)
        quant = F.embedding(ind, self.embed).view(shape)
        if self.training:
            self.expire_codes_(flat)
            onehot = F.one_hot(ind, self.codebook_size).type(x.dtype)
            ema_inplace(self.cluster_size, onehot.sum(0), self.decay)
            used = (onehot.sum(0) > 0).sum().item()
            _log.info(f"codes in use: {used}/{self.codebook_size}")
        return quant, ind.view(shape[:-1])


@graphfix.target
def codebook():
    torch.manual_seed(29)
    cb = EuclideanCodebook().train()
    for _ in range(2):
        yield graphfix.Call(cb, torch.randn(2, 6, 3))
    lazy = EuclideanCodebook(threshold_ema_dead_code=2.0)
    yield graphfix.Call(lazy, torch.randn(1, 8, 3))
