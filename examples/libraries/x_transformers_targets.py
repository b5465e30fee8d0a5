"""Targets in x_transformers: wrappers around a tiny decoder.

`graphfix apply examples/libraries/x_transformers_targets.py --scope x_transformers --overlay out/`,
where x_transformers is installed.
"""

import torch
import x_transformers as xt
from x_transformers.entropy_based_tokenizer import EntropyBasedTokenizer

import graphfix


def decoder(**kw):
    torch.manual_seed(0)
    return xt.TransformerWrapper(
        num_tokens=16, max_seq_len=24, attn_layers=xt.Decoder(dim=16, depth=1, heads=2, attn_dim_head=8, **kw)
    )


SIZES = ((0, 2, 8), (1, 3, 10))


def ids(seed, n, t):
    return torch.randint(1, 16, (n, t), generator=torch.Generator().manual_seed(seed))


@graphfix.target
def entropy_tokenizer():
    for s in SIZES:
        yield graphfix.Call(EntropyBasedTokenizer(decoder(), 2.5).eval().requires_grad_(False), ids(*s))


@graphfix.target
def entropy_tokenizer_max():
    for s in SIZES:
        m = EntropyBasedTokenizer(decoder(), 2.5, max_token_size=3).eval().requires_grad_(False)
        yield graphfix.Call(m, ids(*s), lens=torch.tensor([8, 5, 7][: s[1]]))


@graphfix.target
def entropy_tokenizer_segmented():
    for s in SIZES:
        m = EntropyBasedTokenizer(decoder(), 2.5).eval().requires_grad_(False)
        yield graphfix.Call(m, ids(*s), return_segmented_seq=True)


@graphfix.target
def generate_eos():
    for s in SIZES:
        m = xt.AutoregressiveWrapper(decoder()).eval().requires_grad_(False)
        yield graphfix.Call(m.generate, ids(*s), 3, eos_token=5, temperature=0.0, cache_kv=False)


@graphfix.target
def continuous_lens():
    for s in SIZES:
        torch.manual_seed(0)
        m = xt.ContinuousAutoregressiveWrapper(
            xt.ContinuousTransformerWrapper(
                dim_in=4, dim_out=4, max_seq_len=24, attn_layers=xt.Decoder(dim=16, depth=1, heads=2, attn_dim_head=8)
            )
        )
        m = m.eval().requires_grad_(False)
        yield graphfix.Call(m, torch.randn(s[1], s[2], 4), lens=torch.tensor([8, 6, 7][: s[1]]))


@graphfix.target
def nonautoregressive_loss():
    for s in ((0, 2, 8), (1, 3, 8)):
        torch.manual_seed(0)
        m = xt.NonAutoregressiveWrapper(
            xt.TransformerWrapper(
                num_tokens=17, max_seq_len=8, attn_layers=xt.Encoder(dim=16, depth=1, heads=2, attn_dim_head=8)
            ),
            mask_id=16,
            steps=3,
        )
        yield graphfix.Call(m.eval().requires_grad_(False), ids(*s), only_train_generator=True)


@graphfix.target
def layer_dropout():
    for s in SIZES:
        yield graphfix.Call(decoder(layer_dropout=0.3).train().requires_grad_(False), ids(*s))
