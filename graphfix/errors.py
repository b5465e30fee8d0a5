"""What can go wrong, as sentences a user can act on. Every GraphfixError ends the command with exit code 2."""

from __future__ import annotations

from collections.abc import Iterable


class GraphfixError(Exception):
    """One sentence on what happened and one on what to do; printed without a traceback."""


class UsageError(GraphfixError):
    """The command line named something that is not there or makes no sense."""


class ConfigError(GraphfixError):
    """`[tool.graphfix]` holds something graphfix does not understand."""


class TargetError(GraphfixError):
    """A target could not be found, or is not what a target must be."""


class SourceError(GraphfixError):
    """A source file could not be read, parsed or rewritten."""


class CannotRewrite(SourceError):
    """A place has a shape that a rewrite cannot take (two statements on a line, an elif that would split)."""


class WriteError(GraphfixError):
    """Files could not be written; nothing was changed."""


def nearest(word: str, known: Iterable[str]) -> str:
    """The question that a mistyped word deserves, `did you mean 'select'?`; empty where no known word is near."""
    import difflib

    found = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean {found[0]!r}?" if found else ""
