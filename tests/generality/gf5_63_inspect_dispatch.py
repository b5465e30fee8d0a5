"""A modality router that looks at signatures to decide which kwargs a tower gets.

Found in multi-modal code where every tower has its own optional arguments.
"""
import functools
import inspect
from typing import Any, Callable, Dict, Iterator

import torch
import torch.nn as nn

import graphfix


def filter_kwargs(fn: Callable, kwargs: Dict[str, Any]) -> Dict[str, Any]:
    """Drop what ``fn`` would not accept."""
    params = inspect.signature(fn).parameters
    return {k: v for k, v in kwargs.items() if k in params}


class ImageTower(nn.Module):
    def __init__(self, dim: int = 8):
        super().__init__()
        self.proj = nn.Linear(12, dim)

    def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        return self.proj(x.flatten(1)) * scale


class AudioTower(nn.Module):
    def __init__(self, dim: int = 8):
        super().__init__()
        self.conv = nn.Conv1d(1, dim, 5, stride=2)

    def forward(self, x: torch.Tensor, gain: float = 1.0, normalize: bool = False) -> torch.Tensor:
        y = self.conv(gain * x[:, None]).mean(-1)
        return nn.functional.normalize(y, dim=-1) if normalize else y


class Router(nn.Module):
    def __init__(self, dim: int = 8):
        super().__init__()
        self.towers = nn.ModuleDict({"image": ImageTower(dim), "audio": AudioTower(dim)})
        self.fuse = nn.Linear(dim, dim)
        self.last_call = ""

    def forward(self, inputs: Dict[str, torch.Tensor], **kwargs: Any) -> torch.Tensor:
        # a cached method would keep the module alive (B019), so it is local
        @functools.lru_cache(maxsize=None)
        def weight_for(name: str) -> float:
            return 1.0 / (1 + sorted(self.towers.keys()).index(name))

        self.last_call = f"{inspect.currentframe().f_code.co_name}({', '.join(inputs)})"
        total = None
        for name, x in inputs.items():
            tower = self.towers[name]
            y = tower(x, **filter_kwargs(tower.forward, kwargs))
            y = weight_for(name) * y
            total = y if total is None else total + y
        return self.fuse(total)


@graphfix.target
def modality_router() -> Iterator[graphfix.Call]:
    """Both modalities, then audio alone."""
    torch.manual_seed(0)
    model = Router().eval().requires_grad_(False)
    both = {"image": torch.randn(2, 3, 4), "audio": torch.randn(2, 30)}
    yield graphfix.Call(model, both, scale=0.5, normalize=True)
    yield graphfix.Call(model, {"audio": torch.randn(3, 40)}, gain=2.0)
