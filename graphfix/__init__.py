"""graphfix finds TorchDynamo graph breaks, rewrites the source so that they are gone, and proves every rewrite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphfix._version import __version__
from graphfix.model import Call, target

if TYPE_CHECKING:
    from graphfix.prove.overlay import install_overlay

if not (Path(__file__).parent / "rules").is_dir():  # editable install or bare checkout: rules/ lies beside us
    __path__.append(str(Path(__file__).resolve().parent.parent))

__all__ = ["Call", "__version__", "install_overlay", "target"]


def __getattr__(name: str) -> Any:
    if name == "install_overlay":
        from graphfix.prove.overlay import install_overlay

        return install_overlay
    raise AttributeError(f"module 'graphfix' has no attribute {name!r}")
