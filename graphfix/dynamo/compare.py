"""Compares what calls did: bit for bit between two eager runs, within tolerance between compiled and eager."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping
from typing import Any

import torch

TOLERANCES = {
    torch.float64: 1e-7,
    torch.complex128: 1e-7,
    torch.float32: 1e-4,
    torch.complex64: 1e-4,
    torch.float16: 5e-3,
    torch.bfloat16: 2e-2,
}
"""Largest difference allowed, relative to the value and to the tensor's largest magnitude; other dtypes: equal."""

_TF32 = 5e-3
"""Where float32 is multiplied as TF32 (on CUDA, by default in convolutions): its mantissa is float16's."""


def tolerance_of(dtype: torch.dtype, device: str) -> float | None:
    """The tolerance for a dtype that was computed on a device, None where values must be equal."""
    tf32 = torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32
    if device == "cuda" and tf32 and dtype in (torch.float32, torch.complex64):
        return _TF32
    return TOLERANCES.get(dtype)


@dataclasses.dataclass(frozen=True)
class Leaf:
    """A value that is compared as a whole: anything that is neither a tensor nor a container."""

    type: str
    value: Any


def snapshot(value: Any, _seen: frozenset[int] = frozenset()) -> Any:
    """`value` as a tree of dicts, lists, tuples, CPU tensors and leaves that outlives the process.

    Objects of unknown type are taken apart into their attributes; one that contains itself is cut there.
    """
    if isinstance(value, torch.Tensor):
        copied = value.detach().to("cpu", copy=True)
        return copied.requires_grad_() if value.requires_grad else copied
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return Leaf(type(value).__name__, value)
    if id(value) in _seen:
        return Leaf(type(value).__name__, "…")
    seen = _seen | {id(value)}
    if isinstance(value, Mapping):
        kind = {} if type(value) is dict else _class(value)
        return kind | {f"[{key!r}]": snapshot(item, seen) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(snapshot(item, seen) for item in value)
    if isinstance(value, list | set | frozenset):
        return [snapshot(item, seen) for item in value]
    if type(value).__module__ == "numpy" and hasattr(value, "tobytes"):
        return Leaf(f"numpy.{value.dtype}{value.shape}", value.tobytes())
    if isinstance(value, torch.nn.Module) or not hasattr(value, "__dict__"):
        return Leaf(type(value).__name__, None)
    return _class(value) | {f".{key}": snapshot(item, seen) for key, item in vars(value).items()}


def _class(value: Any) -> dict[str, Any]:
    return {" class": Leaf("class", f"{type(value).__module__}.{type(value).__qualname__}")}


def digest(tensors: Mapping[str, torch.Tensor]) -> str:
    """A fingerprint of named tensors, bytes and all."""
    total = hashlib.blake2b()
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(_bytes(tensor).numpy().data if _has_numpy() else bytes(_bytes(tensor).tolist()))
    return total.hexdigest()


def _has_numpy() -> bool:
    try:
        torch.zeros(1).numpy()
    except RuntimeError:
        return False
    return True


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    plain = tensor.detach().to("cpu")
    if plain.is_sparse or plain.is_quantized:
        plain = plain.to_dense() if plain.is_sparse else plain.int_repr()
    return plain.resolve_conj().resolve_neg().contiguous().reshape(-1).view(torch.uint8)


@dataclasses.dataclass
class Comparison:
    """The first difference found (None: equal) and the largest absolute one between tensors."""

    device: str
    difference: str | None = None
    max_abs_diff: float | None = None


def compare(expected: Any, actual: Any, exact: bool, device: str = "cpu") -> Comparison:
    """Walk two snapshots side by side; `exact` asks for equal bits, else the dtype's tolerance on `device` holds."""
    result = Comparison(device)
    _walk(expected, actual, "", exact, result)
    return result


def _walk(expected: Any, actual: Any, where: str, exact: bool, result: Comparison) -> None:
    if isinstance(expected, torch.Tensor) and isinstance(actual, torch.Tensor):
        found = _tensors(expected, actual, exact, result)
    elif type(expected) is not type(actual):
        found = f"is {_kind(actual)}, was {_kind(expected)}"
    elif isinstance(expected, Leaf):
        found = None if _leaves(expected, actual, exact) else f"is {actual.value!r}, was {expected.value!r}"
    elif isinstance(expected, dict) and list(expected) != list(actual):
        found = f"has other keys: {sorted(set(expected) ^ set(actual)) or 'their order'}"
    elif len(expected) != len(actual):
        found = f"has {len(actual)} items, had {len(expected)}"
    else:
        found = None
        for key in expected if isinstance(expected, dict) else range(len(expected)):
            step = key if isinstance(key, str) else f"[{key}]"
            _walk(expected[key], actual[key], f"{where}{' ' if step.isidentifier() else ''}{step}", exact, result)
    if found and result.difference is None:
        result.difference = f"{where} {found}".lstrip()


def _kind(value: Any) -> str:
    return value.type if isinstance(value, Leaf) else type(value).__name__


def _leaves(expected: Leaf, actual: Leaf, exact: bool) -> bool:
    a, b = expected.value, actual.value
    if expected.type != actual.type:
        return False
    if isinstance(a, float) and isinstance(b, float) and not (math.isnan(a) and math.isnan(b)):
        return a == b if exact else math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-6)
    return bool(a == b) or (a != a and b != b)


def _tensors(expected: torch.Tensor, actual: torch.Tensor, exact: bool, result: Comparison) -> str | None:
    for attribute in ("dtype", "shape", "layout", "requires_grad"):
        was, now = getattr(expected, attribute), getattr(actual, attribute)
        if was != now:
            return f"{attribute} is {now}, was {was}"
    if exact and expected.layout is torch.strided and expected.stride() != actual.stride():
        return f"strides are {actual.stride()}, were {expected.stride()}"
    if torch.equal(_bytes(expected), _bytes(actual)):
        if expected.dtype in TOLERANCES:
            result.max_abs_diff = max(result.max_abs_diff or 0.0, 0.0)
        return None
    tolerance = tolerance_of(expected.dtype, result.device)
    if tolerance is None:
        return "has other values"
    expected, actual = expected.detach(), actual.detach()
    wide = torch.complex128 if expected.is_complex() else torch.float64
    was, now = expected.to(wide), actual.to(wide)
    finite = torch.isfinite(was) & torch.isfinite(now)
    gap = float((was - now)[finite].abs().max()) if bool(finite.any()) else 0.0
    result.max_abs_diff = max(result.max_abs_diff or 0.0, gap)
    if exact:
        nan = torch.isnan(was) & torch.isnan(now)  # their bits depend on how a kernel is vectorised
        if torch.equal(_bytes(torch.where(nan, 0, expected)), _bytes(torch.where(nan, 0, actual))):
            return None
        return f"differs in its bits, by at most {gap:.3g}"
    scale = float(was[finite].abs().max()) if bool(finite.any()) else 0.0
    if torch.allclose(was, now, rtol=tolerance, atol=tolerance * scale, equal_nan=True):
        return None
    if not torch.equal(torch.isfinite(was), torch.isfinite(now)):
        return "has numbers where it had infinities or NaN, or the other way round"
    return f"differs by {gap:.3g}, more than {expected.dtype} may ({tolerance:g} of {scale:.3g})"
