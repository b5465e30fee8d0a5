"""The repair loop: which form of a fix is kept, what mutated inputs show, what is left as a finding."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT

from graphfix.apply.repair import Kept, Policy, Repair
from graphfix.model import RECOMPILED, Edit, FixRecord, FixStatus, Target
from graphfix.prove.verify import default_backend
from graphfix.registry import all_rules
from graphfix.rule import Rewrite, Rule, Safety, Site
from graphfix.scan.dynamic import Options

pytestmark = pytest.mark.torch

HEAD = "import torch\nimport graphfix\n\n\n"


class KeepBody(Rule):
    """Replaces an `if` by its body: right only where the condition is always true."""

    code, name, title = "XX201", "keep-body", "keep the body"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170"})
    cases = ()

    def rewrite(self, site: Site) -> Rewrite | None:
        branch = site.enclosing(ast.If)
        return None if branch is None else site.replace(branch, "{body}\n", body=branch.body)


class Where(Rule):
    """`if c: y = a` / `else: y = b` becomes `y = torch.where(c, a, b)`."""

    code, name, title = "XX202", "where", "choose with where"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170"})
    cases = ()

    def rewrite(self, site: Site) -> Rewrite | None:
        branch = site.enclosing(ast.If)
        if branch is None or len(branch.body) != 1 or len(branch.orelse) != 1:
            return None
        yes, no = branch.body[0], branch.orelse[0]
        if not (isinstance(yes, ast.Assign) and isinstance(no, ast.Assign)):
            return None
        template = "{name} = {torch}.where({test}, {yes}, {no})\n"
        return site.replace(branch, template, name=yes.targets[0], test=branch.test, yes=yes.value, no=no.value)


class DualWhere(Where):
    """The same, with the original left for eager where the direct form is not proven."""

    code, name = "XX203", "dual-where"
    dual = True


def repaired(
    tmp_path: Path, function: str, calls: str, *rules: Rule, backend: str = "aot_eager", unsafe: bool = False
) -> tuple[Repair, str]:
    """The finished repair of one target, and the new text of its file."""
    path = tmp_path / "model.py"
    path.write_text(f"{HEAD}{function}\n\n@graphfix.target\ndef t():\n    yield from [{calls}]\n")
    repair = Repair(Options(rules, device="cpu"), Policy((tmp_path,), backend, unsafe=unsafe), lambda *_: None)
    repair.run([Target(f"{path}::t", "t")])
    return repair, repair.sources.module(str(path)).text


STORE = """def f(x, done):
    x = x * 2
    if done.any():
        x[done] = 7.0
    return x
"""


@pytest.mark.parametrize(
    ("dtype", "rules"), [("bool", ["GF203"]), ("long", [])], ids=["a mask", "positions, which are no mask"]
)
def test_what_is_a_mask_on_every_call_is_one(tmp_path: Path, dtype: str, rules: list[str]) -> None:
    calls = f"graphfix.Call(f, torch.ones(2), torch.tensor([0, 1]).{dtype}())"
    offered = [rule for rule in all_rules() if rule.code == "GF203"]
    repair, _ = repaired(tmp_path, STORE, calls, *offered)
    assert [kept.record.rule for kept in repair.kept] == rules
    assert repair.dropped == []


SPREAD = """def pick(n, x):
    x = x * 3 if n > 2 else x
    return x - 1 if n > 4 else x


def f(x):
    return pick(x.sum().item(), x)
"""


class NotRead(Rule):
    """Hands on the tensor, whatever is done with it."""

    code, name, title = "XX106", "not-read", "do not read the number"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0124"})
    cases = ()

    def rewrite(self, site: Site) -> Rewrite | None:
        call = site.node
        owner = call.func.value if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else None
        return owner and site.replace(call, "{owner}", owner=owner)


def test_a_break_is_not_spread_over_more_places(tmp_path: Path) -> None:
    repair, _ = repaired(tmp_path, SPREAD, "graphfix.Call(f, torch.ones(3))", NotRead())
    assert "the break only moves on (1 → 2 places)" in [one.reason for one in repair.dropped]
    assert repair.kept == []


HANDED_ON = """import math


class Table:
    def __init__(self):
        self.values = torch.linspace(1, 2, 50)

    def at(self, t):
        return self.values[t].item()

    def step(self, x, t):
        a, b = self.at(t), self.at(t + 1)
        y = x * math.sqrt(a) + math.log(b)
        return y * math.sqrt(b)


