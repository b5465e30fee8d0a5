"""Hugging Face transformers models, tiny and with random weights: breaks are structure, so nothing is downloaded.

Written for transformers 4.52 and 5.x, which have all of these models; what breaks in them differs between the two.
Everything stays on the CPU: with `--device cuda` graphfix itself moves a model and its inputs.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers

VOCABULARY = 99
SIZES = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
LONGROPE_PRETRAINED_LENGTH = 32


def built(model: str, config: Any) -> Any:
    """The model of that class in eval mode; no parameter needs a gradient."""
    torch.manual_seed(0)
    return getattr(transformers, model)(config).eval().requires_grad_(False)


def vits() -> Any:
    """Text to waveform: encoder, stochastic duration predictor, flow and HiFi-GAN."""
    config = transformers.VitsConfig(
        vocab_size=38,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        ffn_dim=64,
        flow_size=32,
        spectrogram_bins=9,
        upsample_initial_channel=32,
        prior_encoder_num_flows=1,
        posterior_encoder_num_wavenet_layers=1,
        prior_encoder_num_wavenet_layers=1,
        duration_predictor_num_flows=1,
        upsample_rates=[4, 4],
        upsample_kernel_sizes=[8, 8],
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1, 3]],
    )
    return built("VitsModel", config)


def fastspeech2_conformer() -> Any:
    """Phonemes to mel spectrogram: conformer encoder, duration, pitch and energy predictors, decoder."""
    config = transformers.FastSpeech2ConformerConfig(
        hidden_size=32,
        vocab_size=VOCABULARY,
        num_mel_bins=20,
        encoder_layers=1,
        encoder_num_attention_heads=2,
        encoder_linear_units=48,
        decoder_layers=1,
        decoder_num_attention_heads=2,
        decoder_linear_units=48,
        speech_decoder_postnet_layers=2,
        speech_decoder_postnet_units=32,
        duration_predictor_channels=32,
        energy_predictor_channels=32,
        pitch_predictor_channels=32,
    )
    return built("FastSpeech2ConformerModel", config)


def encodec() -> Any:
    """Waveform to codes and back: convolutions, an LSTM and residual vector quantization."""
    config = transformers.EncodecConfig(num_filters=4, hidden_size=16, codebook_size=64, target_bandwidths=[1.5])
    return built("EncodecModel", config)


def xlm() -> Any:
    """The XLM encoder."""
    config = transformers.XLMConfig(
        vocab_size=VOCABULARY, emb_dim=32, n_layers=1, n_heads=4, max_position_embeddings=64
    )
    return built("XLMModel", config)


def ctrl() -> Any:
    """The CTRL language model."""
    config = transformers.CTRLConfig(vocab_size=VOCABULARY, n_positions=64, n_embd=32, dff=64, n_layer=1, n_head=4)
    return built("CTRLLMHeadModel", config)


def mixtral() -> Any:
    """A mixture of experts whose experts run one after the other, which was the only way before transformers 5."""
    config = transformers.MixtralConfig(
        **SIZES,
        vocab_size=VOCABULARY,
        num_key_value_heads=2,
        num_local_experts=4,
        max_position_embeddings=64,
        experts_implementation="eager",
    )
    return built("MixtralForCausalLM", config)


def bart_half() -> Any:
    """BART in float16, whose encoder clamps what overflows."""
    config = transformers.BartConfig(
        vocab_size=VOCABULARY,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=64,
    )
    return built("BartModel", config).half()


def t5() -> Any:
    """T5, encoder and decoder."""
    config = transformers.T5Config(
        vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=64, num_layers=1, num_heads=4, decoder_start_token_id=0
    )
    return built("T5ForConditionalGeneration", config)


def layoutlmv3() -> Any:
    """Words, their boxes on a page of 1000 by 1000, and the page's image, encoded together."""
    config = transformers.LayoutLMv3Config(
        **SIZES,
        vocab_size=VOCABULARY,
        max_position_embeddings=64,
        coordinate_size=6,
        shape_size=4,
        input_size=32,
        patch_size=8,
    )
    return built("LayoutLMv3Model", config)


def phi3_longrope() -> Any:
    """Phi-3 with rotary frequencies that change beyond `LONGROPE_PRETRAINED_LENGTH` tokens."""
    frequencies = 4  # half of a head of 8
    config = transformers.Phi3Config(
        **SIZES,
        vocab_size=VOCABULARY,
        num_key_value_heads=2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        max_position_embeddings=4 * LONGROPE_PRETRAINED_LENGTH,
        original_max_position_embeddings=LONGROPE_PRETRAINED_LENGTH,
        rope_scaling={"type": "longrope", "short_factor": [1.0] * frequencies, "long_factor": [2.0] * frequencies},
    )
    return built("Phi3ForCausalLM", config)


def tokens(*shape: int, vocabulary: int = 38) -> torch.Tensor:
    """Token ids without the first three, which some models keep for padding, start and end."""
    return torch.randint(3, vocabulary, shape, generator=torch.Generator().manual_seed(0))


def noise(*shape: int) -> torch.Tensor:
    """Normal values, the same in every process."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def word_boxes(count: int) -> torch.Tensor:
    """Boxes of shape (1, count, 4): left, top, right and bottom of words on a page of 1000 by 1000."""
    left = torch.arange(count) * 10
    return torch.stack([left, left + 5, left + 8, left + 15], dim=-1)[None]
