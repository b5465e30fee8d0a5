import warnings
from typing import TYPE_CHECKING

from gf3_03_pair import encoder as enc

if TYPE_CHECKING:
    import torch


def warn_if_long(seq: "torch.Tensor", owner: "enc.Encoder") -> None:
    """Longer than what was trained on: works, but badly."""
    if seq.size(1) > enc.Encoder.max_positions:
        warnings.warn(f"{seq.size(1)} positions are more than {owner.max_positions}",
                      category=RuntimeWarning, stacklevel=2)
