"""graphfix works in the three ways that it can be had: a wheel, an editable install, a bare checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(folder: Path, *command: str | Path, path: Path | None = None) -> str:
    """What a command prints that runs in `folder` and must succeed; `path` alone is added to Python's own path."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"PYTHONIOENCODING": "utf-8"} | ({"PYTHONPATH": str(path)} if path else {})
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def places(folder: Path, *options: str, path: Path | None = None) -> list[Path]:
    """The folders that an interpreter takes graphfix and its rules from."""
    program = "import graphfix, graphfix.rules as rules; print(graphfix.__file__); print(rules.__file__)"
    shown = run(folder, sys.executable, *options, "-c", program, path=path)
    return [Path(line).resolve().parent for line in shown.splitlines()]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git holds or would take, in a folder with a space."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git and a clone, to know which files belong to the project")
    copy = tmp_path_factory.mktemp("a checkout")
    for name in run(ROOT, *listed).split("\0"):
        if name and (ROOT / name).is_file():  # not deleted meanwhile
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `python -m build` makes of the checkout, without fetching anything."""
    folder = tmp_path_factory.mktemp("wheel")
    run(checkout, sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder)
    (made,) = folder.glob("graphfix-*.whl")
    return made


def test_the_wheel_holds_the_package_its_rules_and_its_license_only(wheel: Path, checkout: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    (info,) = {name.split("/")[0] for name in names} - {"graphfix"}
    assert info.endswith(".dist-info")
    assert {"graphfix/py.typed", "graphfix/rules/item_in_fill.py", f"{info}/licenses/LICENSE"} <= names
    sources = {f"graphfix/{path.relative_to(checkout / 'graphfix')}" for path in (checkout / "graphfix").rglob("*.py")}
    sources |= {f"graphfix/rules/{path.name}" for path in (checkout / "rules").glob("*.py")}
    assert {name for name in names if name.endswith(".py")} == sources


def test_the_installed_wheel_runs_by_itself(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "installed here"
    run(tmp_path, sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--no-index", "--target", place, wheel)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    # -P keeps the current folder off the path; PYTHONPATH comes before an editable install.
    assert places(elsewhere, "-P", path=place) == [place / "graphfix", place / "graphfix" / "rules"]
    assert "GF101" in run(elsewhere, sys.executable, "-P", "-m", "graphfix", "rules", path=place)


def test_the_editable_install_runs_from_anywhere(tmp_path: Path) -> None:
    # The first one found may be the graphfix.egg-info that an editable install leaves in the checkout.
    origins = [json.loads(found.read_text("direct_url.json") or "{}") for found in distributions(name="graphfix")]
    if not any(origin.get("dir_info", {}).get("editable") for origin in origins):
        pytest.skip("graphfix is not installed in editable mode here; make test does that")

    assert places(tmp_path, "-P") == [ROOT / "graphfix", ROOT / "rules"]
    assert "GF101" in run(tmp_path, Path(sys.executable).with_name("graphfix"), "rules")


def test_a_bare_checkout_runs_in_its_folder(checkout: Path) -> None:
    assert places(checkout) == [checkout / "graphfix", checkout / "rules"]
    assert "GF101" in run(checkout, sys.executable, "-m", "graphfix", "rules")
