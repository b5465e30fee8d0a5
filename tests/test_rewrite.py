"""Rewrites change one place of a file and not a byte beside it."""

from __future__ import annotations

import ast

import pytest

from graphfix.rule import apply
from graphfix.source.module import Module
from graphfix.source.rewrite import CannotRewrite, edits_between, replace

GUARD = "if not {torch}.compiler.is_compiling():\n    {log}\n"
HEAD = "import torch\n"


def guard(source: str, call: str = "log") -> str:
    """The source with its statement `log(…)` put under a guard."""
    module = Module("m.py", source)
    calls = (n for n in ast.walk(module.tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Call))
    old = next(node for node in calls if ast.unparse(node.value.func) == call)  # type: ignore[attr-defined]
    return apply(source, replace(module, old, GUARD, {"log": old}))


def swap(source: str, old: str, template: str, **parts: str) -> str:
    """The source with its expression `old` replaced; parts are expressions of the source, as text."""
    module = Module("m.py", source)
    spelled = {ast.unparse(node): node for node in ast.walk(module.tree) if isinstance(node, ast.expr)}
    edits = replace(module, spelled[old], template, {name: spelled[part] for name, part in parts.items()})
    return apply(source, edits)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("def f():\n\tlog(1)\n", "def f():\n\tif not C:\n\t\tlog(1)\n", id="tabs"),
        pytest.param("def f():\r\n  log(1)\r\n", "def f():\r\n  if not C:\r\n    log(1)\r\n", id="crlf"),
        pytest.param("def f():\n    log(1)", "def f():\n    if not C:\n        log(1)", id="no newline at the end"),
        pytest.param("if x: log(1)\n", "if x:\n    if not C:\n        log(1)\n", id="body on the line of the if"),
        pytest.param(
            "if x: log(1)  # why\nelse: y()\n",
            "if x:\n    if not C:\n        log(1)  # why\nelse: y()\n",
            id="one line with else",
        ),
        pytest.param(
            "def f():\n\n    # above\n    log(1)  # behind\n\n    # below\n    y()\n",
            "def f():\n\n    # above\n    if not C:\n        log(1)  # behind\n\n    # below\n    y()\n",
            id="comments and blank lines",
        ),
        pytest.param(
            'def f():\n    log("""a\n  b""",\n      1)\n',
            'def f():\n    if not C:\n        log("""a\n  b""",\n          1)\n',
            id="triple-quoted string",
        ),
        pytest.param(
            "if a:\n    x()\nelif b:\n    log(1)\n",
            "if a:\n    x()\nelif b:\n    if not C:\n        log(1)\n",
            id="under an elif",
        ),
    ],
)
def test_guards_a_statement(before: str, after: str) -> None:
    newline = "\r\n" if "\r\n" in before else "\n"
    expected = f"import torch{newline}{after}".replace("not C", "not torch.compiler.is_compiling()")
    assert guard(f"import torch{newline}{before}") == expected


AWKWARD = {
    "tabs and spaces": "def g():\n\tif a:\n\t        b()\n",
    "crlf": 'x = """a\r\n  b"""\r\ndef g(): pass\r\n',
    "form feed": "a = 1\n\f\nclass A:\n    pass\n\f\ndef g():\n    return 'x\fy'\n",
    "nested": "def g(a):\n  def h():\n      return a\n  return h\n",
    "decorators": "@a\n@b(1,\n   2)\nasync def g( a , *, b = 1 ) -> c :\n    await a ;  # odd  spaces  \n    return\n",
    "one-liners": "if a: b()\nelif c: d()\nelse: e()\nfor i in a: b(); c()\nclass A: x = 1; y = 2\n",
    "continued": "a = 1 + \\\n  2\nb = (  # c\n\n  3 ,\n)\nwith a as b, \\\n     c: pass\n",
    "unicode": "# 長さ\nλ = '𝄞' ; b = f'{λ!r:>{3}}'\n",
    "stars": "def g(*a, **k): return {**k, 'a': [*a]}\nx = lambda *a: (yield)\n",
    "no newline at the end": "x = 1 # end",
}


@pytest.mark.parametrize("around", AWKWARD.values(), ids=AWKWARD)
@pytest.mark.parametrize("indent", ["  ", "\t", "        "])
def test_all_other_bytes_stay(around: str, indent: str) -> None:
    newline = "\r\n" if "\r\n" in around else "\n"
    edited = newline.join(["import torch", "def f():", f"{indent}log(1)", "", ""])
    found = guard(edited + around)
    assert found.endswith(around)
    lines = found.removesuffix(around).split(newline)
    assert lines[:2] == ["import torch", "def f():"]
    assert lines[2] == f"{indent}if not torch.compiler.is_compiling():"
    assert lines[3].strip() == "log(1)"
    assert lines[4:] == ["", ""]


