"""A server's log is enough to find the place of a break: what torch 2.6 to 2.13 print, wherever it was copied to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from graphfix.scan.trace import located, read_log
from graphfix.source.sources import Sources

AT = "V1122 20:27:25.458000 14304 torch/_dynamo/symbolic_convert.py:5124] [0/0] [__graph_breaks] "
WARN = "W1122 20:27:25.449000 14304 torch/_dynamo/variables/tensor.py:1759] [0/0] "
VISIT = " For more details about this graph break, please visit: https://meta-pytorch.github.io/x/gb/"

WARNING = """\
Graph break from `Tensor.item()`, consider setting:
    torch._dynamo.config.capture_scalar_outputs = True
or:
    env TORCHDYNAMO_CAPTURE_SCALAR_OUTPUTS=1
to include these operations in the captured graph.

Graph break: from user code at:
  File "/tmp/tt/s.py", line 13, in f
    y = net(x)
        ^^^^^^
  File "/tmp/tt/s.py", line 9, in pick
    return x.max().item()
           ^^^^^^^^^^^^^^

"""
ITEM = f"""\
Graph break in user code at /tmp/tt/s.py:9
Graph Break Reason: Encountered graph break when attempting to trace CALL: a function call, e.g. f(x, y):

Unsupported Tensor.item() call with capture_scalar_outputs=False
  Explanation: Dynamo does not support tracing `Tensor.item()` with config.capture_scalar_outputs=False.
  Hint: Set `torch._dynamo.config.capture_scalar_outputs = True` or `export TORCHDYNAMO_CAPTURE_SCALAR_OUTPUTS=1`.

  Developer debug context: call_method TensorVariable() item () {{}}

{VISIT}gb0124.html

User code traceback:
  File "/tmp/tt/s.py", line 19, in <module>
    f(Net(), torch.ones(3))
  File "/tmp/tt/s.py", line 9, in pick
    return x.max().item()
           ^^^^^^^^^^^^^^
"""
AGAIN = ITEM.replace("break in", "break (user stack suppressed due to duplicate graph break) in").split("\nUser code")[
    0
]
BRANCH = f"""\
Graph break in user code at /tmp/tt/s.py:15
Graph Break Reason: Data-dependent branching
  Explanation: Detected data-dependent branching (e.g. `if my_tensor.sum() > 0:`).

      The branch condition involves a tensor computed as follows:
        # File "/tmp/tt/s.py", line 14, in torch_dynamo_resume_in_f_at_14, code: if y.sum() > 0:
  Hint: Use `torch.cond` to express dynamic control flow.

  Developer debug context: attempted to jump with TensorVariable()

{VISIT}gb0170.html

User code traceback:
  File "/tmp/tt/s.py", line 15, in f
    if y.sum() > 0:
       ^^^^^^^^^^^^
"""
LOOP = f"""\
Graph break in user code at /tmp/tt/s.py:24
Graph Break Reason: Failed to handle graph break gracefully. Skipping the function and falling back to eager.

Failed to trace builtin operator
  Explanation: Dynamo does not know how to trace builtin operator `print` with argument types ['Tensor']

  Developer debug context: builtin print [<class 'torch._dynamo.variables.tensor.TensorVariable'>] False

{VISIT}gb0059.html

*** While handling this graph break, another graph break occurred: ***

graph break in loop
  Explanation: torch.compile detected a graph break in a for/while loop.

{VISIT}gb7000.html

Stack variable source attribution:
  RangeIteratorVariable() originated from:
  File "/tmp/tt/s.py", line 22
        for i in range(2):

User code traceback:
  File "/tmp/tt/s.py", line 26, in <module>
    g(torch.ones(3))
  File "/tmp/tt/s.py", line 24, in g
    print(x)
"""
OLD = """\
Graph break in user code at /srv/app.py:7
Reason: Unsupported: Tensor.item
User code traceback:
  File "/srv/app.py", line 7, in forward
    n = lengths.max().item()
"""
SKIP = f"""\
Graph break: torch.compile cannot properly resume from this graph break, which results in a skip.
torch.compile will skip tracing the frame g (/tmp/tt/s.py line 20) and fall back to eager.
The graph break occurred in the following user code:
  File "/tmp/tt/s.py", line 24, in g
    print(x)

Traceback (most recent call last):
  File "/lib/torch/_dynamo/symbolic_convert.py", line 700, in step
    self.dispatch()
torch._dynamo.exc.Unsupported: Failed to trace builtin operator
  Explanation: Dynamo does not know how to trace builtin operator `print`

