"""graphfix targets for Hugging Face transformers, 4.52 and 5.x: `graphfix scan examples/huggingface/targets.py::xlm`.

Every target builds a tiny model (see models.py) and yields two calls of its forward with inputs of different length.
All of them run under either version, and show what was repaired between the two: t5 and layoutlmv3 break in 4.52.4
and not in 5.2.0. install.py puts both beside each other.
"""

from __future__ import annotations

from collections.abc import Iterator

import models

import graphfix


@graphfix.target
def vits() -> Iterator[graphfix.Call]:
    """A random number from NumPy, a length and the arguments of a scripted function are read from tensors."""
    model = models.vits()
    for count in (12, 17):
        yield graphfix.Call(model, models.tokens(1, count))


@graphfix.target
def fastspeech2_conformer() -> Iterator[graphfix.Call]:
    """The length regulator decides, and repeats, by durations that the model predicts."""
    model = models.fastspeech2_conformer()
    for count in (12, 17):
        yield graphfix.Call(model, models.tokens(1, count))


@graphfix.target
def encodec() -> Iterator[graphfix.Call]:
    """The padding of every convolution is a number in a buffer; an LSTM follows."""
    model = models.encodec()
    for samples in (3200, 4800):
        yield graphfix.Call(model, models.noise(1, 1, samples))


@graphfix.target
def xlm() -> Iterator[graphfix.Call]:
    """The lengths of the sentences are checked with `.item()`."""
    model = models.xlm()
    for count in (12, 17):
        yield graphfix.Call(model, models.tokens(2, count))


@graphfix.target
def ctrl() -> Iterator[graphfix.Call]:
    """Asked for a loss, the model warns that its kind of loss is not known."""
    model = models.ctrl()
    for count in (12, 17):
        yield graphfix.Call(model, input_ids=models.tokens(2, count), labels=models.tokens(2, count))


@graphfix.target
def mixtral() -> Iterator[graphfix.Call]:
    """The loop over the experts that were hit takes their number from a tensor."""
    model = models.mixtral()
    for count in (12, 17):
        yield graphfix.Call(model, models.tokens(2, count))


@graphfix.target
def bart_half() -> Iterator[graphfix.Call]:
    """The encoder looks for infinities before it clamps them."""
    model = models.bart_half()
    for count in (12, 17):
        yield graphfix.Call(model, models.tokens(2, count))


@graphfix.target
def t5() -> Iterator[graphfix.Call]:
    """4.52: the decoder warns of a cache in the old form."""
    model = models.t5()
    for count in (12, 17):
        yield graphfix.Call(model, input_ids=models.tokens(2, count), labels=models.tokens(2, count // 2))


@graphfix.target
def layoutlmv3() -> Iterator[graphfix.Call]:
    """4.52: a deprecated argument is warned of."""
    model = models.layoutlmv3()
    for count in (12, 17):
        yield graphfix.Call(
            model,
            input_ids=models.tokens(1, count),
            bbox=models.word_boxes(count),
            pixel_values=models.noise(1, 3, 32, 32),
        )


@graphfix.target
def phi3_longrope() -> Iterator[graphfix.Call]:
    """The frequencies are chosen by the highest position; the second call is beyond the pretrained length."""
    model = models.phi3_longrope()
    for count in (12, models.LONGROPE_PRETRAINED_LENGTH + 8):
        yield graphfix.Call(model, models.tokens(2, count))
