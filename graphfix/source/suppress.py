"""`# graphfix: ignore[GF101]` comments."""

from __future__ import annotations

import io
import re
import tokenize

from graphfix.source.module import Module

_COMMENT = re.compile(r"#\s*graphfix:\s*ignore(?:\s*\[(?P<codes>[^\]]*)\]|(?!\s*[\[(])(?![\w-]))")


def is_suppressed(module: Module, line: int, code: str, name: str = "") -> bool:
    """Whether the line carries a comment that silences this rule (by code, code prefix or name), or all rules."""
    found = _COMMENT.search(_comment(module, line))
    if not found:
        return False
    if found["codes"] is None:
        return True
    codes = [part.strip() for part in found["codes"].split(",") if part.strip()]
    return any(code.startswith(part) or part == name for part in codes)


def _comment(module: Module, line: int) -> str:
    """The comment at the end of a line; a string that looks like one is none."""
    if not _COMMENT.search(module.line(line)):
        return ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
            if token.type == tokenize.COMMENT and token.start[0] == line:
                return token.string
    except (tokenize.TokenError, SyntaxError):
        pass
    return ""
