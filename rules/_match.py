"""What the rules share: recognising log calls, pure expressions, and tests for "is any of it true"."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Sequence

from graphfix.source.module import Module

LOG_METHODS = frozenset(
    """
    debug info warning warn error exception critical fatal log success trace warning_once warn_once info_once
    error_once debug_once warning_advice
    """.split()
)
_LOGGER = re.compile(r"(^|[._])(logs?|logging|loguru|\w*logger)$", re.IGNORECASE)
_WARNERS = frozenset({"warnings.warn", "warnings.warn_explicit", "warn", "warn_once", "warn_deprecated"})
_WRITERS = frozenset(
    """
    pprint.pprint pprint.pp rich.print icecream.ic click.echo click.secho typer.echo tqdm.tqdm.write tqdm.write
    tqdm.auto.tqdm.write sys.stdout.write sys.stderr.write traceback.print_exc traceback.print_stack
    faulthandler.dump_traceback
    """.split()
)
_WRITER = re.compile(
    r"(rank_zero_(info|warn|debug|print|deprecation)|print_rank_?(0|zero)|rank_?0_print|pprint"
    r"|(log|print|warn|warning|info|debug|error)_once|once_(log|warn)|deprecation_warning|warn_deprecated)$"
)
"""Functions named so write a line and do nothing else."""
_LOGGER_MAKERS = frozenset({"getLogger", "get_logger", "opt", "bind", "getChild"})
_READS = frozenset(
    """
    time.time time.time_ns time.perf_counter time.perf_counter_ns time.monotonic time.monotonic_ns time.process_time
    time.process_time_ns time.thread_time time.ctime time.strftime time.localtime time.gmtime timeit.default_timer
    datetime.datetime.now datetime.datetime.utcnow datetime.datetime.today datetime.date.today datetime.timedelta
    uuid.uuid1 uuid.uuid4 os.getpid os.getenv os.environ.get os.getcwd os.cpu_count os.fspath threading.get_ident
    threading.current_thread threading.active_count socket.gethostname platform.platform gc.get_count sys.getsizeof
    inspect.stack inspect.currentframe traceback.format_exc traceback.format_stack json.dumps pprint.pformat
    torch.cuda.current_device torch.cuda.device_count torch.cuda.mem_get_info textwrap.dedent textwrap.indent
    torch.distributed.get_rank torch.distributed.get_world_size torch.distributed.is_initialized
    torch.distributed.is_available psutil.Process psutil.virtual_memory psutil.cpu_percent
    resource.getrusage tracemalloc.get_traced_memory np.array2string numpy.array2string np.printoptions
    """.split()
)
"""Calls that look at the clock, the process or the machine."""
LOG_QUESTIONS = frozenset({"isEnabledFor", "getEffectiveLevel", "hasHandlers"})
_PURE_BUILTINS = frozenset(
    """
    abs all any bool dict enumerate float format getattr hasattr hex id int isinstance len list max min range
    repr round set sorted str sum tuple type zip
    """.split()
)
_PURE_METHODS = frozenset(
    """
    item tolist size dim numel any all sum mean max min std var norm abs isnan isinf isfinite float double half
    int long bool cpu cuda detach numpy to type shape count_nonzero nonzero argmax argmin unique format join
    upper lower strip split replace items keys values get eq ne lt le gt ge logical_not logical_and logical_or
    flatten view reshape squeeze unsqueeze amax amin median cumsum diff clone contiguous startswith endswith
    is_floating_point sigmoid tanh relu softmax log_softmax exp expm1 log1p log2 log10 sqrt rsqrt square pow neg sign
    ceil floor trunc sin cos erf clamp clamp_min clamp_max strftime isoformat timestamp total_seconds
    """.split()
)
_IMPURE_TORCH = ("rand", "normal", "bernoulli", "multinomial", "manual_seed", "set_", "seed", "save", "load", "empty")


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a chain of names and attributes, empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def meaning(module: Module | None, node: ast.expr) -> str:
    """The qualified name that a chain of names stands for, as far as the module's imports tell; else as written."""
    found = module.analysis.meaning(node) if module is not None else ""
    return found or dotted(node)


