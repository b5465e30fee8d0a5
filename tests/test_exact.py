"""The fixes that need no run: made once, only where they count, and nothing beside them changed."""

from __future__ import annotations

import ast
import codecs
import json
import os
import py_compile
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, Run

from graphfix.apply.exact import Exact, apply_exact
from graphfix.model import Finding, FixStatus, Safety
from graphfix.registry import selected
from graphfix.rule import Rewrite, Rule, Site
from graphfix.scan.filtered import Filter
from graphfix.scan.fixes import with_fixes
from graphfix.scan.static import FileScan, scan_file
from graphfix.source.module import Module
from graphfix.source.sources import Sources

MODEL = '''\
"""A model."""
import torch


class Net(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        print("step", x.shape)
        y = torch.zeros(3)
        y.fill_(x.mean().item())  # the mean
        print("silenced")  # graphfix: ignore[log-call]
        return y
'''
GUARDED = "        if not torch.compiler.is_compiling():\n            "
FIXED = MODEL.replace('        print("step"', f'{GUARDED}print("step"').replace(
    "x.mean().item()", "x.mean().detach().reshape(())"
)
PLAIN = (
    'from torch import nn\n\n\nclass Net(nn.Module):\n    def forward(self, x):\n        print("é")\n        return x\n'
)
PLAIN_FIXED = PLAIN.replace("from torch import nn\n", "import torch\nfrom torch import nn\n").replace(
    "        print", f"{GUARDED}print"
)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(text: str, name: str = "model.py") -> Exact:
    Path(name).write_text(text)
    keep = Filter(selected(), frozenset(rule.code for rule in selected())).kept
    return apply_exact(Sources(), [Path(name)], selected(), keep)


def text(found: Exact, name: str = "model.py") -> str:
    return found.sources.module(name).text


def test_exact_fixes_are_made_once() -> None:
    first = made(MODEL)
    assert text(first) == FIXED
    assert [(one.rule, one.line, one.safety, one.status) for one in first.records] == [
        ("GF301", 7, Safety.EXACT, FixStatus.KEPT),
        ("GF101", 9, Safety.EXACT, FixStatus.KEPT),
    ]
    assert first.left == ()
    assert Path("model.py").read_text() == MODEL
    second = made(FIXED)
    assert (second.records, second.sources.patched) == ((), {})


def test_the_order_of_the_text_is_the_order_of_the_report_and_an_import_moves_no_place() -> None:
    calls = [f'        print("{n}")\n' for n in range(4)]
    found = made(PLAIN.replace('        print("é")\n', "".join(calls)))
    assert [one.line for one in found.records] == [6, 7, 8, 9]
    fixed = "".join(call.replace("        ", GUARDED) for call in calls)
    assert text(found) == PLAIN_FIXED.replace(f'{GUARDED}print("é")\n', fixed)


def test_fixes_within_each_other_are_all_made() -> None:
    loop = "        for i in tqdm(range(3)):\n            print(i)\n            y = y.fill_(x.sum().item())\n"
    before = MODEL.replace("        return y\n", f"{loop}        return y\n").replace(
        "import torch\n", "import torch\nfrom tqdm import tqdm\n"
    )
    found = made(before)
    assert [one.rule for one in found.records] == ["GF301", "GF101", "GF302", "GF301", "GF101"]
    assert "for i in range(3) if torch.compiler.is_compiling() else tqdm(range(3)):\n            if not torch." in text(
        found
    )
    assert made(text(found)).records == ()


def test_what_does_not_count_is_left_as_it_is() -> None:
    Path("model.py").write_text(MODEL)
    rules = selected()

    def keep(scan: FileScan) -> list[Finding]:
        return [finding for finding in scan.findings if finding.rule == "GF101"]

    fills_only = apply_exact(Sources(), [Path("model.py")], rules, keep)
    assert [one.rule for one in fills_only.records] == ["GF101"]
    assert text(fills_only) == MODEL.replace("x.mean().item()", "x.mean().detach().reshape(())")
    all_of_them = apply_exact(Sources(), [Path("model.py")], rules)
    assert [one.line for one in all_of_them.records] == [7, 9, 10]