@pytest.mark.parametrize(
    "source",
    ["log(1); y()\n", "if x: y(); log(1)\n", "def f():\n    a = 1; log(1)\n"],
)
def test_refuses_two_statements_on_a_line(source: str) -> None:
    with pytest.raises(CannotRewrite):
        guard(HEAD + source)


def test_an_elif_stays_one() -> None:
    source = HEAD + "if a:\n    x()\nelif b:  # c\n    y()\nelse:\n    z()\n"
    module = Module("m.py", source)
    chain = next(node for node in module.tree.body if isinstance(node, ast.If))
    old = chain.orelse[0]
    assert isinstance(old, ast.If)
    with pytest.raises(CannotRewrite):
        replace(module, old, "{body}\nw()\n", {"body": old.body})
    with pytest.raises(CannotRewrite):
        replace(module, old, "{body}\n", {"body": old.body})
    template = "if not {torch}.compiler.is_compiling() and {test}:\n    {body}\nelse:\n    {other}\n"
    edits = replace(module, old, template, {"test": old.test, "body": old.body, "other": old.orelse})
    after = apply(source, edits)
    assert "\nelif not torch.compiler.is_compiling() and b:\n    y()\nelse:\n    z()\n" in after
    assert "# c\n" in after


@pytest.mark.parametrize(
    ("source", "old", "template", "part", "after"),
    [
        ("x = f(a or b)", "f(a or b)", "not c and {p}", "a or b", "x = not c and (a or b)"),
        ("x = f(a and b)", "f(a and b)", "not c and {p}", "a and b", "x = not c and a and b"),
        ("x = f(a == b)", "f(a == b)", "not c and {p}", "a == b", "x = not c and a == b"),
        ("x = f(a == b)", "f(a == b)", "c < {p}", "a == b", "x = c < (a == b)"),
        ("x = f(-a)", "f(-a)", "{p}.detach()", "-a", "x = (-a).detach()"),
        ("x = f(a + b)", "f(a + b)", "{p}.detach()", "a + b", "x = (a + b).detach()"),
        ("x = f(a.b(c)[0])", "f(a.b(c)[0])", "{p}.detach()", "a.b(c)[0]", "x = a.b(c)[0].detach()"),
        ("x = f(a + b)", "f(a + b)", "g({p}, 1)", "a + b", "x = g(a + b, 1)"),
        ("x = f(lambda: a)", "f(lambda: a)", "{p} if c else d", "lambda: a", "x = (lambda: a) if c else d"),
        ("x = f(lambda: a)", "f(lambda: a)", "d if c else {p}", "lambda: a", "x = d if c else lambda: a"),
        ("x = f(a if b else c)", "f(a if b else c)", "g({p})", "a if b else c", "x = g(a if b else c)"),
        ("x = f(a if b else c)", "f(a if b else c)", "-{p}", "a if b else c", "x = -(a if b else c)"),
        ("x = f(n := 3)", "f((n := 3))", "g(k={p})", "(n := 3)", "x = g(k=(n := 3))"),
        ("x = f(a for a in b)", "f((a for a in b))", "g({p})", "(a for a in b)", "x = g(a for a in b)"),
        ("x = f(a for a in b)", "f((a for a in b))", "g({p}, 1)", "(a for a in b)", "x = g((a for a in b), 1)"),
        ("x = f((a, b))", "f((a, b))", "g({p})", "(a, b)", "x = g((a, b))"),
        ("y = -f(a)", "f(a)", "{p} + 1", "a", "y = -(a + 1)"),
        ("y = f(a) ** 2", "f(a)", "-{p}", "a", "y = (-a) ** 2"),
        ("y = (f(a))", "f(a)", "{p} + 1", "a", "y = (a + 1)"),
        ("if(f(a)): pass", "f(a)", "{p}", "a", "if(a): pass"),
        ("y = not(f)(a)", "f(a)", "{p}", "a", "y = not(a)"),
        ("y = (f(a)\n  .b())", "f(a)", "{p}", "a", "y = (a\n  .b())"),
        ("y = f(a\n  .b())", "f(a.b())", "{p}", "a.b()", "y = (a\n  .b())"),
    ],
)
def test_parentheses_only_where_needed(source: str, old: str, template: str, part: str, after: str) -> None:
    assert swap(source + "\n", old, template, p=part) == after + "\n"


def test_await_keeps_its_meaning() -> None:
    source = "async def g(a):\n    return f(await a)\n"
    found = swap(source, "f(await a)", "{p}.detach()", p="await a")
    assert found == "async def g(a):\n    return (await a).detach()\n"


def test_a_part_may_stand_twice() -> None:
    found = swap("def f(a, b):\n    return g(a + b)\n", "g(a + b)", "{p} if {torch}.is_x() else h({p})", p="a + b")
    assert found == "import torch\n\ndef f(a, b):\n    return a + b if torch.is_x() else h(a + b)\n"


