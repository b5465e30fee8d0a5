"""A break in other people's code is shown in the user's; all other situations are in test_situations.py."""

from __future__ import annotations

from pathlib import Path

from conftest import Run, report


def test_a_break_inside_a_library_is_shown_where_the_model_calls_it(graphfix: Run, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("import time\n\ndef tick():\n    return time.time()\n")
    (tmp_path / "model.py").write_text(
        "import helper, graphfix, torch\n\n"
        "def f(x):\n    y = x + 1\n    helper.tick()\n    return y * 2\n\n"
        "def t():\n    yield graphfix.Call(f, torch.ones(3))\n"
    )
    (site,) = report(graphfix("scan", "model.py::t", "--format", "json"))["targets"][0]["sites"]
    assert (Path(site["path"]).name, site["line"]) == ("model.py", 5)
    assert (Path(site["real"]["path"]).name, site["real"]["line"]) == ("helper.py", 4)