f = Table().step
"""


def test_a_break_that_spreads_is_followed_to_where_it_goes(tmp_path: Path) -> None:
    """The helper's number is used at three places, two of them in one line; each of them has a repair."""
    offered = [rule for rule in all_rules() if rule.code in ("GF106", "GF111")]
    repair, text = repaired(tmp_path, HANDED_ON, "graphfix.Call(f, torch.arange(3.0), 4)", *offered)
    assert [kept.record.rule for kept in repair.kept] == ["GF106", "GF111", "GF111", "GF111"]
    assert (text.count("torch.sqrt("), text.count("torch.log(")) == (2, 1)

    offered = [rule for rule in all_rules() if rule.code == "GF106"]
    repair, _ = repaired(tmp_path, HANDED_ON, "graphfix.Call(f, torch.arange(3.0), 4)", *offered)
    assert repair.kept == [], "where one has none, nothing is kept"


HALVES = """def f(x):
    while (x > 1).any():
        x = x / 2
    return x
"""


def test_an_input_on_which_a_loop_never_ends_is_left(tmp_path: Path) -> None:
    """Half of infinity is infinity."""
    offered = [rule for rule in all_rules() if rule.code == "GF212"]
    repair, _ = repaired(tmp_path, HALVES, "graphfix.Call(f, torch.arange(3.0) * 60)", *offered)
    assert [kept.record.rule for kept in repair.kept] == ["GF212"]


KEYS = """class Keys(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("keys", torch.zeros(2, 8))

    def forward(self, key, step: int):
        self.keys[:, step] = key
        return self.keys * 2
"""


