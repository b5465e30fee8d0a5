"""File scans as tuples of plain values, which `marshal` writes and reads fast, and back."""

from __future__ import annotations

from typing import Any

from graphfix.model import Certainty, Finding, Location, Safety
from graphfix.scan.link import FileScan, FunctionFacts
from graphfix.source.reach import Reach
from graphfix.source.suppress import Suppression

Packed = tuple[Any, ...]


def packed(scan: FileScan) -> Packed:
    """A scan without its path: the same text at another place is the same scan."""
    return (
        tuple(map(_pack_finding, scan.findings)),
        tuple(
            (one.line, one.column, one.end_column, one.text, one.first, one.last, one.codes)
            for one in scan.suppressions
        ),
        scan.error,
        tuple((one.name, one.reach.value, one.local, one.foreign) for one in scan.functions),
    )


def unpacked(path: str, scan: Packed) -> FileScan:
    """The scan of the file at `path`."""
    findings, suppressions, error, functions = scan
    return FileScan(
        path,
        tuple(_unpack_finding(path, one) for one in findings),
        tuple(Suppression(*one) for one in suppressions),
        error,
        tuple(FunctionFacts(name, Reach(reach), local, foreign) for name, reach, local, foreign in functions),
    )


def _pack_finding(one: Finding) -> Packed:
    at = one.location
    place = (at.line, at.column, at.end_line, at.end_column)
    safety = one.safety.value if one.safety is not None else None
    return (place, one.rule, one.message, one.code, one.certainty.value, one.function, safety)


def _unpack_finding(path: str, one: Packed) -> Finding:
    place, rule, message, code, certainty, function, safety = one
    known = Safety(safety) if safety is not None else None
    return Finding(Location(path, *place), rule, message, code, None, None, Certainty(certainty), function, known)
