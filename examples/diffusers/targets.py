"""graphfix targets for the schedulers of diffusers: `graphfix scan examples/diffusers/targets.py`.

One step of each, as a pipeline calls it in its loop: the timestep is a tensor, as `scheduler.timesteps` holds them.
"""

from __future__ import annotations

from collections.abc import Iterator

import diffusers
import torch

import graphfix


def steps(scheduler: str) -> Iterator[graphfix.Call]:
    """The first step of two new schedulers, for two sizes of batch."""
    for count in (2, 3):
        torch.manual_seed(0)
        made = getattr(diffusers, scheduler)()
        made.set_timesteps(5)
        yield graphfix.Call(made.step, torch.randn(count, 4, 8, 8), made.timesteps[1], torch.randn(count, 4, 8, 8))


@graphfix.target
def ddim() -> Iterator[graphfix.Call]:
    """DDIMScheduler."""
    yield from steps("DDIMScheduler")


@graphfix.target
def ddim_inverse() -> Iterator[graphfix.Call]:
    """DDIMInverseScheduler."""
    yield from steps("DDIMInverseScheduler")


@graphfix.target
def ddpm() -> Iterator[graphfix.Call]:
    """DDPMScheduler."""
    yield from steps("DDPMScheduler")


@graphfix.target
def deis() -> Iterator[graphfix.Call]:
    """DEISMultistepScheduler."""
    yield from steps("DEISMultistepScheduler")


@graphfix.target
def dpm_multistep() -> Iterator[graphfix.Call]:
    """DPMSolverMultistepScheduler."""
    yield from steps("DPMSolverMultistepScheduler")


@graphfix.target
def dpm_singlestep() -> Iterator[graphfix.Call]:
    """DPMSolverSinglestepScheduler."""
    yield from steps("DPMSolverSinglestepScheduler")


@graphfix.target
def edm_euler() -> Iterator[graphfix.Call]:
    """EDMEulerScheduler."""
    yield from steps("EDMEulerScheduler")


@graphfix.target
def euler() -> Iterator[graphfix.Call]:
    """EulerDiscreteScheduler."""
    yield from steps("EulerDiscreteScheduler")


@graphfix.target
def euler_ancestral() -> Iterator[graphfix.Call]:
    """EulerAncestralDiscreteScheduler."""
    yield from steps("EulerAncestralDiscreteScheduler")


@graphfix.target
def flow_match_euler() -> Iterator[graphfix.Call]:
    """FlowMatchEulerDiscreteScheduler."""
    yield from steps("FlowMatchEulerDiscreteScheduler")


@graphfix.target
def heun() -> Iterator[graphfix.Call]:
    """HeunDiscreteScheduler."""
    yield from steps("HeunDiscreteScheduler")


@graphfix.target
def kdpm2() -> Iterator[graphfix.Call]:
    """KDPM2DiscreteScheduler."""
    yield from steps("KDPM2DiscreteScheduler")


@graphfix.target
def kdpm2_ancestral() -> Iterator[graphfix.Call]:
    """KDPM2AncestralDiscreteScheduler."""
    yield from steps("KDPM2AncestralDiscreteScheduler")


@graphfix.target
def lcm() -> Iterator[graphfix.Call]:
    """LCMScheduler."""
    yield from steps("LCMScheduler")


@graphfix.target
def lms() -> Iterator[graphfix.Call]:
    """LMSDiscreteScheduler."""
    yield from steps("LMSDiscreteScheduler")


@graphfix.target
def pndm() -> Iterator[graphfix.Call]:
    """PNDMScheduler."""
    yield from steps("PNDMScheduler")


@graphfix.target
def tcd() -> Iterator[graphfix.Call]:
    """TCDScheduler."""
    yield from steps("TCDScheduler")


@graphfix.target
def unclip() -> Iterator[graphfix.Call]:
    """UnCLIPScheduler."""
    yield from steps("UnCLIPScheduler")


@graphfix.target
def unipc() -> Iterator[graphfix.Call]:
    """UniPCMultistepScheduler."""
    yield from steps("UniPCMultistepScheduler")
