"""Calls written anew: their arguments as parts of a template."""

from __future__ import annotations

import ast


def arguments(call: ast.Call, but: ast.keyword | None = None) -> tuple[list[str], dict[str, ast.AST]]:
    """The arguments of a call as texts for a template, and the parts that they name; `but` is left out."""
    parts: dict[str, ast.AST] = {}
    texts = []
    for number, one in enumerate([*call.args, *(word for word in call.keywords if word is not but)]):
        name = f"part{number}"
        parts[name] = one.value if isinstance(one, ast.keyword | ast.Starred) else one
        if isinstance(one, ast.keyword):
            texts.append(f"{one.arg}={{{name}}}" if one.arg else f"**{{{name}}}")
        else:
            texts.append(f"*{{{name}}}" if isinstance(one, ast.Starred) else f"{{{name}}}")
    return texts, parts