def is_log_statement(node: ast.AST, module: Module | None = None) -> bool:
    """A statement that only prints, logs or warns, with arguments that have no effect of their own."""
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return False
    call = node.value
    values = (*call.args, *(keyword.value for keyword in call.keywords))
    return is_output(call, module) and all(is_harmless(module, value) for value in values)


def is_output(call: ast.Call, module: Module | None = None) -> bool:
    """Whether a call prints, logs or warns, whatever its arguments do."""
    return _writes_line(call.func, module) or (module is not None and _is_other_name(call.func, module))


def _writes_line(called: ast.expr, module: Module | None) -> bool:
    """Whether a function, by its own name, prints, logs or warns."""
    if isinstance(called, ast.Attribute) and called.attr in LOG_METHODS and is_logger(called.value, module):
        return True
    if isinstance(called, ast.Attribute) and called.attr in {"print", "log", "rule"} and _is_console(called.value):
        return True
    name = meaning(module, called)
    return dotted(called) in {"print", *_WARNERS} or name in _WARNERS | _WRITERS or _is_writer(called, name)


def _is_other_name(called: ast.expr, module: Module) -> bool:
    """Whether a name stands for such a function: `say = functools.partial(print, flush=True)` at the file's top."""
    if not isinstance(called, ast.Name):
        return False
    bound = [
        node
        for node in module.tree.body
        if any(
            isinstance(part, ast.Name) and part.id == called.id
            for target in _targets(node)
            for part in ast.walk(target)
        )
    ]
    if len(bound) != 1 or not isinstance(bound[0], ast.Assign) or not isinstance(bound[0].targets[0], ast.Name):
        return False
    made = bound[0].value
    if isinstance(made, ast.Call) and meaning(module, made.func) == "functools.partial" and made.args:
        made = made.args[0]
    return isinstance(made, ast.Name | ast.Attribute) and _writes_line(made, module)


def _targets(node: ast.stmt) -> list[ast.expr]:
    """What an assignment binds."""
    return node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", ast.Constant(None))]


def _is_writer(called: ast.expr, name: str) -> bool:
    """A function named as one that writes a line, by a name of its own: methods may do more."""
    owner = name.rpartition(".")[0]
    return _WRITER.match(name.rpartition(".")[2]) is not None and owner.partition(".")[0] not in {"self", "cls"}


def _is_console(node: ast.expr) -> bool:
    return dotted(node).rpartition(".")[2].lower().removeprefix("_") in {"console", "rich_console"}