def test_what_is_compiled_for_every_value_is_repaired(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    calls = "\n".join(f"    yield graphfix.Call(m, torch.ones(2), step={step})" for step in (2, 3, 4, 5))
    path.write_text(f"{HEAD}{KEYS}\n\n@graphfix.target\ndef t():\n    m = Keys()\n{calls}\n")
    repair = Repair(Options(all_rules(), device="cpu"), Policy((tmp_path,), "aot_eager"), lambda *_: None)
    (report,) = repair.run([Target(f"{path}::t", "t")])
    assert [kept.record.rule for kept in repair.kept] == ["GF701"]
    assert "self.keys.select(1, step)[...] = key" in repair.sources.module(str(path)).text
    assert report.verdict is not None
    assert report.verdict.ok
    assert (report.verdict.before.recompiles, report.verdict.after.recompiles) == (3, 1)


class Idle(Rule):
    """Changes nothing that matters."""

    code, name, title = "XX701", "idle", "do nothing"
    safety = Safety.PROVEN
    repairs = frozenset({RECOMPILED})
    cases = ()

    def rewrite(self, site: Site) -> Rewrite | None:
        return site.before(site.node, "pass") if isinstance(site.node, ast.Return) else None


def test_what_is_compiled_again_as_often_is_not_repaired(tmp_path: Path) -> None:
    function = 'def f(x, how):\n    return x * (1 if how == "a" else 2)\n'
    calls = ", ".join(f"graphfix.Call(f, torch.ones(3), {how!r})" for how in "abc")
    repair, _ = repaired(tmp_path, function, calls, Idle())
    (dropped,) = repair.dropped
    assert (dropped.status, dropped.reason) == (FixStatus.REJECTED, "functions are compiled again as often as before")


CHOOSE = """def f(x, c):
    if (c > 0).any():
        y = x * 2
    else:
        y = x - 1
    return y + 1
"""


def test_a_way_that_no_call_takes_is_tried_with_other_inputs(tmp_path: Path) -> None:
    repair, text = repaired(tmp_path, CHOOSE, "graphfix.Call(f, torch.ones(3), torch.ones(3))", Where())
    assert "torch.where((c > 0).any(), x * 2, x - 1)" in text
    (kept,) = repair.kept
    assert kept.arm is not None
    assert (kept.arm.reached, kept.arm.mutated) == ((True, True), (False, True))


def test_a_fix_that_is_wrong_on_the_other_way_is_rejected(tmp_path: Path) -> None:
    repair, text = repaired(tmp_path, CHOOSE, "graphfix.Call(f, torch.ones(3), torch.ones(3))", KeepBody())
    assert not repair.kept
    assert "if (c > 0).any():" in text
    (dropped,) = repair.dropped
    assert dropped.status is FixStatus.REJECTED
    assert dropped.reason.startswith("with input 2: zero, ")


TYPES = """def f(x, c):
    if c.sum() > 0:
        y = x.double()
    else:
        y = x * 2
    return y
"""


@pytest.mark.parametrize("rule", [Where(), DualWhere()], ids=["direct", "dual"])
def test_what_changes_eager_on_another_input_is_rejected_in_both_forms(tmp_path: Path, rule: Rule) -> None:
    repair, text = repaired(tmp_path, TYPES, "graphfix.Call(f, torch.ones(3), torch.ones(3))", rule)
    assert not repair.kept
    assert "where" not in text


UNREACHED = """def f(x):
    if torch.eye(3).sum() > 2:
        y = x * 2
    else:
        y = x - 1
    return y + 1
"""


HIDDEN_FAILURE = """weight = torch.nn.Parameter(torch.ones(4))

@torch.inference_mode()
def scaled(x):
    for part in x.unbind():
        print(end="")
    return x.sin() * weight.unsqueeze(0)

def f(x):
    return scaled(x + 1).cos()
"""


def test_a_failure_that_a_fix_brings_out_is_repaired_with_it(tmp_path: Path) -> None:
    """The loop runs in eager as long as it prints; without, the compiler meets inference mode and fails."""
    rules = [rule for rule in all_rules() if rule.code in ("GF301", "GF501")]
    calls = "graphfix.Call(f, torch.ones(2, 4))"
    repair, text = repaired(tmp_path, HIDDEN_FAILURE, calls, *rules)
    assert [kept.record.rule for kept in repair.kept] == ["GF301", "GF501"]
    assert "@torch.no_grad()\ndef scaled" in text


def test_what_the_compiler_fails_on_is_repaired_before_the_breaks_above_it(tmp_path: Path) -> None:
    """Until then no repair of a break can be proven."""
    rules = [rule for rule in all_rules() if rule.code in ("GF301", "GF501")]
    source = """weight = torch.nn.Parameter(torch.ones(4))

@torch.inference_mode()
def scaled(x):
    return x.sin() * weight.unsqueeze(0)

def shifted(x):
    return scaled(x) + 1

def f(x):
    for part in x.unbind():
        print(end="")
    return shifted(x + 1).cos()
"""
    repair, text = repaired(tmp_path, source, "graphfix.Call(f, torch.ones(2, 4))", *rules)
    assert [kept.record.rule for kept in repair.kept] == ["GF501", "GF301"]
    assert "is_compiling" in text


def test_a_fix_that_brings_out_a_failure_alone_is_rejected(tmp_path: Path) -> None:
    rules = [rule for rule in all_rules() if rule.code == "GF301"]
    repair, text = repaired(tmp_path, HIDDEN_FAILURE, "graphfix.Call(f, torch.ones(2, 4))", *rules)
    assert not repair.kept
    assert "inference tensor" in repair.dropped[0].reason
    assert "is_compiling" not in text


def test_an_unseen_way_takes_the_dual_form(tmp_path: Path) -> None:
    repair, text = repaired(tmp_path, UNREACHED, "graphfix.Call(f, torch.ones(3))", DualWhere())
    assert (
        "    if torch.compiler.is_compiling():\n"
        "        y = torch.where(torch.eye(3).sum() > 2, x * 2, x - 1)\n"
        "    elif torch.eye(3).sum() > 2:\n"
        "        y = x * 2\n"
        "    else:\n"
        "        y = x - 1\n"
    ) in text
    (kept,) = repair.kept
    assert kept.record.safety is Safety.EXACT
    assert kept.arm is not None
    assert kept.arm.reached == (True, False)


def test_without_a_dual_form_an_unseen_way_is_said(tmp_path: Path) -> None:
    repair, text = repaired(tmp_path, UNREACHED, "graphfix.Call(f, torch.ones(3))", Where())
    assert "y = torch.where(torch.eye(3).sum() > 2, x * 2, x - 1)" in text
    assert repair.kept[0].arm is not None
    assert repair.kept[0].arm.reached == (True, False)


LATENT = """def f(x, c):
    if c.sum() > 0:
        y = x * 2
    else:
        y = x @ torch.ones(5)
    return y
"""


class Both(Where):
    """`y = a if condition else b`, left as it is for eager; compiled code always takes the first way."""

    code, name = "XX204", "both"

    def rewrite(self, site: Site) -> Rewrite | None:
        branch = site.enclosing(ast.If)
        if branch is None:
            return None
        test = "if {torch}.compiler.is_compiling() or {test}:\n    {body}\nelse:\n    {orelse}\n"
        return site.replace(branch, test, test=branch.test, body=branch.body, orelse=branch.orelse)


def test_a_way_that_fails_in_the_original_too_is_a_finding(tmp_path: Path) -> None:
    repair, _ = repaired(tmp_path, LATENT, "graphfix.Call(f, torch.ones(3), torch.ones(3))", Both())
    assert len(repair.kept) == 1
    (finding,) = repair.findings
    assert "fails, before and after the fix" in finding.message
    assert "RuntimeError" in finding.message


RAISES = """def f(x, c):
    if c.sum() < 0:
        raise ValueError("negative")
    return x * 2
"""


class Drop(Rule):
    """Takes a guard away where code is compiled: compiled code would go on in silence."""

    code, name, title = "XX205", "drop", "drop the guard"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170"})
    cases = ()
    template = "if not {torch}.compiler.is_compiling() and {test}:\n    {body}\n"

    def rewrite(self, site: Site) -> Rewrite | None:
        branch = site.enclosing(ast.If)
        return None if branch is None else site.replace(branch, self.template, test=branch.test, body=branch.body)


class Guard(Drop):
    """Asserts on the device what the guard asked; eager keeps its exception."""

    code, name = "XX206", "guard"
    dual = True
    template = "{torch}._assert_async(~({test}), 'graphfix: c.sum() < 0')\n"


def test_a_guard_that_compiled_code_loses_is_missed(tmp_path: Path) -> None:
    repair, _ = repaired(tmp_path, RAISES, "graphfix.Call(f, torch.ones(3), torch.ones(3))", Drop())
    assert not repair.kept
    assert "the compiled code does not raise ValueError: negative" in repair.dropped[0].reason


def test_a_violated_assumption_raises_under_compile(tmp_path: Path) -> None:
    repair, text = repaired(tmp_path, RAISES, "graphfix.Call(f, torch.ones(3), torch.ones(3))", Guard())
    assert [record.status for record in repair.dropped] == [FixStatus.REJECTED]  # the direct form: another exception
    assert (
        "    if torch.compiler.is_compiling():\n"
        "        torch._assert_async(~(c.sum() < 0), 'graphfix: c.sum() < 0')\n"
        "    elif c.sum() < 0:\n"
        '        raise ValueError("negative")\n'
    ) in text
    (kept,) = repair.kept
    assert kept.arm is not None
    assert kept.arm.mutated == (True, False)
    call = "import sys, torch, model; torch.compile(model.f, backend=sys.argv[1])(torch.ones(3), -torch.ones(3))"
    (tmp_path / "model.py").write_text(text)
    for backend in ("eager", "aot_eager"):
        done = subprocess.run(
            [sys.executable, "-c", call, backend],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert "graphfix: c.sum() < 0" in done.stderr.splitlines()[-1]


TESTED = """def f(x, n):
    last = n.max().item() + 1
    if last > 3:
        scale = 2.0
    else:
        scale = 0.5
    return x * scale * last
"""
TWO_CALLS = "graphfix.Call(f, torch.ones(3), torch.tensor([2.0])), graphfix.Call(f, torch.ones(3), torch.tensor([4.0]))"


def rules_called(*codes: str) -> list[Rule]:
    return [rule for rule in all_rules() if rule.code in codes]


def test_a_break_is_moved_where_another_rule_repairs_it(tmp_path: Path) -> None:
    repair, text = repaired(tmp_path, TESTED, TWO_CALLS, *rules_called("GF106", "GF206"))
    assert [kept.record.rule for kept in repair.kept] == ["GF106", "GF206"]
    assert "if last" not in text
    assert ".item()" not in text


def test_a_break_is_not_moved_where_it_would_stay(tmp_path: Path) -> None:
    repair, text = repaired(tmp_path, TESTED, TWO_CALLS, *rules_called("GF106"))
    assert not repair.kept
    assert TESTED in text
    assert {dropped.reason for dropped in repair.dropped} == {"the break would move to model.py:7, where it stays"}


LOOP = """import sys


def f(x):
    for _ in range(3):
        sys.stdout.write(".")
        x = x + 1
        sys.stdout.flush()
    return x
"""


def test_breaks_that_hide_one_another_in_a_loop_are_repaired_one_by_one(tmp_path: Path) -> None:
    repair, _ = repaired(tmp_path, LOOP, "graphfix.Call(f, torch.ones(3))", *rules_called("GF301", "GF305"))
    assert [kept.record.rule for kept in repair.kept] == ["GF301", "GF305"]


def test_a_repair_after_which_still_nothing_is_compiled_is_taken_back(tmp_path: Path) -> None:
    repair, text = repaired(tmp_path, LOOP, "graphfix.Call(f, torch.ones(3))", *rules_called("GF301"))
    assert not repair.kept
    assert LOOP in text
    (dropped,) = repair.dropped
    assert "no graph was captured" in dropped.reason


def test_what_is_taken_back_stands_in_a_file_that_the_failed_target_runs(tmp_path: Path) -> None:
    """Of three fixes in two files, the newest in the failed target's file goes, with those that build on it."""
    paths = [str(tmp_path / name) for name in ("a.py", "b.py")]
    for path in paths:
        Path(path).write_text("one\n")
    repair = Repair(Options([], device="cpu"), Policy((tmp_path,), "aot_eager"), lambda *_: None)
    for number, path in enumerate((paths[0], paths[0], paths[1])):
        record = FixRecord(f"XX{number}", path, 1, Safety.PROVEN, FixStatus.KEPT, "", "")
        repair.kept.append(Kept(record, frozenset([path]), repair.sources, Target("t.py::t", "t"), None))
        repair.sources = repair.sources.with_edits([Edit(path, 0, 0, f"{number}\n")])
    failed = SimpleNamespace(backend="inductor", target="t", error="boom")
    seen = SimpleNamespace(arcs={paths[0]: []})
    assert repair._take_back(failed, seen)  # type: ignore[arg-type]
    assert repair.sources.patched == {paths[0]: "0\none\n", paths[1]: "2\none\n"}
    assert [kept.record.rule for kept in repair.kept] == ["XX0", "XX2"]
    assert [(record.rule, record.reason) for record in repair.dropped] == [("XX1", "under inductor, t: boom")]
    assert repair._take_back(failed, seen)  # type: ignore[arg-type]
    assert repair.sources.patched == {paths[1]: "2\none\n"}
    assert not repair._take_back(failed, seen)  # type: ignore[arg-type]


MODES = """weight = torch.nn.Parameter(torch.ones(4))

@torch.inference_mode()
def made(x):
    return x * 2

@torch.inference_mode()
def scaled(x):
    x = x.sin() * weight.unsqueeze(0)
    y = made(x)
    return trimmed(y)

def trimmed(y):
    y[:, :1] *= 0.5
    return y

def f(x):
    return scaled(x + 1).cos()
"""


def test_inference_mode_goes_everywhere_where_tensors_made_in_it_are_changed_outside(tmp_path: Path) -> None:
    repair, text = repaired(tmp_path, MODES, "graphfix.Call(f, torch.ones(2, 4))", *rules_called("GF501"))
    assert [kept.record.rule for kept in repair.kept] == ["GF501"]
    assert text.count("@torch.no_grad()") == 2
    assert "Inplace update to inference tensor" in repair.dropped[0].reason


LIMITS = """def limits(x):
    return x.min().item(), x.max().item()


def f(x):
    low, high = limits(x)
    return (x.clamp(min=low, max=high - 1) - low) * high
"""


def test_a_helper_may_give_tensors_for_numbers(tmp_path: Path) -> None:
    repair, text = repaired(tmp_path, LIMITS, "graphfix.Call(f, torch.arange(5.0))", *rules_called("GF106"))
    (kept,) = repair.kept
    assert kept.record.rule == "GF106"
    assert "    return x.min().detach(), x.max().detach()\n" in text


def test_a_helper_that_gives_other_numbers_is_rejected(tmp_path: Path) -> None:
    class Unsigned(Rule):
        code, name, title = "XX106", "unsigned", "return the tensor, without its sign"
        safety = Safety.PROVEN
        repairs = frozenset({"GB0124"})
        cases = ()

        def rewrite(self, site: Site) -> Rewrite | None:
            assert isinstance(site.node, ast.Call)
            assert isinstance(site.node.func, ast.Attribute)
            return site.replace(site.node, "{tensor}.detach().abs()", tensor=site.node.func.value)

    peak = "def peak(x):\n    return x.max().item()\n\n\ndef f(x):\n    return x * peak(x)\n"
    repair, text = repaired(tmp_path, peak, "graphfix.Call(f, torch.arange(5.0))", Unsigned())
    assert not repair.kept
    (dropped,) = repair.dropped
    assert dropped.status is FixStatus.REJECTED
    assert "['output']" in dropped.reason
    assert ".item()" in text


STEPPED = """class Scheduler:
    def __init__(self):
        self.table = torch.linspace(1, 2, 50)
        self.turn = 0

    def step(self, x, t: int):
        scale = self.table[t] if t >= 0 else self.table[0]
        self.turn += 1
        return x * scale + self.turn

"""


def test_mutated_inputs_meet_an_object_as_it_was(tmp_path: Path) -> None:
    """What an object counts is not what a fix changes; and an index that is said to be an int is a tensor."""
    offered = [rule for rule in all_rules() if rule.code in ("GF107", "GF208")]
    given = ("torch.ones(3), torch.tensor(4)", "torch.ones(2), torch.tensor(-1)")
    calls = ", ".join(f"graphfix.Call(Scheduler().step, {one})" for one in given)
    repair, _ = repaired(tmp_path, STEPPED, calls, *offered)
    assert [kept.record.rule for kept in repair.kept] == ["GF107", "GF208"], repair.dropped


OVER_DATA = """torch._inductor.config.force_disable_caches = True

layer = torch.nn.Conv1d(1, 2, 3, padding=1).requires_grad_(False)


def places(lengths, table):
    steps = torch.arange(lengths.max(), dtype=torch.float)
    if table.shape[0] < len(steps):
        table = torch.cat([table, torch.zeros(len(steps) - table.shape[0])])
    return layer((steps * table.sum())[None, None])


def f(lengths, table):
    return places(lengths, table)
"""
"""One graph under aot_eager with the setting and one way of the branch; Inductor then fails in the convolution."""


OVER_DATA_CALLS = ", ".join(f"graphfix.Call(f, torch.tensor([2, {most}]), torch.ones(9))" for most in (5, 7))


@pytest.mark.skipif(default_backend() != "inductor", reason="Inductor has no C++ compiler")
def test_what_only_the_users_backend_fails_on_is_repaired(tmp_path: Path) -> None:
    repair, text = repaired(
        tmp_path,
        OVER_DATA,
        OVER_DATA_CALLS,
        *rules_called("GF218", "GF601", "GF611", "GF612"),
        backend="inductor",
        unsafe=True,
    )
    assert [kept.record.rule for kept in repair.kept] == ["GF601", "GF218", "GF612"]
    assert "torch._check(table.shape[0] >= len(steps))" in text
    assert "make_fallback(torch.ops.aten.convolution" in text


@pytest.mark.skipif(default_backend() != "inductor", reason="Inductor has no C++ compiler")
def test_what_does_not_help_the_users_backend_is_taken_back(tmp_path: Path) -> None:
    repair, text = repaired(
        tmp_path, OVER_DATA, OVER_DATA_CALLS, *rules_called("GF218", "GF601", "GF611"), backend="inductor", unsafe=True
    )
    assert [kept.record.rule for kept in repair.kept] == ["GF601"]  # behind the break the size is an input's
    assert OVER_DATA in text
    assert any(record.rule == "GF218" and "under inductor" in record.reason for record in repair.dropped)


def test_a_shortcut_that_no_input_takes_is_left_in(tmp_path: Path) -> None:
    never = (
        "def f(x, mask):\n    if (x * 0 == 1).any():\n        mask = None\n    return x if mask is None else x * mask\n"
    )
    repair, text = repaired(tmp_path, never, "graphfix.Call(f, torch.rand(3), torch.ones(3))", *rules_called("GF217"))
    assert not repair.kept
    assert [record.reason for record in repair.dropped] == ["no call and no other input took both ways of the branch"]
    assert never in text


def test_breaks_inside_the_logging_library_are_no_places(tmp_path: Path) -> None:
    """Behind the first log call the library's functions are compiled by themselves, and break there."""
    logs = (
        "import logging\n\nlogging.getLogger('t').setLevel('DEBUG')\nlogging.getLogger('t').propagate = False\n\n\n"
        "class Talks(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.logger = logging.getLogger('t')\n        self.logger.addHandler(logging.NullHandler())\n\n"
        "    def forward(self, x):\n        self.logger.debug(f'mean {x.mean():.2f}')\n        y = x * 2\n"
        "        self.logger.info('sum %s', y.sum())\n        return y\n"
    )
    repair, _ = repaired(tmp_path, logs, "graphfix.Call(Talks(), torch.rand(3))", *rules_called("GF301"))
    assert [kept.record.rule for kept in repair.kept] == ["GF301", "GF301"], repair.dropped


RETURNS = """def f(rew, val, done):
    if not done.any():
        return rew + val
    carry = val[-1].clone()
    out = torch.zeros_like(rew)
    for t in reversed(range(rew.size(0))):
        carry = rew[t] + carry / 2
        if (ended := done[t] > 0).any():
            carry[ended] = 0.5
        out[t] = carry
    return out
"""


def test_what_was_rejected_is_tried_again_on_later_fixes(tmp_path: Path) -> None:
    """The early return compiles once the loop behind it does."""
    calls = "graphfix.Call(f, torch.rand(4, 3), torch.rand(4, 3), torch.zeros(4, 3)), "
    calls += "graphfix.Call(f, torch.rand(4, 3), torch.rand(4, 3), torch.eye(4)[:, :3])"
    repair, _ = repaired(tmp_path, RETURNS, calls, *rules_called("GF203", "GF207"))
    assert [kept.record.rule for kept in repair.kept] == ["GF203", "GF207"], repair.dropped
    assert any(record.rule == "GF207" for record in repair.dropped)


def test_compiled_code_may_copy_what_eager_hands_on(tmp_path: Path) -> None:
    scaled = "def f(x):\n    if x.max() > 1:\n        x = x / 255\n    return x\n"
    calls = "graphfix.Call(f, torch.full((3,), 9.0)), graphfix.Call(f, torch.rand(4))"
    repair, text = repaired(tmp_path, scaled, calls, *rules_called("GF206"))
    (kept,) = repair.kept
    assert "elif x.max() > 1:" in text, kept.record.diff  # eager is as it was
    assert "share memory" in repair.dropped[0].reason


@pytest.mark.parametrize(
    ("rule", "body", "some"),
    [
        ("GF403", "    out[keep] = torch.softmax(x[keep], 0)\n", False),
        ("GF414", "    rows = x[keep]\n    out[keep] = torch.softmax(rows, 0)\n", False),
        ("GF423", "    out[keep] = torch.softmax(x[keep], dim=0)\n", False),
        ("GF420", "    n = keep.sum()\n    out[:n] = x[:n].softmax(0)\n", False),
        ("GF403", "    out[keep] = torch.softmax(x[keep], 0)\n", True),
    ],
)
def test_rows_computed_apart_need_a_call_that_leaves_some_out(tmp_path: Path, rule: str, body: str, some: bool) -> None:
    """Where every call keeps all rows, what looks at several rows at once computes the same."""
    rows = f"def f(x, keep):\n    out = torch.zeros_like(x)\n{body}    return out\n"
    calls = "graphfix.Call(f, torch.eye(3), torch.ones(3, dtype=torch.bool))"
    if some:
        calls += ", graphfix.Call(f, torch.eye(3), torch.arange(3) < 2)"
    repair, _ = repaired(tmp_path, rows, calls, *rules_called(rule))
    assert not repair.kept
    assert bool(repair.dropped) is some, "not even tried"


def test_a_function_of_an_array_is_no_table(tmp_path: Path) -> None:
    """Also where a docstring stands above its first statement."""
    table = (
        "import numpy as np\n\n\ndef table(a):\n    '''How high.'''\n    return float(np.percentile(a, 90))\n\n\n"
        "def f(x):\n    return x / table(x.numpy())\n"
    )
    calls = "graphfix.Call(f, torch.rand(5)), graphfix.Call(f, torch.rand(2, 3))"
    repair, _ = repaired(tmp_path, table, calls, *rules_called("GF519"))
    assert not repair.kept
    assert not repair.dropped, "not even tried"
