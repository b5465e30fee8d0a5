"""Which node a frame stands for."""

from __future__ import annotations

import ast
from pathlib import Path

from graphfix.scan.place import node_of
from graphfix.source.sources import Sources


def test_columns_that_fit_no_expression_stand_for_the_statement(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text("def f(x, n):\n    y = x[:, : n] * 2\n    return y\n")

    def segment(column: int | None, end: int | None) -> str:
        frame = {"path": str(path), "line": 2, "column": column, "end_line": 2, "end_column": end}
        found = node_of(frame, Sources())
        assert found is not None
        return ast.unparse(found[1])

    assert segment(8, 17) == "x[:, :n]"
    assert segment(13, 21) == "y = x[:, :n] * 2"  # what a backend prints for several instructions
    assert segment(None, None) == "y = x[:, :n] * 2"