def is_logger(node: ast.expr, module: Module | None = None) -> bool:
    """Whether an expression is named as loggers are, or makes one."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else dotted(node.func)
        return name in _LOGGER_MAKERS and (
            not isinstance(node.func, ast.Attribute) or name == "getLogger" or is_logger(node.func.value, module)
        )
    return _LOGGER.search(dotted(node)) is not None or meaning(module, node).startswith(("absl.logging", "loguru."))


def is_harmless(module: Module | None, node: ast.AST, handles: Collection[str] = (), asks: bool = False) -> bool:
    """Whether an expression changes nothing and binds nothing, though it may look at the clock or at the machine.

    `handles`: names whose methods only tell of time and progress. `asks`: questions to a logger count as well.
    """
    for part in ast.walk(node):
        if isinstance(part, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
            return False
        if not isinstance(part, ast.Call) or _is_pure_call(part):
            continue
        called = part.func
        owner = called.value if isinstance(called, ast.Attribute) else None
        if meaning(module, called) in _READS or _looks_at_memory(meaning(module, called)):
            continue
        if isinstance(owner, ast.Name) and owner.id in handles:
            continue
        if asks and owner is not None and called.attr in LOG_QUESTIONS and is_logger(owner, module):  # type: ignore[attr-defined]
            continue
        return False
    return True


def _looks_at_memory(name: str) -> bool:
    return (
        name.startswith(("torch.cuda.", "torch.mps.", "torch.xpu."))
        and ("memory_" in name or name.endswith(("is_available", "get_device_name", "utilization")))
        and not name.rpartition(".")[2].startswith(("reset", "set", "empty"))
    )


def only_logs(body: Sequence[ast.stmt]) -> bool:
    """Whether a block logs and does nothing else."""
    logs = [node for node in body if is_log_statement(node) or is_guarded_log(node)]
    return bool(logs) and all(node in logs or isinstance(node, ast.Pass) or is_text(node) for node in body)


def is_guarded_log(node: ast.stmt) -> bool:
    """`if not torch.compiler.is_compiling():` around log statements, as the rules leave it behind."""
    if not isinstance(node, ast.If) or node.orelse or not isinstance(node.test, ast.UnaryOp):
        return False
    asks = isinstance(node.test.operand, ast.Call) and dotted(node.test.operand.func).endswith(".is_compiling")
    return asks and all(is_log_statement(inner) for inner in node.body)


def is_text(node: ast.stmt) -> bool:
    """A string that stands alone, as comments sometimes do."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def is_pure(node: ast.AST) -> bool:
    """Whether evaluating the expression changes nothing and binds nothing, for all that its text shows."""
    for part in ast.walk(node):
        if isinstance(part, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
            return False
        if isinstance(part, ast.Call) and not _is_pure_call(part):
            return False
    return True


_OFTEN_LAYERS = frozenset({"norm", "flatten", "type", "get", "diff", "mean", "std", "sum", "max", "min"})


def _is_pure_call(call: ast.Call) -> bool:
    name = dotted(call.func)
    of_self = name.startswith(("self.", "cls.")) and name.rpartition(".")[2] in _OFTEN_LAYERS
    if of_self and not all(isinstance(argument, ast.Constant) for argument in call.args):
        return False  # a layer's call, it may be
    if isinstance(call.func, ast.Name):
        return name in _PURE_BUILTINS
    if name.startswith(("torch.", "math.", "np.", "numpy.")):
        last = name.rpartition(".")[2]
        return not last.endswith("_") and not last.startswith(_IMPURE_TORCH)
    return isinstance(call.func, ast.Attribute) and call.func.attr in _PURE_METHODS


def without_conversion(node: ast.expr) -> ast.expr:
    """`t` of `t.item()`, `bool(t)`, `int(t)`, `float(t)`, `t.bool()`, `t.cpu()` and their like."""
    while isinstance(node, ast.Call) and not node.keywords:
        if isinstance(node.func, ast.Attribute) and not node.args and node.func.attr in {"item", "bool", "cpu"}:
            node = node.func.value
        elif isinstance(node.func, ast.Name) and node.func.id in {"bool", "int", "float"} and len(node.args) == 1:
            node = node.args[0]
        else:
            break
    return node


def any_true(test: ast.expr) -> ast.expr | None:
    """The mask `m` of a test that holds exactly where any element of `m` is true.

    Knows `m.any()`, `torch.any(m)`, `m.sum() != 0`, `m.sum() > 0`, `m.sum() >= 1`, `m.count_nonzero() > 0`, `m.max()`
    and these through `.item()`, `bool()`, `int()`. Sums and maxima are such tests for boolean `m` only.
    """
    counted = False
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.comparators[0], ast.Constant):
        bound = test.comparators[0].value
        op = test.ops[0]
        above_zero = bound == 0 and isinstance(op, ast.NotEq | ast.Gt)
        if isinstance(bound, bool) or not (above_zero or (bound == 1 and isinstance(op, ast.GtE))):
            return None
        test, counted = test.left, True
    call = without_conversion(test)
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.keywords:
        return None
    reductions = {"sum", "count_nonzero"} if counted else {"any", "sum", "count_nonzero", "max"}
    if call.func.attr not in reductions:
        return None
    if dotted(call.func.value) == "torch":
        return call.args[0] if len(call.args) == 1 else None
    return call.func.value if not call.args else None