def test_twins_of_which_a_comment_silences_one() -> None:
    silenced = '        # graphfix: ignore[GF301]\n        print("twin")\n'
    twin = '        print("twin")\n'
    body = f"{silenced}{twin}"
    for before, after in ((body, silenced + twin.replace("        ", GUARDED)), (twin + silenced, None)):
        source = MODEL.replace("        return y\n", f"{before}        return y\n")
        expected = after or twin.replace("        ", GUARDED) + silenced
        assert text(made(source)) == FIXED.replace("        return y\n", f"{expected}        return y\n")


def test_what_needs_a_run_is_left() -> None:
    found = made(
        "import torch\n@torch.compile\ndef f(x: torch.Tensor):\n    if (x == 0).any():\n        x[x == 0] = 1.0\n"
    )
    assert found.records == ()
    assert [one.rule for one in found.left] == ["GF201"]
    assert found.sources.patched == {}


def test_a_place_that_cannot_be_fixed_stays_and_does_not_stop_the_others() -> None:
    two = '        print("one"); print("two")\n'
    found = made(MODEL.replace("        return y\n", f"{two}        return y\n"))
    assert text(found) == FIXED.replace("        return y\n", f"{two}        return y\n")
    assert [one.rule for one in found.left] == ["GF301", "GF301"]
    assert made(text(found)).records == ()


def test_what_a_fix_brings_to_light_is_fixed_as_well() -> None:
    found = made(MODEL.replace("import torch\n", "from torch import nn\n").replace("torch.nn.Module", "nn.Module"))
    assert [one.rule for one in found.records] == ["GF301", "GF101"], "torch.zeros is known by the import of torch"
    assert made(text(found)).records == ()


class _Again(Rule):
    """A rule that finds its own output."""

    code, name, title, safety = "GF999", "again-rule", "go on for ever", Safety.EXACT
    repairs = frozenset({"GB0124"})

    def find(self, module: Module) -> Iterator[Site]:
        yield from (Site(module, node) for node in ast.walk(module.tree) if isinstance(node, ast.Return))

    def rewrite(self, site: Site) -> Rewrite | None:
        assert isinstance(site.node, ast.Return)
        assert site.node.value is not None
        return site.replace(site.node, "return ({value}) + 1\n", value=site.node.value)


def test_a_rule_that_finds_its_own_output_changes_nothing() -> None:
    Path("model.py").write_text(MODEL)
    found = apply_exact(Sources(), [Path("model.py")], [_Again()])
    assert (found.records, [one.rule for one in found.left]) == ((), ["GF999"])
    assert found.sources.patched == {}


def test_fixes_are_made_on_top_of_what_is_patched() -> None:
    Path("model.py").write_text("import torch\n")
    path = str(Path("model.py").resolve())
    found = apply_exact(Sources({path: PLAIN}, {path: "import torch\n"}), [Path("model.py")], selected())
    assert text(found) == PLAIN_FIXED
    assert found.sources.originals == {path: "import torch\n"}


BOM = codecs.BOM_UTF8
ENCODED = {
    "utf8": (PLAIN.encode(), PLAIN_FIXED.encode()),
    "bom": (BOM + PLAIN.encode(), BOM + PLAIN_FIXED.encode()),
    "crlf": (PLAIN.replace("\n", "\r\n").encode(), PLAIN_FIXED.replace("\n", "\r\n").encode()),
    "bom_crlf": (BOM + PLAIN.replace("\n", "\r\n").encode(), BOM + PLAIN_FIXED.replace("\n", "\r\n").encode()),
    "latin": tuple(f"# coding: latin-1\n{one}".encode("latin-1") for one in (PLAIN, PLAIN_FIXED)),
    "tabs": tuple(one.replace("    ", "\t").encode() for one in (PLAIN, PLAIN_FIXED)),
    "form_feed": tuple(one.replace("\n\n\nclass", "\n\n\f\nclass").encode() for one in (PLAIN, PLAIN_FIXED)),
    "no_end": (PLAIN.rstrip("\n").encode(), PLAIN_FIXED.rstrip("\n").encode()),
    "blanks": tuple(one.replace("return x", "return x   ").encode() + b"   \n\n" for one in (PLAIN, PLAIN_FIXED)),
}


