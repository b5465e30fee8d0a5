"""chatterbox 0.1.7 with random weights: graph breaks are structure, so no checkpoint is needed.

Two environment variables choose what is built:
`GRAPHFIX_CHATTERBOX_SIZE` is `small` (default: runs on a CPU in seconds) or `full` (the real layer counts, 10 steps);
`GRAPHFIX_DEVICE` is `cpu` (default) or `cuda`.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import inspect
import os
import sys
import types
from collections.abc import Callable
from typing import Any

import diffusers.models.attention  # noqa: F401  (before stub_front_end, see there)
import torch
from torch import nn
from transformers import LlamaModel  # noqa: F401  (before stub_front_end, see there)

SPEECH_VOCABULARY = 6561
PROMPT_TOKENS = 20


def choice(variable: str, *allowed: str) -> str:
    """The value of an environment variable, the first allowed one where it is unset.

    Raises:
        ValueError: the value is not among the allowed ones.
    """
    value = os.environ.get(variable) or allowed[0]
    if value not in allowed:
        raise ValueError(f"{variable} is {value!r}, which is not one of: {', '.join(allowed)}. Set it to one of those.")
    return value


def chosen_device() -> torch.device:
    """The device that `GRAPHFIX_DEVICE` names.

    Raises:
        ValueError: the variable has another value, or names CUDA where there is none.
    """
    name = choice("GRAPHFIX_DEVICE", "cpu", "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("GRAPHFIX_DEVICE is 'cuda', and this torch sees no CUDA device. Set it to 'cpu', or unset it.")
    return torch.device(name)


FULL = choice("GRAPHFIX_CHATTERBOX_SIZE", "small", "full") == "full"
DEVICE = chosen_device()
SOLVER_STEPS = 10 if FULL else 2
SPEECH_LENGTHS = (200, 260) if FULL else (30, 45)
FRAMES = (400, 520) if FULL else (60, 90)
TEXT_LENGTHS = (120, 160) if FULL else (40, 55)
SAMPLES_PER_FRAME = 480
# What T3.inference passes at every step.
T3_OPTIONS = {"use_cache": True, "output_attentions": True, "output_hidden_states": True, "return_dict": True}


def stub_front_end() -> None:
    """Put stand-ins for the packages that only chatterbox's audio front end uses, where they are absent.

    transformers and diffusers look for some of them when they are imported, so this comes after those imports.
    """
    for name in ("librosa", "librosa.filters", "perth", "onnx", "pyloudnorm"):
        try:
            importlib.import_module(name)
        except ImportError:
            stub = types.ModuleType(name)
            stub.__spec__ = importlib.machinery.ModuleSpec(name, None)
            sys.modules[name] = stub
            if name == "librosa.filters":
                stub.mel = mel_filters  # type: ignore[attr-defined]
                sys.modules["librosa"].filters = stub  # type: ignore[attr-defined]


def mel_filters(*, sr: int, n_fft: int, n_mels: int = 128, fmin: float = 0.0, fmax: float | None = None) -> Any:
    """`librosa.filters.mel` from torchaudio: an array of (n_mels, n_fft // 2 + 1)."""
    from torchaudio.functional import melscale_fbanks

    return melscale_fbanks(n_fft // 2 + 1, fmin, fmax or sr / 2, n_mels, sr, "slaney", "slaney").T.contiguous().numpy()


stub_front_end()  # chatterbox can be imported from here on: the functions below do


def built(module: nn.Module) -> Any:
    """The module on the chosen device in eval mode; no parameter needs a gradient: graphfix runs it under no_grad."""
    return module.eval().requires_grad_(False).to(DEVICE)


def s3gen(*, meanflow: bool = False) -> Any:
    """Speech tokens to waveform: tokenizer, flow (encoder, solver, estimator) and HiFT vocoder."""
    from chatterbox.models.s3gen.decoder import ConditionalDecoder
    from chatterbox.models.s3gen.s3gen import S3Token2Wav

    torch.manual_seed(0)
    model = S3Token2Wav(meanflow=meanflow)
    if not FULL:
        model.flow.decoder.estimator = ConditionalDecoder(n_blocks=1, num_mid_blocks=2, meanflow=meanflow)
        model.tokenizer.encoder.blocks = model.tokenizer.encoder.blocks[:2]
    return built(model)


def t3() -> Any:
    """Text to speech tokens: conditioning and a llama of 30 layers, or of 2."""
    from chatterbox.models.t3.llama_configs import LLAMA_CONFIGS
    from chatterbox.models.t3.modules.t3_config import T3Config
    from chatterbox.models.t3.t3 import T3

    torch.manual_seed(0)
    config = T3Config.english_only()
    if not FULL:
        LLAMA_CONFIGS["Llama_2_layers"] = LLAMA_CONFIGS[config.llama_config_name] | {"num_hidden_layers": 2}
        config.llama_config_name = "Llama_2_layers"
    return built(T3(config))


def t3_backend() -> Any:
    """The model that `T3.inference` calls at every step."""
    from chatterbox.models.t3.inference.t3_hf_backend import T3HuggingfaceBackend

    model = t3()
    return built(
        T3HuggingfaceBackend(
            config=model.cfg, llama=model.tfmr, speech_enc=model.speech_emb, speech_head=model.speech_head
        )
    )


def voice_encoder() -> Any:
    """Mel spectrogram to speaker embedding."""
    from chatterbox.models.voice_encoder import VoiceEncoder

    torch.manual_seed(0)
    return built(VoiceEncoder())


def mel_spectrogram() -> Callable[..., torch.Tensor]:
    """The function from a waveform at 24 kHz to 80 mel bands, 50 frames a second."""
    from chatterbox.models.s3gen.utils.mel import mel_spectrogram

    return mel_spectrogram


def without_inference_mode(module: nn.Module, method: str) -> Callable[..., Any]:
    """The bound method as it was written, without its `@torch.inference_mode()`.

    With the decorator inside the captured region, aot_eager and Inductor fail ("Cannot set version_counter for
    inference tensor"; torch 2.11 and 2.13). No parameter needs a gradient here, so the plain method under no_grad
    computes the same thing. Methods that it calls keep their own decorators.
    """
    return types.MethodType(inspect.unwrap(getattr(type(module), method)), module)


def random_values(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normal values, the same in every process and on every device."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def random_levels(*shape: int, seed: int = 0) -> torch.Tensor:
    """Uniform values in [0, 1), the same in every process and on every device."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def speech_tokens(count: int, seed: int = 0) -> torch.Tensor:
    """Speech tokens of shape (1, count)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, SPEECH_VOCABULARY, (1, count), generator=generator).to(DEVICE)


def lengths(count: int) -> torch.Tensor:
    """The length of a batch of one, as the models take it."""
    return torch.tensor([count], device=DEVICE)


def prompt() -> dict[str, Any]:
    """The reference voice: its tokens, two mel frames of 80 for each, and a speaker embedding of 192."""
    return {
        "prompt_token": speech_tokens(PROMPT_TOKENS, seed=1),
        "prompt_token_len": lengths(PROMPT_TOKENS),
        "prompt_feat": random_values(1, 2 * PROMPT_TOKENS, 80, seed=2),
        "prompt_feat_len": None,
        "embedding": random_values(1, 192, seed=3),
    }


def t3_conditions(count: int) -> Any:
    """A speaker, a prompt of so many speech tokens, and a medium emotion, as `T3` takes them."""
    from chatterbox.models.t3.modules.cond_enc import T3Cond

    return T3Cond(
        speaker_emb=random_values(1, 256),
        cond_prompt_speech_tokens=speech_tokens(count),
        emotion_adv=torch.full((1, 1, 1), 0.5, device=DEVICE),
    )