def test_comments_of_dropped_lines_move_above() -> None:
    source = HEAD + "if a:\n    # one\n    x = 1  # two\n    # three\ny = 2\n"
    module = Module("m.py", source)
    branch = module.tree.body[1]
    assert isinstance(branch, ast.If)
    after = apply(source, replace(module, branch, "x = b\n{body}\n", {"body": branch.body}))
    assert after == HEAD + "# three\nx = b\n# one\nx = 1  # two\ny = 2\n"
    with pytest.raises(CannotRewrite, match="comment"):
        swap("x = f(a,  # why\n      b)\n", "f(a, b)", "{p}", p="a")


def test_refuses_what_would_not_run() -> None:
    source = "def f():\n    return g(a)\n"
    module = Module("m.py", source)
    function = module.tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    with pytest.raises(CannotRewrite, match="outside function"):
        replace(module, function, "{body}\n", {"body": function.body})
    with pytest.raises(CannotRewrite, match="would not parse"):
        list(edits_between(module, "def f(:\n"))


def test_a_form_feed_stays_or_the_rewrite_is_refused() -> None:
    page = "import torch\n\f\ndef f():\n    log(1)\n\fdef g():\n    pass\n"
    assert "\n\f\ndef f():\n    if not" in guard(page)
    assert "log(1)\n\fdef g():\n    pass\n" in guard(page)
    with pytest.raises(CannotRewrite):
        guard("import torch\n\flog(1)\n")
    module = Module("m.py", "import torch\nif a:\n    x()\n\f    y()\n")
    with pytest.raises(CannotRewrite, match="form feed"):
        replace(module, module.tree.body[1], GUARD, {"log": module.tree.body[1]})


def test_what_libcst_cannot_read_is_refused() -> None:
    with pytest.raises(CannotRewrite):
        guard("import torch\rx = 1\rlog(1)\r")
    with pytest.raises(CannotRewrite):
        guard("import torch\nif a:\n  \f  b\nlog(1)\n")


def test_a_run_of_statements_is_replaced_as_one() -> None:
    source = "def f():\n    # why\n    a = 1\n\n    # and\n    log(a)  # said\n    return 2\n"
    module = Module("m.py", source)
    (function,) = module.tree.body
    assert isinstance(function, ast.FunctionDef)
    run = function.body[:2]
    new = apply(source, replace(module, run, "if {torch}.C():\n    {log}\n", {"log": run}))
    assert new == (
        "import torch\n\ndef f():\n    # why\n    if torch.C():\n        a = 1\n\n"
        "        # and\n        log(a)  # said\n    return 2\n"
    )


MIDDLE = "some_quite_long_name_of_a_function(with_an_argument, and_b=1)"
LONG = "some_quite_long_name_of_a_function(with_an_argument, and_another_argument=1, and_still_another=2)"
CHOICE = "short(x) if {torch}.compiler.is_compiling() else {original}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            f"    for a in zip({MIDDLE}):\n        pass\n",
            "    for a in zip(\n"
            f"        short(x) if torch.compiler.is_compiling() else {MIDDLE}\n    ):\n        pass\n",
            id="the only argument of a call",
        ),
        pytest.param(
            f"    with {MIDDLE} as b:\n        pass\n",
            f"    with (\n        short(x) if torch.compiler.is_compiling() else {MIDDLE}\n    ) as b:\n        pass\n",
            id="a with",
        ),
        pytest.param(
            f"    if x:\n        return {LONG}\n",
            "    if x:\n        return (\n            short(x)\n"
            f"            if torch.compiler.is_compiling()\n            else {LONG}\n        )\n",
            id="three lines",
        ),
        pytest.param(
            f"    x = {LONG}(1, 2, 3, 4, 5, 6, 7, 8, 9)\n",
            "    x = (\n        short(x)\n        if torch.compiler.is_compiling()\n"
            f"        else {LONG}(1, 2, 3, 4, 5, 6, 7, 8, 9)\n    )\n",
            id="still too long, but less",
        ),
    ],
)
def test_a_choice_too_long_for_a_line_takes_several(before: str, after: str) -> None:
    source = f"import torch\ndef f(x):\n{before}"
    module = Module("m.py", source)
    calls = [node for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
    old = next(node for node in calls if ast.unparse(node).startswith((MIDDLE, LONG)))
    edits = replace(module, old, CHOICE, {"original": old})
    assert apply(source, edits) == f"import torch\ndef f(x):\n{after}"


def test_an_argument_keeps_no_parentheses_that_it_does_not_need() -> None:
    swapped = swap("y = f(k=(a // 2), t=(a, b))\n", "a // 2", "int({p})", p="a // 2")
    assert swapped == "y = f(k=(int(a // 2)), t=(a, b))\n"
    assert swap("y = (a - b) * 2\n", "(a - b) * 2", "g({a}) * 2", a="a - b") == "y = g(a - b) * 2\n"
    assert swap("y = (a - b).item()\n", "(a - b).item()", "{a} * 2", a="a - b") == "y = (a - b) * 2\n"
