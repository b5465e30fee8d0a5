"""The collector sees breaks that `torch._dynamo.explain` leaves out, and survives what users do to logging."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import Run, report, run_graphfix

SITUATIONS = {
    "before the first op": "n = x.sum().item()\n    return x + n",
    "in a loop": "for _ in range(2):\n        x = x + x.sum().item()\n    return x",
    "in try": "try:\n        x = x + x.sum().item()\n    finally:\n        x = x * 2\n    return x",
    "in with": "with torch.no_grad():\n        x = x + x.sum().item()\n    return x * 2",
    "in a nested call": "def inner(v):\n        return v + v.sum().item()\n    return inner(x) * 2",
    "in a generator": "return sum(v + v.sum().item() for v in (x, x))",
    "over two lines": "y = (x\n         .sum().item())\n    return x + y",
    "in a comprehension": "return sum([v * v.sum().item() for v in (x, x)])",
    "after set_logs": "torch._logging.set_logs(graph_breaks=False)\n    n = x.sum().item()\n    return x + n",
    "after dictConfig": "import logging.config\n"
    "    logging.config.dictConfig({'version': 1, 'disable_existing_loggers': True})\n"
    "    n = x.sum().item()\n    return x + n",
}


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[str, list[dict[str, Any]]]]:
    """The file's lines, and the sites of each situation, all scanned in one go."""
    folder = tmp_path_factory.mktemp("situations")
    text = "import graphfix, torch\n"
    for number, body in enumerate(SITUATIONS.values()):
        text += f"\ndef f{number}(x):\n    {body}\n"
        text += f"\n@graphfix.target\ndef t{number}():\n    yield graphfix.Call(f{number}, torch.ones(3))\n"
    (folder / "situations.py").write_text(text)
    done = run_graphfix("scan", "situations.py", "--format", "json", "--jobs", "2", cwd=folder)
    rows = report(done)["targets"]
    return text.splitlines(), {name: row["sites"] for name, row in zip(SITUATIONS, rows, strict=True)}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_item_is_found_at_its_place(scanned: tuple[list[str], dict[str, list[dict[str, Any]]]], situation: str) -> None:
    lines, sites = scanned
    found = [site for site in sites[situation] if site["id"] == "GB0124"]
    assert found, f"no GB0124 among {[site['id'] for site in sites[situation]]}"
    for site in found:
        last = lines[site["end_line"] - 1][: site["end_column"]]
        generator = situation == "in a generator"  # Dynamo gives the place of the call that runs it
        assert ".item()" in last if generator else last.endswith(".item()")


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
