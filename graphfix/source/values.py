"""What an expression stands for, as far as its text shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum


class Kind(Enum):
    """The kinds of values that matter to Dynamo's tracing."""

    NOTHING = "nothing"
    """No value reaches the place, or one that is being worked out: joins with anything."""
    UNKNOWN = "unknown"
    NONE = "None"
    PLAIN = "plain"
    """A Python number, text, dtype, device and the like: never a tensor."""
    SIZE = "size"
    """A shape: its elements are plain."""
    TENSOR = "tensor"
    TENSORS = "tensors"
    """A sequence of tensors."""


@dataclass(frozen=True, slots=True)
class Value:
    """A kind, and how far it is to be trusted.

    `sure`: the text leaves no doubt. `optional`: None is possible as well. `boolean`: a tensor of truth values.
    `items` are the elements of a tuple whose length the text shows.
    """

    kind: Kind
    sure: bool = True
    optional: bool = False
    boolean: bool = False
    items: tuple[Value, ...] | None = None

    @property
    def is_tensor(self) -> bool:
        return self.kind is Kind.TENSOR

    @property
    def unsure(self) -> Value:
        """The same, guessed."""
        return replace(self, sure=False)

    @property
    def element(self) -> Value:
        """What a loop over it, or an index into it, gives."""
        if self.kind is Kind.TENSOR:
            return replace(self, optional=False, items=None)
        if self.kind is Kind.TENSORS:
            return joined(self.items) if self.items else Value(Kind.TENSOR, self.sure)
        if self.kind in (Kind.SIZE, Kind.PLAIN):
            return PLAIN
        return joined(self.items) if self.items else UNKNOWN

    def item(self, number: int) -> Value:
        """What the element at a constant index is."""
        if self.items is not None and -len(self.items) <= number < len(self.items):
            return self.items[number]
        return self.element


NOTHING = Value(Kind.NOTHING)
UNKNOWN = Value(Kind.UNKNOWN)
NONE = Value(Kind.NONE)
PLAIN = Value(Kind.PLAIN)
SIZE = Value(Kind.SIZE)
TENSOR = Value(Kind.TENSOR)
BOOLEAN = Value(Kind.TENSOR, boolean=True)
TENSORS = Value(Kind.TENSORS)


def sequence(items: Iterable[Value]) -> Value:
    """The tuple or list of these values."""
    items = tuple(items)
    whole = joined(items)
    if whole.kind is Kind.TENSOR and not whole.optional:
        return Value(Kind.TENSORS, whole.sure, items=items)
    return Value(Kind.SIZE if items and whole.kind is Kind.PLAIN else Kind.UNKNOWN, items=items)


def joined(values: Iterable[Value]) -> Value:
    """What is known where any of the values may have come."""
    whole = NOTHING
    for value in values:
        if whole is value or value.kind is Kind.NOTHING:
            continue
        whole = value if whole.kind is Kind.NOTHING else _join(whole, value)
    return whole


def _join(one: Value, other: Value) -> Value:
    if Kind.NONE in (one.kind, other.kind):
        value = other if one.kind is Kind.NONE else one
        return replace(value, optional=True) if value.kind is not Kind.UNKNOWN else UNKNOWN
    if one.kind is not other.kind:
        return UNKNOWN
    sure, optional = one.sure and other.sure, one.optional or other.optional
    same_length = one.items is not None and other.items is not None and len(one.items) == len(other.items)
    items = tuple(map(_join, one.items or (), other.items or ())) if same_length else None
    return Value(one.kind, sure, optional, one.boolean and other.boolean, items)
