"""Corrects the line numbers of the functions that Dynamo makes to resume after a break."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

from torch._dynamo import bytecode_transformation


@contextlib.contextmanager
def right_lines() -> Iterator[None]:
    """Let Dynamo write each step between lines once.

    torch (2.13) repeats the step in every chunk of 8 code units of one instruction. A method that is looked up on a
    line of its own takes 11 on Python 3.11: all later lines of the resumed function were one too high.
    """
    writer = getattr(bytecode_transformation, "linetable_311_writer", None)
    if writer is None:
        yield
        return

    def corrected(first_line: int) -> tuple[Any, Any]:
        table, update = writer(first_line)

        def whole(positions: Any, size: int) -> None:
            while size > 8:
                update(positions, 8)
                size -= 8
            update(positions, size)

        return table, whole

    with mock.patch.object(bytecode_transformation, "linetable_311_writer", corrected):
        yield
