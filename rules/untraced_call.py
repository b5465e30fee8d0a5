"""GF300: a call that Dynamo does not trace."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Finds, Leaves, Rule, Safety, Site
from graphfix.source.module import Module

from ._match import LOG_METHODS, LOG_QUESTIONS, is_logger

_CALLS = frozenset(
    """
    breakpoint datetime.date.today datetime.datetime.now datetime.datetime.utcnow gc.collect gc.disable gc.enable
    hashlib.md5 hashlib.sha1 hashlib.sha256 importlib.import_module input inspect.currentframe inspect.getsource
    inspect.stack json.dump json.dumps json.load json.loads logging.getLogger open os.cpu_count os.getcwd os.getpid
    os.makedirs os.path.exists os.path.isdir os.path.isfile pickle.dump pickle.dumps pprint.pprint random.choice
    random.gauss random.random random.sample random.seed random.shuffle subprocess.run sys.getsizeof sys.stderr.write
    sys.stdout.flush sys.stdout.write time.monotonic time.monotonic_ns time.perf_counter time.perf_counter_ns
    time.process_time time.sleep time.time time.time_ns torch.Generator torch.cuda.current_stream
    torch.cuda.device_count torch.cuda.max_memory_allocated torch.cuda.memory_allocated torch.get_rng_state torch.load
    torch.manual_seed torch.save torch.set_num_threads torch.set_rng_state traceback.print_exc traceback.print_stack
    uuid.uuid1 uuid.uuid4 warnings.catch_warnings warnings.filterwarnings warnings.simplefilter
    torch.backends.cuda.sdp_kernel torch.backends.cudnn.flags torch.random.fork_rng
    torch.nn.utils.rnn.pack_padded_sequence torch.nn.utils.rnn.pack_sequence
    """.split()
)
"""Calls that ended the graph in torch 2.13 wherever they stood."""
_DRAWN = {
    "numpy.random.uniform": 3, "numpy.random.normal": 3, "numpy.random.randint": 3, "numpy.random.choice": 2,
    "numpy.random.random": 1, "numpy.random.random_sample": 1, "numpy.random.rand": 1, "numpy.random.randn": 1,
}  # fmt: skip
"""Draws of NumPy that give one number where they have fewer arguments; arrays are traced."""
_NAMES = frozenset({"print", "copy", "deepcopy", "warn", "warn_explicit", *LOG_METHODS, *LOG_QUESTIONS,
                    *(name.rpartition(".")[2] for name in (*_CALLS, *_DRAWN))})  # fmt: skip


class UntracedCall(Rule):
    """What it does:
        Finds output, clocks, files, random numbers of Python, deep copies of tensors and other calls that Dynamo does
        not trace. It repairs nothing: other rules know the repair of some of them.

    Why it breaks the graph:
        The call does something that no graph can hold, so Dynamo ends the graph and calls it in Python (GB0007,
        GB0059 and others).

    Example:
        start = time.perf_counter()
        x = self.layer(x)
        print(time.perf_counter() - start)

        x = self.layer(x)

    Safety:
        Nothing is changed. A person can move the call out of the compiled function.
    """

    code, name = "GF300", "untraced-call"
    title = "calls what Dynamo does not trace"
    safety = Safety.UNSAFE
    names = frozenset(
        {"GB0007", "GB0059", "GB0156", "GB0291", "GB4198", "GB4841", "GB0208", "GB0363", "GB6215", "GB0033"}
    )

    def find(self, module: Module) -> Iterator[Site]:
        for node in module.analysis.calls(_NAMES):
            if (message := _untraced(module, node)) is not None:
                yield Site(module, node, message=message)

    cases = (
        Finds(
            source="""
                import copy
                import logging
                import time

                import torch

                logger = logging.getLogger(__name__)

                class Net(torch.nn.Module):
                    def forward(self, x: torch.Tensor, names: list[str]):
                        start = time.perf_counter()
                        y = copy.deepcopy(x) + 1
                        print(names.pop())
                        if logger.isEnabledFor(logging.DEBUG):
                            y = y + 1
                        return y * 2, time.time() - start

                f = Net()
            """,
            lines=(11, 12, 13, 14, 16),
            calls=("f(torch.ones(3), ['a'])", "f(torch.ones(4), ['a'])"),
        ),
        Finds(
            source="""
                import numpy as np
                import torch

                class Net(torch.nn.Module):
                    def forward(self, x: torch.Tensor):
                        for _ in range(2):
                            x = x + torch.from_numpy(np.random.rand(3))
                            x = x + torch.from_numpy(np.random.uniform(0, 1, size=3))
                        return x * np.random.uniform(0, 1)

                f = Net()
            """,
            lines=(9,),
            calls=("f(torch.ones(3))", "f(torch.ones(1))"),
        ),
        Leaves(
            source="""
                import copy
                import random

                import torch

                class Net(torch.nn.Module):
                    def forward(self, x: torch.Tensor, shape: list[int]):
                        with torch.no_grad():
                            x = x.clone()
                        if not torch.compiler.is_compiling():
                            print(x)
                        x = x + random.randint(1, 1)
                        return torch.log(x), x.log(), copy.deepcopy(shape)

                f = Net()
            """,
            calls=("f(torch.ones(3), [1])",),
        ),
    )


def _untraced(module: Module, node: ast.Call) -> str | None:
    """What a call does that Dynamo does not trace, None where it may."""
    meaning = module.analysis.meaning(node.func)
    if meaning in _CALLS:
        return f"calls {meaning}, which Dynamo does not trace"
    if meaning in ("copy.deepcopy", "copy.copy") and node.args and module.analysis.tensor(node.args[0], optional=True):
        return "copies a tensor by the copy module"
    if len(node.args) < _DRAWN.get(meaning, 0) and all(one.arg != "size" for one in node.keywords):
        return f"draws a single number by {meaning}"
    if meaning == "print" or meaning in ("warnings.warn", "warnings.warn_explicit"):
        return "writes output"
    if isinstance(node.func, ast.Attribute) and is_logger(node.func.value):
        if node.func.attr in LOG_METHODS:
            return "writes output"
        return "asks a logger" if node.func.attr in LOG_QUESTIONS else None
    return None
