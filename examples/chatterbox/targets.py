"""graphfix targets for chatterbox 0.1.7, a text-to-speech model: `graphfix scan examples/chatterbox/targets.py::flow`.

Every target builds its part with random weights (see models.py) and yields two calls of different length.
Where the method itself is decorated with `@torch.inference_mode()`, the target yields it undecorated (models.py says
why); the decorated methods that it calls are left as they are shipped.
"""

from __future__ import annotations

from collections.abc import Iterator

import models
import torch

import graphfix


@graphfix.target
def encoder() -> Iterator[graphfix.Call]:
    """The upsampling conformer that reads the speech tokens' embeddings."""
    module = models.s3gen().flow.encoder
    for count in models.SPEECH_LENGTHS:
        yield graphfix.Call(module, models.random_values(1, count, 512), models.lengths(count))


@graphfix.target
def estimator() -> Iterator[graphfix.Call]:
    """One evaluation of the flow's velocity network, on the doubled batch of classifier-free guidance."""
    module = models.s3gen().flow.decoder.estimator
    for frames in models.FRAMES:
        yield graphfix.Call(
            module,
            x=models.random_values(2, 80, frames, seed=1),
            mask=torch.ones(2, 1, frames, device=models.DEVICE),
            mu=models.random_values(2, 80, frames, seed=2),
            t=torch.full((2,), 0.25, device=models.DEVICE),
            spks=models.random_values(2, 80, seed=3),
            cond=models.random_values(2, 80, frames, seed=4),
        )


@graphfix.target
def flow() -> Iterator[graphfix.Call]:
    """Speech tokens to mel spectrogram: encoder, solver and estimator."""
    inference = models.without_inference_mode(models.s3gen().flow, "inference")
    for count in models.SPEECH_LENGTHS:
        yield graphfix.Call(
            inference,
            token=models.speech_tokens(count),
            token_len=models.lengths(count),
            **models.prompt(),
            finalize=True,
            n_timesteps=models.SOLVER_STEPS,
            # As long as prompt and speech together, so that it replaces all of the noise that is drawn inside.
            noised_mels=models.random_values(1, 80, 2 * (models.PROMPT_TOKENS + count), seed=4),
        )


@graphfix.target
def flow_inference() -> Iterator[graphfix.Call]:
    """The same through S3Gen, which draws its noise itself."""
    inference = models.without_inference_mode(models.s3gen(), "flow_inference")
    for count in models.SPEECH_LENGTHS:
        yield graphfix.Call(
            inference,
            models.speech_tokens(count),
            ref_dict=models.prompt(),
            n_cfm_timesteps=models.SOLVER_STEPS,
            finalize=True,
        )


@graphfix.target
def flow_inference_meanflow() -> Iterator[graphfix.Call]:
    """The same with the distilled two-step solver of the turbo model."""
    inference = models.without_inference_mode(models.s3gen(meanflow=True), "flow_inference")
    for count in models.SPEECH_LENGTHS:
        yield graphfix.Call(inference, models.speech_tokens(count), ref_dict=models.prompt(), finalize=True)


@graphfix.target
def s3gen() -> Iterator[graphfix.Call]:
    """Speech tokens to waveform: flow and vocoder."""
    model = models.s3gen()
    for count in models.SPEECH_LENGTHS:
        # Decorated as shipped: it updates the vocoder's output in place, and that is an inference tensor as long as the
        # vocoder's own inference is decorated, which eager allows in inference mode only.
        yield graphfix.Call(
            model.inference,
            models.speech_tokens(count),
            ref_dict=models.prompt(),
            n_cfm_timesteps=models.SOLVER_STEPS,
        )


@graphfix.target
def vocoder() -> Iterator[graphfix.Call]:
    """Mel spectrogram to waveform: HiFT."""
    inference = models.without_inference_mode(models.s3gen().mel2wav, "inference")
    for frames in models.FRAMES:
        yield graphfix.Call(
            inference,
            speech_feat=models.random_values(1, 80, frames),
            # As long as the waveform, so that it replaces the whole source, whose noise is drawn inside.
            cache_source=0.1 * models.random_values(1, 1, frames * models.SAMPLES_PER_FRAME, seed=1),
        )


@graphfix.target
def mel() -> Iterator[graphfix.Call]:
    """Reference waveform at 24 kHz to mel spectrogram."""
    mel_spectrogram = models.mel_spectrogram()
    for frames in models.FRAMES:
        waveform = 2 * models.random_levels(1, frames * models.SAMPLES_PER_FRAME) - 1
        yield graphfix.Call(mel_spectrogram, waveform)


@graphfix.target
def tokenizer() -> Iterator[graphfix.Call]:
    """Mel spectrogram of the reference, 100 frames a second, to speech tokens."""
    quantize = models.without_inference_mode(models.s3gen().tokenizer, "quantize")
    for frames in (200, 320):
        yield graphfix.Call(quantize, models.random_values(1, 128, frames), models.lengths(frames))


@graphfix.target
def voice_encoder() -> Iterator[graphfix.Call]:
    """Mel spectrograms of partial utterances to speaker embeddings: an LSTM."""
    module = models.voice_encoder()
    for frames in (160, 200):
        yield graphfix.Call(module, models.random_levels(3, frames, 40))


@graphfix.target
def t3_conditioning() -> Iterator[graphfix.Call]:
    """Speaker, prompt speech and emotion to the embeddings that precede the text."""
    module = models.t3()
    for count in (150, 100):
        yield graphfix.Call(module.prepare_conditioning, models.t3_conditions(count))


@graphfix.target
def t3_prefill() -> Iterator[graphfix.Call]:
    """The language model's first pass over conditions and text, asked for what `T3.inference` asks for."""
    forward = models.without_inference_mode(models.t3_backend(), "forward")
    for length in models.TEXT_LENGTHS:
        yield graphfix.Call(
            forward, inputs_embeds=models.random_values(2, length, 1024), past_key_values=None, **models.T3_OPTIONS
        )


@graphfix.target
def t3_decode_step() -> Iterator[graphfix.Call]:
    """One step for one new token, with the cache of the steps before it."""
    forward = models.without_inference_mode(models.t3_backend(), "forward")
    for length in models.TEXT_LENGTHS:
        with torch.no_grad():
            before = forward(inputs_embeds=models.random_values(2, length, 1024), **models.T3_OPTIONS)
        yield graphfix.Call(
            forward,
            inputs_embeds=models.random_values(2, 1, 1024, seed=1),
            past_key_values=before.past_key_values,
            **models.T3_OPTIONS,
        )
