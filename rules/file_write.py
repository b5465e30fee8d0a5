"""GF308: files that compiled code writes."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._effects import EFFECT_BREAKS, eager_only, guarded, is_housekeeping, statement_of
from ._match import dotted, is_harmless, is_log_statement, meaning

_WRITERS = frozenset(
    """
    torch.save numpy.save numpy.savez numpy.savez_compressed numpy.savetxt np.save np.savez np.savez_compressed
    np.savetxt json.dump pickle.dump yaml.dump yaml.safe_dump torchaudio.save torchvision.utils.save_image
    torchvision.io.write_png soundfile.write sf.write safetensors.torch.save_file os.makedirs os.mkdir os.remove
    os.unlink shutil.rmtree shutil.copy matplotlib.pyplot.savefig plt.savefig plt.imsave wandb.log mlflow.log_metric
    mlflow.log_metrics
    """.split()
)
_METHODS = frozenset("write writelines write_text write_bytes mkdir touch tofile flush".split())
_TABLES = frozenset({"csv.writer", "csv.DictWriter"})
_ROWS = frozenset({"writerow", "writerows", "writeheader"})
_BOARD = frozenset(
    "add_scalar add_scalars add_histogram add_image add_images add_audio add_figure add_text add_graph".split()
)


class FileWrite(Rule):
    """What it does:
        Lets statements that write a file, or a record to a dashboard, run in eager code alone: `torch.save`, `np.save`,
        `json.dump`, `with open(…)` around nothing but writes, `writer.add_scalar`.

    Why it breaks the graph:
        A graph has no place for files: Dynamo ends it there (GB0007, GB0059, GB0142, GB0294), and skips a function that
        has the `with`.

    Example:
        torch.save(hidden, "hidden.pt")

        if not torch.compiler.is_compiling():
            torch.save(hidden, "hidden.pt")

    Safety:
        Unsafe. Compiled code writes no file any more. Right for what was put there to look at, wrong for a result:
        write that after the compiled call.
    """

    code, name = "GF308", "file-write"
    title = "write no file while compiling"
    safety = Safety.UNSAFE
    repairs = EFFECT_BREAKS

    def rewrite(self, site: Site) -> Rewrite | None:
        module, statement = site.module, statement_of(site)
        if isinstance(around := site.enclosing(ast.With), ast.With) and _only_writes(module, around):
            statement = around
        if statement is None or eager_only(module, statement):
            return None
        return guarded(site, [statement]) if _writes(module, statement) or _only_writes(module, statement) else None

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x, path: str = "/dev/null"):
                    y = torch.sin(x)
                    torch.save(y.detach(), path)  # to look at
                    return y * 2
            """,
            after="""
                import torch

                def f(x, path: str = "/dev/null"):
                    y = torch.sin(x)
                    if not torch.compiler.is_compiling():
                        torch.save(y.detach(), path)  # to look at
                    return y * 2
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4), path='/dev/null')"),
        ),
        Rewrites(
            before="""
                from torch import nn

                class Dump(nn.Module):
                    place = "/dev/null"

                    def forward(self, x, *, debug=True):
                        x = x.relu()
                        if debug:
                            with open(self.place, "w") as out:
                                out.write(f"{tuple(x.shape)}")
                                # and the mean
                                out.write(str(x.mean().item()))
                        return x + 1

                f = Dump()
            """,
            after="""
                import torch
                from torch import nn

                class Dump(nn.Module):
                    place = "/dev/null"

                    def forward(self, x, *, debug=True):
                        x = x.relu()
                        if debug:
                            if not torch.compiler.is_compiling():
                                with open(self.place, "w") as out:
                                    out.write(f"{tuple(x.shape)}")
                                    # and the mean
                                    out.write(str(x.mean().item()))
                        return x + 1

                f = Dump()
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4), debug=False)"),
        ),
        Rewrites(
            before="""
                import numpy
                import torch

                def f(x):
                    for factor in (1, 2):
                        x = torch.cos(x) * factor
                        numpy.savetxt("/dev/null", x.numpy())
                    return x
            """,
            after="""
                import numpy
                import torch

                def f(x):
                    for factor in (1, 2):
                        x = torch.cos(x) * factor
                        if not torch.compiler.is_compiling():
                            numpy.savetxt("/dev/null", x.numpy())
                    return x
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import csv

                def f(x):
                    y = x.sin()
                    with open("/dev/null", "a", newline="") as file:
                        csv.writer(file).writerow(["mean", f"{y.mean().item():.3f}"])
                    return y + 1
            """,
            after="""
                import csv

                import torch

                def f(x):
                    y = x.sin()
                    if not torch.compiler.is_compiling():
                        with open("/dev/null", "a", newline="") as file:
                            csv.writer(file).writerow(["mean", f"{y.mean().item():.3f}"])
                    return y + 1
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4))"),
        ),
        Leaves(
            source="""
                def f(x):
                    y = x.sin()
                    with open("/dev/null") as read:
                        y = y + len(read.read())
                    return y
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x, paths):
                    torch.save(x, paths.pop())
                    return x + 1
            """,
            calls=("f(torch.ones(3), ['/dev/null'])",),
        ),
    )


def _writes(module: Module, node: ast.stmt, files: frozenset[str] = frozenset()) -> bool:
    """A statement that writes to a file, `files` being names of open ones."""
    call = node.value if isinstance(node, ast.Expr) else None
    if not isinstance(call, ast.Call):
        return False
    values = (*call.args, *(word.value for word in call.keywords))
    if not all(is_harmless(module, value) or _opens(module, value) for value in values):
        return False
    if meaning(module, call.func) in _WRITERS:
        return True
    if not isinstance(call.func, ast.Attribute):
        return False
    owner = call.func.value
    is_file = isinstance(owner, ast.Name) and owner.id in files
    if call.func.attr in _ROWS and isinstance(owner, ast.Call) and meaning(module, owner.func) in _TABLES:
        return any(isinstance(value, ast.Name) and value.id in files for value in owner.args)
    is_path = (is_harmless(module, owner) or _opens(module, owner)) and call.func.attr in _METHODS - {"write", "flush"}
    return (is_file and call.func.attr in _METHODS) or is_path or call.func.attr in _BOARD


def _opens(module: Module, node: ast.expr) -> bool:
    """`open(…)` or `Path(…)`."""
    if not isinstance(node, ast.Call):
        return False
    made = dotted(node.func).rpartition(".")[2] in {"open", "Path"}
    return made and all(is_harmless(module, value) for value in (*node.args, *(word.value for word in node.keywords)))


def _only_writes(module: Module, node: ast.stmt) -> bool:
    """A `with open(…) as file:` whose block writes to it, or logs, and does nothing else."""
    if not isinstance(node, ast.With) or not all(_opens(module, item.context_expr) for item in node.items):
        return False
    names = (item.optional_vars for item in node.items)
    files = frozenset(name.id for name in names if isinstance(name, ast.Name))
    return all(
        _writes(module, inner, files) or is_log_statement(inner, module) or is_housekeeping(module, inner)
        for inner in node.body
    )
