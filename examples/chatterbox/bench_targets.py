"""Targets for bench.py beside those of targets.py: chosen lengths, and T3's step as a server would run it.

`GRAPHFIX_CHATTERBOX_TOKENS` holds the numbers of speech tokens, `50,100,200,400` (default: 100).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import models
import torch
from torch import nn

import graphfix

TOKENS = tuple(int(count) for count in os.environ.get("GRAPHFIX_CHATTERBOX_TOKENS", "100").split(","))


@graphfix.target
def flow_inference() -> Iterator[graphfix.Call]:
    """Speech tokens to mel spectrogram, once for each number of tokens."""
    inference = models.without_inference_mode(models.s3gen(), "flow_inference")
    for count in TOKENS:
        yield graphfix.Call(
            inference,
            models.speech_tokens(count),
            ref_dict=models.prompt(),
            n_cfm_timesteps=models.SOLVER_STEPS,
            finalize=True,
        )


@graphfix.target
def s3gen() -> Iterator[graphfix.Call]:
    """Speech tokens to waveform: flow and vocoder, decorated with inference mode as shipped."""
    model = models.s3gen()
    for count in TOKENS:
        yield graphfix.Call(
            model.inference, models.speech_tokens(count), ref_dict=models.prompt(), n_cfm_timesteps=models.SOLVER_STEPS
        )


class StaticStep(nn.Module):
    """One step of T3 for one new token: its logits, with a cache of fixed size that the step writes to."""

    def __init__(self, t3: Any) -> None:
        super().__init__()
        self.llama, self.speech_head = t3.tfmr, t3.speech_head

    def forward(self, inputs_embeds: torch.Tensor, cache: Any) -> torch.Tensor:
        found = self.llama(inputs_embeds=inputs_embeds, past_key_values=cache, use_cache=True)
        logits: torch.Tensor = self.speech_head(found.last_hidden_state)
        return logits


@graphfix.target
def t3_static_step() -> Iterator[graphfix.Call]:
    """What `targets.py::t3_decode_step` computes, without the attentions and hidden states that nobody reads here."""
    from transformers import StaticCache

    t3 = models.t3()
    step = models.built(StaticStep(t3))
    for length in models.TEXT_LENGTHS:
        cache = StaticCache(config=t3.tfmr.config, max_cache_len=length + 880)
        with torch.no_grad():
            step(models.random_values(2, length, 1024), cache)
        yield graphfix.Call(step, models.random_values(2, 1, 1024, seed=1), cache)
