"""`# graphfix: ignore[GF101]` comments."""

from __future__ import annotations

import re

from graphfix.source.module import Module

_COMMENT = re.compile(r"#\s*graphfix:\s*ignore(?:\[(?P<codes>[^\]]*)\])?")


def is_suppressed(module: Module, line: int, code: str, name: str = "") -> bool:
    """Whether the line carries a comment that silences this rule (by code, code prefix or name), or all rules."""
    found = _COMMENT.search(module.line(line))
    if not found:
        return False
    if found["codes"] is None:
        return True
    codes = [part.strip() for part in found["codes"].split(",") if part.strip()]
    return any(code.startswith(part) or part == name for part in codes)
