"""Frames are read from a printed traceback; carets give the columns where the source is here."""

from __future__ import annotations

from pathlib import Path

from graphfix.printed import frames_in


def test_carets_give_columns_in_bytes(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text("def f(größe, t):\n    é = größe[t] * 2\n", encoding="utf-8")
    (frame,) = frames_in(f'  File "{path}", line 2, in f\n    é = größe[t] * 2\n        ^^^^^^^^\n')
    line = "    é = größe[t] * 2".encode()
    assert line[frame["column"] : frame["end_column"]].decode() == "größe[t]"
    assert (frame["line"], frame["end_line"], frame["function"]) == (2, 2, "f")


def test_without_carets_or_source_there_are_no_columns() -> None:
    text = '  File "/gone/model.py", line 2, in f\n    x[t]\n    ^^^^\n  File "/gone/other.py", line 3, in g\n    h()\n'
    assert [(frame["path"], frame["line"], frame["column"]) for frame in frames_in(text)] == [
        ("/gone/model.py", 2, None),
        ("/gone/other.py", 3, None),
    ]