def is_boolean(module: Module, node: ast.expr, depth: int = 4) -> bool:
    """Whether a tensor expression is boolean for certain: comparisons, negated or joined ones, `isnan` and the like."""
    if isinstance(node, ast.Compare):
        return len(node.ops) == 1 and not isinstance(node.ops[0], ast.Is | ast.IsNot | ast.In | ast.NotIn)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
        return is_boolean(module, node.operand, depth)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr | ast.BitXor):
        return is_boolean(module, node.left, depth) and is_boolean(module, node.right, depth)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in {"isnan", "isinf", "isfinite", "isneginf", "isposinf", "bool", "logical_not",
                                  "logical_and", "logical_or", "eq", "ne", "lt", "le", "gt", "ge"}  # fmt: skip
    if isinstance(node, ast.Name) and depth:
        value = only_value(module, node)
        return value is not None and is_boolean(module, value, depth - 1)
    return False


def only_value(module: Module, name: ast.Name) -> ast.expr | None:
    """What a local name stands for, where its function assigns it exactly once."""
    function = module.function_of(name)
    if function is None or any(arg.arg == name.id for arg in ast.walk(function.args) if isinstance(arg, ast.arg)):
        return None
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == name.id]
    bound = [node for node in names if not isinstance(node.ctx, ast.Load)]
    if len(bound) != 1:
        return None
    parent = next(module.parents(bound[0]), None)
    return parent.value if isinstance(parent, ast.Assign) and parent.targets == [bound[0]] else None


def last_value(module: Module, name: ast.Name) -> ast.expr | None:
    """What a local name stands for where it is read: its only value, or the one assigned above in the same block."""
    if (value := only_value(module, name)) is not None:
        return value
    statement = next((one for one in module.parents(name) if isinstance(one, ast.stmt)), None)
    if statement is None:
        return None
    block = block_of(next(module.parents(statement)), statement)
    for above in reversed(block[: block.index(statement)]):
        if any(_binds(part, name.id) for part in ast.walk(above)):
            return above.value if isinstance(above, ast.Assign) and [*map(type, above.targets)] == [ast.Name] else None
    return None


def block_of(parent: ast.AST, node: ast.stmt) -> list[ast.stmt]:
    """The statements among which one stands."""
    for field in ("body", "orelse", "finalbody"):
        block = getattr(parent, field, None)
        if isinstance(block, list) and node in block:
            return block
    return [node]


def follow_one_another(module: Module, statements: Sequence[ast.stmt]) -> bool:
    """Whether nothing stands between statements."""
    block = block_of(next(module.parents(statements[0])), statements[0])
    at = block.index(statements[0])
    return block[at : at + len(statements)] == [*statements]


def is_for_compiled(node: ast.AST) -> bool:
    """`new if torch.compiler.is_compiling() else old`, as the dual form leaves it behind."""
    asks = isinstance(node, ast.IfExp) and isinstance(node.test, ast.Call)
    return asks and dotted(node.test.func).endswith("is_compiling")  # type: ignore[attr-defined]


def is_atom(node: ast.expr) -> bool:
    """Whether an expression needs no parentheses before a dot or beside an operator."""
    return isinstance(node, ast.Constant | ast.Name | ast.Attribute | ast.Subscript | ast.Call)


def is_whole(part: ast.AST) -> bool:
    """Whether a part of an index is `:`."""
    return isinstance(part, ast.Slice) and part.lower is part.upper is part.step is None


def is_named(node: ast.AST | None, name: str) -> bool:
    """Whether a node is this name."""
    return isinstance(node, ast.Name) and node.id == name


def _binds(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load)


def same(one: ast.AST, other: ast.AST) -> bool:
    """Whether two nodes are the same code, up to spaces and `dim=` names of the first argument."""
    return ast.dump(_plain(one)) == ast.dump(_plain(other))


def _plain(node: ast.AST) -> ast.AST:
    class Loads(ast.NodeTransformer):
        def visit_Name(self, name: ast.Name) -> ast.Name:
            return ast.Name(id=name.id, ctx=ast.Load())

        def visit_Call(self, call: ast.Call) -> ast.Call:
            self.generic_visit(call)
            if not call.args and call.keywords and call.keywords[0].arg == "dim":
                return ast.Call(func=call.func, args=[call.keywords[0].value], keywords=call.keywords[1:])
            return call

    return Loads().visit(ast.parse(ast.unparse(node), mode="eval"))  # type: ignore[no-any-return]
