"""Vision-language prefix: image features go where the placeholder tokens are."""
from dataclasses import dataclass

import torch
from torch import nn, Tensor

import graphfix


@dataclass(frozen=True)
class VLConfig:
    vocab_size: int = 40
    hidden: int = 8
    image_token: int = 39
    pad_token: int = 0


class VLPrefix(nn.Module):
    def __init__(self, config: VLConfig):
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden)
        self.projector = nn.Linear(6, config.hidden)
        self.score = nn.Linear(config.hidden, 1)

    def forward(self, input_ids: Tensor, pixel_features: Tensor) -> Tensor:
        embeds = self.embed_tokens(input_ids).clone()
        image_mask = input_ids == self.config.image_token
        feats = self.projector(pixel_features).flatten(0, 1)
        embeds[image_mask] = feats.to(embeds.dtype)
        text = embeds[~image_mask & (input_ids != self.config.pad_token)]
        return self.score(embeds).squeeze(-1) - text.mean()


@graphfix.target
def vl_prefix():
    torch.manual_seed(66)
    net = VLPrefix(VLConfig()).eval().requires_grad_(False)
    ids = torch.randint(1, 39, (2, 9))
    ids[:, 1:4] = 39
    ids[1, 7:] = 0
    yield graphfix.Call(net, ids, torch.randn(2, 3, 6))
    ids = torch.randint(1, 39, (1, 7))
    ids[0, [0, 5]] = 39
    yield graphfix.Call(net, ids, pixel_features=torch.randn(1, 2, 6))