@pytest.mark.parametrize("name", ENCODED)
def test_nothing_but_the_fix_changes_a_byte_of_the_file(graphfix: Run, name: str) -> None:
    before, after = ENCODED[name]
    Path(f"{name}.py").write_bytes(before)
    done = graphfix("apply", f"{name}.py")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert Path(f"{name}.py").read_bytes() == after
    py_compile.compile(f"{name}.py", doraise=True)
    assert graphfix("apply", f"{name}.py", "--check").returncode == 0


def test_check_and_diff_write_nothing_and_say_that_something_would_change(graphfix: Run) -> None:
    Path("model.py").write_text(MODEL)
    assert graphfix("apply", "model.py", "--check").returncode == 1
    shown = graphfix("apply", "model.py", "--diff")
    assert shown.returncode == 1
    assert Path("model.py").read_text() == MODEL
    subprocess.run(["git", "apply", "-"], input=shown.stdout, text=True, check=True)
    assert Path("model.py").read_text() == FIXED
    assert graphfix("apply", "model.py", "--check").returncode == 0


def test_libcst_is_loaded_only_where_an_exact_rule_found_something() -> None:
    Path("model.py").write_text(MODEL)
    Path("branch.py").write_text(
        "import torch\n@torch.compile\ndef f(x: torch.Tensor):\n    if (x == 0).any():\n        x[x == 0] = 1\n"
    )
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom pathlib import Path\n"
    script += "from graphfix.apply.exact import apply_exact\nfrom graphfix.registry import selected\n"
    script += "from graphfix.source.sources import Sources\n"
    script += "apply_exact(Sources(), [Path(sys.argv[1])], selected())\nprint('libcst' in sys.modules)"
    for name, loaded in (("branch.py", "False\n"), ("model.py", "True\n")):
        done = subprocess.run([sys.executable, "-c", script, name], capture_output=True, text=True, check=True)
        assert done.stdout == loaded


def test_findings_get_the_fixes_of_their_rules() -> None:
    two = '        print("one"); print("two")\n'
    Path("model.py").write_text(MODEL.replace("        return y\n", f"{two}        return y\n"))
    Path("plain.py").write_text(PLAIN)
    found = [one for name in ("model.py", "plain.py") for one in scan_file(Path(name), selected()).findings]
    Path("gone.py").write_text(PLAIN)
    found += scan_file(Path("gone.py"), selected()).findings
    Path("gone.py").unlink()
    fixed = with_fixes(found, Sources(), selected())
    assert [(one.location, one.rule) for one in fixed] == [(one.location, one.rule) for one in found]
    assert [one.fix and one.fix.rule for one in fixed] == ["GF301", "GF101", "GF301", None, None, "GF301", None]
    assert fixed[1].fix is not None
    assert "+        y.fill_(x.mean().detach().reshape(()))  # the mean\n" in fixed[1].fix.diff


def test_the_source_on_stdin_gets_its_own_fixes_not_those_of_the_file(tmp_path: Path) -> None:
    Path("model.py").write_text(f"\n\n{PLAIN}")
    done = subprocess.run(
        [sys.executable, "-m", "graphfix", "scan", "-", "--stdin-filename", "model.py", "--format", "json"],
        input=PLAIN.replace('"é"', '"new"'),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    (finding,) = json.loads(done.stdout)["findings"]
    assert finding["line"] == 6
    assert '+            print("new")\n' in finding["fix"]["diff"]
