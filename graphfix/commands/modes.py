"""The modes of torch.compile that commands take."""

from __future__ import annotations

from graphfix.errors import UsageError

MODES = ("default", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")


def check_mode(mode: str | None) -> None:
    """Raises UsageError for a word that is no mode."""
    if mode is not None and mode not in MODES:
        raise UsageError(f"{mode!r} is no mode of torch.compile; choose one of: {', '.join(MODES)}.")
