"""Rules are found by themselves, packs included, and chosen by prefix."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run

from graphfix.errors import ConfigError
from graphfix.model import Break, Location
from graphfix.registry import all_rules, repairing, selected

ROOT = Path(__file__).resolve().parent.parent

PACK = """
from graphfix.rule import Rule, Safety

class _Shared(Rule):
    pass

class Mine(_Shared):
    code, name, title, safety = "{code}", "{name}", "mine", Safety.PROVEN
    repairs, cases = frozenset({{"GB0124"}}), ()
"""


def codes(folder: Path, entry: str, files: dict[str, str]) -> str:
    """What a fresh process with the pack installed prints: all codes, or the error."""
    info = folder / "my_rules-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-rules\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[graphfix.rules]\nmine = {entry}\n")
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    script = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(folder)!r}]\n"
    script += "from graphfix.registry import all_rules\nfrom graphfix.errors import ConfigError\n"
    script += "try: print(*[rule.code for rule in all_rules()])\nexcept ConfigError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_built_in_rules_come_by_code() -> None:
    found = [rule.code for rule in all_rules()]
    assert found == sorted(set(found))
    assert "GF101" in found
    assert len(found) == len([path for path in (ROOT / "rules").glob("*.py") if not path.name.startswith("_")])


def test_a_pack_is_found_by_its_entry_point(tmp_path: Path) -> None:
    found = codes(tmp_path, "my_rules", {"my_rules.py": PACK.format(code="MY001", name="mine")})
    assert found.split() == [*(rule.code for rule in all_rules()), "MY001"]


def test_a_pack_may_be_named_in_the_configuration(tmp_path: Path, graphfix: Run) -> None:
    (tmp_path / "my_rules.py").write_text(PACK.format(code="MY001", name="mine"))
    (tmp_path / "pyproject.toml").write_text('[tool.graphfix]\nrule-packs = ["my_rules"]\nselect = ["MY"]\n')
    (tmp_path / "model.py").write_text("import torch\n")
    assert graphfix("scan", "model.py").returncode == 0
    (tmp_path / "pyproject.toml").write_text('[tool.graphfix]\nrule-packs = ["absent_rules"]\n')
    done = graphfix("scan", "model.py")
    assert (done.returncode, "rule pack 'absent_rules' cannot be loaded" in done.stderr) == (2, True)


def test_a_package_may_gather_its_rules(tmp_path: Path) -> None:
    files = {"pack/__init__.py": "from .one import Mine", "pack/one.py": PACK.format(code="MY001", name="mine")}
    assert codes(tmp_path, "pack", files).endswith(" MY001")


@pytest.mark.parametrize(
    ("entry", "text", "message"),
    [
        (
            "my_rules",
            PACK.format(code="GF101", name="mine"),
            "two rules are called GF101; uninstall one of their packs.",
        ),
        ("my_rules", PACK.format(code="MY001", name="item-in-fill"), "two rules are called item-in-fill; uninstall"),
        ("my_rules", "import no_such_thing", "rule pack 'my_rules' cannot be loaded: No module named 'no_such_thing'."),
        ("gone", "", "rule pack 'gone' cannot be loaded: No module named 'gone'. Update or uninstall it."),
        ("my_rules", "", "rule pack 'my_rules' is no module with rules; update or uninstall it."),
        ("my_rules:Mine", PACK.format(code="MY001", name="mine"), "rule pack 'my_rules:Mine' is no module with rules"),
    ],
)
def test_packs_that_do_not_fit(tmp_path: Path, entry: str, text: str, message: str) -> None:
    assert codes(tmp_path, entry, {"my_rules.py": text}).startswith(message)


def test_prefixes_select_and_ignore() -> None:
    every = {rule.code for rule in all_rules()}
    assert {rule.code for rule in selected()} == every
    assert {rule.code for rule in selected(["GF1"])} == {code for code in every if code.startswith("GF1")}
    assert [rule.code for rule in selected(["GF101"])] == ["GF101"]
    assert [rule.code for rule in selected(["item-in-fill"])] == ["GF101"]
    assert {rule.code for rule in selected(ignore=["GF3", "item-in-fill"])} == {
        code for code in every if not code.startswith("GF3") and code != "GF101"
    }
    assert selected(["GF101"], ["GF1"]) == ()


@pytest.mark.parametrize(("select", "ignore"), [(["GF9999"], []), ([], ["item"]), (["GF101", "x"], [])])
def test_an_unknown_prefix(select: list[str], ignore: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"^no rule is called '.*'; `graphfix rules` lists them\.$"):
        selected(select, ignore)


def test_the_safest_rule_that_repairs_a_break_comes_first() -> None:
    def safeties(id_: str) -> list[str]:
        return [rule.safety for rule in repairing(Break(id_, "", "", (), Location("a.py", 1), "f"), all_rules())]

    order = ["exact", "proven", "unsafe"]
    assert safeties("GB0124") == sorted(safeties("GB0124"), key=order.index) != []
    assert safeties("GB9999") == []


def test_a_compiler_failure_is_repaired_by_what_it_says() -> None:
    def codes(text: str, id_: str | None = None) -> list[str]:
        return [rule.code for rule in repairing(Break(id_, "", text, (), Location("a.py", 1), "f"), all_rules())]

    assert codes("RuntimeError: Cannot set version_counter for inference tensor") == ["GF501"]
    assert codes("RuntimeError: Cannot set version_counter for inference tensor", "GB9999") == []
    assert codes("RuntimeError: out of memory") == []
