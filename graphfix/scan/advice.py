"""What to do about a recompilation, read off the guard that failed."""

from __future__ import annotations

import re

_ADVICE = (
    (
        r"tensor '(?P<name>[^']+)' size mismatch at index (?P<dim>\d+)\. expected (?P<was>\d+), actual (?P<now>\d+)",
        "dimension {dim} of {name} varies: `torch._dynamo.mark_dynamic({name}, {dim})` before the first call, or "
        "`torch.compile(dynamic=True)`, gives one graph for all sizes",
    ),
    (
        r"\d+ <= (?P<name>.+)\.size\(\)\[(?P<dim>\d+)\]|(?P<name1>.+)\.size\(\)\[(?P<dim1>\d+)\] [!=]= ",
        "a size of {name} decides how it is compiled (sizes 0 and 1 always are compiled on their own): pad it, or "
        "accept one graph for each",
    ),
    (
        r"tensor '(?P<name>[^']+)' (?P<what>stride|rank|dtype|device|requires_grad|dispatch key set) mismatch",
        "the {what} of {name} differs between calls: make it the same before the call, or accept one graph for each",
    ),
    (
        r"len\((?P<name>.+)\) == \d+$|not (?P<name1>\S+)$",
        "the length of {name} varies: stack it into one tensor, or keep its length",
    ),
    (
        r"(?P<name>\S+) == -?\d+$|(?P<name1>\S+) != 0$",
        "the Python int {name} varies: pass it as a 0-dim tensor, or compile with `dynamic=True`; hoist it into a "
        "constant where it need not vary",
    ),
    (
        r"(?P<name>\S+) == -?[\d.]+(e-?\d+)?$",
        "the Python float {name} varies: pass it as a 0-dim tensor, or hoist it into a constant",
    ),
    (
        r"(?P<name>\S+) == '|(?P<name1>\S+) == (True|False)$",
        "the option {name} varies: one graph for each of its values; hoist it into a constant where it need not vary",
    ),
    (
        r"(?P<name>\S+) is (not )?None$",
        "{name} is filled or left out between calls: fill it before compiling (one eager call will do), or always "
        "pass it",
    ),
    (r"Duplicate tensors found", "the same tensor was passed twice in one call and not in another: pass a copy"),
    (
        r"___check_(obj|type)_id\((?P<name>[^,]+),",
        "{name} is another object than before: make it once and reuse it",
    ),
)

_ATTRIBUTE = (
    "the attribute {name} changes between calls: hold it in a buffer, keep it out of the compiled function, or set "
    "`torch._dynamo.config.allow_unspec_int_on_nn_module = True`"
)
_RESULT = "the value that an earlier graph break handed over varies: it goes with that break"


def advice(reason: str) -> str | None:
    """One sentence for a guard of `torch._dynamo` (2.11 to 2.13), None for one that is not known."""
    if "___stack" in reason:
        return _RESULT
    for pattern, text in _ADVICE:
        if match := re.search(pattern, reason):
            found = {key.rstrip("1"): value for key, value in match.groupdict().items() if value is not None}
            if "int {name}" in text and "." in found["name"]:
                text = _ATTRIBUTE
            return text.format(**found)
    return None