{VISIT}gb0059.html

from user code:
   File "/tmp/tt/s.py", line 24, in g
    print(x)
"""


ORIGINAL = """\
Backend compiler exception
  Explanation: Backend compiler `aot_eager` failed with aten._local_scalar_dense.default

    While executing %z : [num_users=1] = call_function[target=operator.getitem](args = (%y, %l_t_), kwargs = {})
    Original traceback:
      File "/tmp/tt/s.py", line 4, in f
        z = y[t]
            ^^^^

    Use tlparse to see full graph. Adding a graph break.
  Hint: Report an issue to the backend compiler repo.

  Developer debug context: Backend: aot_eager

 For more details about this graph break, please visit: https://meta-pytorch.github.io/x/gb/gb0219.html
"""
RAISED = f"""\
Traceback (most recent call last):
  File "/srv/server.py", line 80, in handle
    audio = model(text)
  File "/lib/torch/_dynamo/eval_frame.py", line 1177, in compile_wrapper
    raise e.with_traceback(
torch._dynamo.exc.Unsupported: Data-dependent branching
  Explanation: Detected data-dependent branching (e.g. `if my_tensor.sum() > 0:`).
  Hint: Use `torch.cond` to express dynamic control flow.

  Developer debug context: attempted to jump with TensorVariable()

{VISIT}gb0170.html

from user code:
   File "/srv/model.py", line 12, in forward
    return self.pick(x)
  File "/srv/model.py", line 15, in pick
    if x.sum() > 0:
       ^^^^^^^^^^^^

Set TORCHDYNAMO_VERBOSE=1 for the internal stack trace.
"""
CHAINED = """\
torch._dynamo.exc.Unsupported: builtin: print [<class 'TensorVariable'>] False

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/server.py", line 80, in handle
    audio = model(text)
torch._dynamo.exc.Unsupported: Graph break under GenericContextWrappingVariable

from user code:
   File "/srv/model.py", line 9, in forward
    print(x)
"""
BESIDES = """\
W1122 22:40:22.182000 6781 torch/_dynamo/convert_frame.py:1016] [6/8] torch._dynamo hit config.recompile_limit (8)
W1122 22:40:22.182000 6781 torch/_dynamo/convert_frame.py:1016] [6/8]    function: 'attr' (/srv/be.py:23)
W1122 22:40:22.182000 6781 torch/_dynamo/convert_frame.py:1016] [6/8]    last reason: 6/7: G['lst'][0] == 7   # return x
W1122 22:40:22.182000 6781 torch/_dynamo/convert_frame.py:1016] [6/8] To log all recompilation reasons, use TORCH_LOGS
V1122 22:40:22.190000 6781 torch/_dynamo/guards.py:5396] [7/1] [__recompiles] Recompiling function sz in /srv/be.py:29
V1122 22:40:22.190000 6781 torch/_dynamo/guards.py:5396] [7/1] [__recompiles]     triggered by the following guard
V1122 22:40:22.190000 6781 torch/_dynamo/guards.py:5396] [7/1] [__recompiles]     - 7/0: tensor 'x' rank mismatch
V1122 22:40:22.191000 6781 torch/_dynamo/convert_frame.py:2513] skipping: run (reason: no code, file: /srv/x.py)
V1122 22:40:22.191000 6781 torch/_dynamo/convert_frame.py:2513] skipping: f (reason: in skipfiles, file: /srv/y.py)
W1122 22:40:22.192000 6781 torch/_inductor/x.py:1] skipping cudagraphs due to mutated inputs (1 instances). Found from :
W1122 22:40:22.192000 6781 torch/_inductor/x.py:1]    File "/srv/z.py", line 7, in step
"""


def logged(prefix: str, record: str) -> str:
    return "".join(f"{prefix}{line}".rstrip() + "\n" for line in record.splitlines())


def events(log: str, ids: Mapping[str, str] | None = None) -> list[Any]:
    return list(located(list(read_log(log.splitlines(), ids or {})), Sources()))


def breaks(log: str) -> list[tuple[Any, ...]]:
    return [
        (e["id"], e["stack"][-1]["path"], e["stack"][-1]["line"], e["stack"][-1]["function"])
        for e in events(log)
        if e["event"] == "break"
    ]


@pytest.mark.parametrize(
    ("record", "place"),
    [
        (ITEM, ("GB0124", "/tmp/tt/s.py", 9, "pick")),
        (AGAIN, ("GB0124", "/tmp/tt/s.py", 9, "?")),
        (BRANCH, ("GB0170", "/tmp/tt/s.py", 15, "f")),
        (LOOP, ("GB0059", "/tmp/tt/s.py", 24, "g")),
        (OLD, ("GB0124", "/srv/app.py", 7, "forward")),
        (SKIP, ("GB0059", "/tmp/tt/s.py", 24, "g")),
        (WARNING, ("GB0124", "/tmp/tt/s.py", 9, "pick")),
        (WARNING.replace("`", ""), ("GB0124", "/tmp/tt/s.py", 9, "pick")),
        (WARNING.partition("\n")[2], ("GB0124", "/tmp/tt/s.py", 9, "pick")),
        (ORIGINAL, ("GB0219", "/tmp/tt/s.py", 4, "f")),
        (RAISED, ("GB0170", "/srv/model.py", 15, "pick")),
        (CHAINED, ("GB0059", "/srv/model.py", 9, "forward")),
    ],
    ids="item duplicate branch loop 2.6 skip warning no-backticks cut-off backend fullgraph chained".split(),
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "prefix",
    [
        AT,
        "[rank0]:" + AT,
        "2026-01-01 server | " + AT,
        "",
        "> ",
        "    ",
        "\x1b[33m",
        "2026-11-22T10:00:00.123456789Z stdout F ",
        "Nov 22 10:00:00 host tts[812]: ",
        "api-1  | 2026-11-22 10:00:00,123 ",
        "(Worker TP0 pid=1518511) ERROR 08-27 05:54:20 [executor.py:602] ",
    ],
    ids="torch rank server none quote indented colour cri journal compose vllm".split(),
)
def test_each_record_leads_to_its_place(prefix: str, ending: str, record: str, place: tuple[Any, ...]) -> None:
    log = logged(prefix, record).replace("\n", ending)
    assert breaks(log) == [place]
    assert {frame["path"] for frame in events(log)[0]["stack"]} == {place[1]}


@pytest.mark.parametrize(
    ("reason", "id_"),
    [
        ("Tensor.item", "GB0124"),
        ("Data-dependent jump", "GB0170"),
        ("generic_jump TensorVariable()", "GB0170"),
        ("builtin: print [<class 'ConstantVariable'>] False", "GB0059"),
        ("dynamic shape operator: aten.nonzero.default", "GB0036"),
        ("data dependent operator: aten.equal.default", "GB0033"),
        ("Logger not supported for non-export cases. To avoid", "GB0291"),
        ("Graph break due to unsupported builtin time.time. This function", "GB0007"),
        ("'skip function disable in file /lib/torch/_dynamo/decorators.py'", "GB0007"),
        ("'inline in skipfiles: tqdm.__init__ | helper /lib/tqdm.py'", "GB0008"),
        ("torch.* op returned non-Tensor int call_function <built-in>", "GB0208"),
        ("call_method UserDefinedObjectVariable(Params4bit) t [] {}", "GB0156"),
        ("something that nobody knows", None),
    ],
)
def test_reasons_of_2_6(reason: str, id_: str | None) -> None:
    (found,) = events(OLD.replace("Tensor.item", reason))
    assert (found["id"], found["type"]) == (id_, reason)


def test_the_user_error_of_2_6() -> None:
    log = RAISED.replace("Unsupported: Data-dependent branching", "UserError: Dynamic control flow is not supported at")
    assert breaks(log.replace("gb0170", "")) == [("GB0170", "/srv/model.py", 15, "pick")]


def test_a_whole_log() -> None:
    parts = [logged(WARN, WARNING), *(logged(AT, record) for record in (ITEM, AGAIN, BRANCH))]
    log = "starting\n" + "hello from the user\n".join(parts) + logged(AT, LOOP) + "done\n"
    seen = events(log)
    assert [(e["id"], e["stack"][-1]["line"]) for e in seen] == [
        ("GB0124", 9),
        ("GB0124", 9),
        ("GB0170", 15),
        ("GB0059", 24),
    ]
    loop = seen[-1]
    assert (loop["hides_rest"], loop["consequences"]) == (True, ["GB7000"])
    assert [frame["line"] for frame in loop["stack"]] == [26, 24]
    assert seen[0]["type"].startswith("Unsupported Tensor.item() call")
    assert seen[0]["explanation"].startswith("Dynamo does not support tracing")
    assert [frame["line"] for frame in seen[1]["stack"]] == [19, 9], "the stack of the break that it repeats"


def test_records_of_two_processes_line_by_line() -> None:
    one, two = (logged(f"[rank{rank}]:" + AT, record).splitlines() for rank, record in ((0, ITEM), (1, BRANCH)))
    mixed = [line for pair in zip(one, two, strict=False) for line in pair] + one[len(two) :] + two[len(one) :]
    assert sorted(breaks("\n".join(mixed))) == sorted([*breaks("\n".join(one)), *breaks("\n".join(two))])


def test_lines_of_others_between_those_of_a_container() -> None:
    prefix = "2026-11-22T10:00:00.5Z api-1 | "
    lines = logged(prefix, ITEM).splitlines()
    noisy = "\n".join(line + "\n2026-11-22T10:00:01.25Z web-1 | GET /health" for line in lines)
    assert breaks(noisy) == [("GB0124", "/tmp/tt/s.py", 9, "pick")]


def test_lines_of_the_same_program_inside_a_stack() -> None:
    noisy = ITEM.replace("    f(Net(), torch.ones(3))\n", "    f(Net(), torch.ones(3))\nINFO: GET /health\n")
    assert [frame["line"] for frame in events(noisy)[0]["stack"]] == [19, 9]


def test_an_exception_behind_the_stack_is_no_part_of_it() -> None:
    later = (
        'ERROR: lost\nTraceback (most recent call last):\n  File "/srv/other.py", line 3, in get\n    raise\nKeyError\n'
    )
    assert breaks(OLD + later) == [("GB0124", "/srv/app.py", 7, "forward")]


@pytest.mark.parametrize("prefix", [AT, ""], ids=["torch", "none"])
def test_a_log_that_ends_in_the_middle(prefix: str) -> None:
    log = logged(prefix, ITEM)
    for end in range(len(log)):
        assert [place[1:3] for place in breaks(log[:end])] in ([], [("/tmp/tt/s.py", 9)])


def test_a_record_pasted_as_one_line() -> None:
    for record in (WARNING, OLD, WARNING.replace("`", "")):
        lines = [line.strip() for line in record.splitlines() if line.strip() and "^" not in line]
        assert breaks(" ".join(lines)) == breaks(record)


def test_a_record_pasted_without_its_indentation() -> None:
    for record in (WARNING, ITEM, BRANCH):
        assert breaks("\n".join(line.strip() for line in record.splitlines())) == breaks(record)


def test_only_the_first_line_kept_torchs_prefix() -> None:
    assert breaks(WARN + WARNING) == breaks(WARNING)
    assert breaks("```\n" + WARN + WARNING + "```\nWhat can I do?\n") == breaks(WARNING)


def test_a_stack_of_another_record_is_not_taken() -> None:
    other = OLD.replace("Graph break in user code at", "Another warning about")
    assert breaks(logged(AT, AGAIN) + logged(WARN, other)) == [("GB0124", "/tmp/tt/s.py", 9, "?")]


def test_the_warning_alone_is_a_break() -> None:
    found = events(logged(WARN, WARNING))
    assert [(e["id"], e["type"], e["hides_rest"]) for e in found] == [
        ("GB0124", "Graph break from `Tensor.item()`", False)
    ]
    plain = "WARNING:torch._dynamo.variables.tensor:" + WARNING
    assert breaks(plain) == [("GB0124", "/tmp/tt/s.py", 9, "pick")]
    assert breaks("INFO: nothing here\n") == []


def test_an_exception_that_is_printed_twice_is_one_break() -> None:
    assert len(events(RAISED + RAISED)) == 1
    assert events(RAISED)[0]["hides_rest"]


def test_what_a_log_tells_besides() -> None:
    recompile, limit = sorted((e for e in events(BESIDES) if e["event"] == "recompile"), key=lambda e: -e["line"])
    skipped, ungraphed = (e for e in events(BESIDES) if e["event"] != "recompile")
    assert (limit["function"], limit["path"], limit["line"], limit["reason"]) == (
        "attr",
        "/srv/be.py",
        23,
        "G['lst'][0] == 7",
    )
    assert limit["limit"]
    assert (recompile["function"], recompile["line"], recompile["reason"]) == ("sz", 29, "tensor 'x' rank mismatch")
    assert (skipped["function"], skipped["path"], skipped["reason"]) == ("run", "/srv/x.py", "no code")
    assert (ungraphed["reason"], ungraphed["path"], ungraphed["line"]) == (
        "mutated inputs (1 instances)",
        "/srv/z.py",
        7,
    )
