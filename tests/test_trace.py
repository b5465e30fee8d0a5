"""A server's log is enough to find the place of a break."""

from __future__ import annotations

from typing import Any

import pytest

from graphfix.scan.trace import read_log

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


def logged(prefix: str, record: str) -> str:
    return "".join(f"{prefix}{line}\n" for line in record.splitlines())


def breaks(log: str) -> list[tuple[Any, ...]]:
    return [
        (e["id"], e["stack"][-1]["path"], e["stack"][-1]["line"], e["stack"][-1]["function"])
        for e in read_log(log, {}).breaks
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
    ],
    ids=["item", "duplicate", "branch", "loop", "2.6", "skip", "2.6 warning"],
)
@pytest.mark.parametrize("prefix", [AT, "[rank0]:" + AT, "2026-01-01 server | " + AT, ""])
def test_each_record_leads_to_its_place(record: str, place: tuple[Any, ...], prefix: str) -> None:
    assert breaks(logged(prefix, record)) == [place]
    stack = read_log(logged(prefix, record), {}).breaks[0]["stack"]
    assert {frame["path"] for frame in stack} == {place[1]}


def test_a_whole_log() -> None:
    parts = [logged(WARN, WARNING), *(logged(AT, record) for record in (ITEM, AGAIN, BRANCH))]
    log = "starting\n" + "hello from the user\n".join(parts) + logged(AT, LOOP) + "done\n"
    seen = read_log(log, {})
    assert [(e["id"], e["stack"][-1]["line"]) for e in seen.breaks] == [
        ("GB0124", 9),
        ("GB0124", 9),
        ("GB0170", 15),
        ("GB0059", 24),
    ]
    loop = seen.breaks[-1]
    assert (loop["hides_rest"], loop["consequences"]) == (True, ["GB7000"])
    assert [frame["line"] for frame in loop["stack"]] == [26, 24]
    assert seen.breaks[0]["type"].startswith("Unsupported Tensor.item() call")
    assert seen.breaks[0]["explanation"].startswith("Dynamo does not support tracing")


def test_a_stack_of_another_record_is_not_taken() -> None:
    other = WARNING.replace("line 9", "line 99").replace("Graph break from `Tensor.item()`", "Another warning")
    assert breaks(logged(AT, AGAIN) + logged(WARN, other)) == [("GB0124", "/tmp/tt/s.py", 9, "?")]


def test_the_warning_alone_is_a_break() -> None:
    found = read_log(logged(WARN, WARNING), {}).breaks
    assert [(e["id"], e["type"], e["hides_rest"]) for e in found] == [
        ("GB0124", "Graph break from `Tensor.item()`", False)
    ]
    plain = "WARNING:torch._dynamo.variables.tensor:" + WARNING
    assert breaks(plain) == [("GB0124", "/tmp/tt/s.py", 9, "pick")]
    assert breaks("INFO: nothing here\n") == []
