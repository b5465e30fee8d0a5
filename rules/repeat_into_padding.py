"""GF407: rows repeated by counts, and written into a padded tensor."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._match import block_of, dotted, is_pure


class RepeatIntoPadding(Rule):
    """What it does:
        Finds for each place of the padded row which element stands there, by the running sum of the counts, instead of
        repeating the elements and writing the result into the beginning of the row.

    Why it breaks the graph:
        How long the repeated elements are is known at run time only (GB0036). The padded row's length is known.

    Example:
        repeated = torch.repeat_interleave(values, counts, dim=0)
        out[row, : repeated.size(0)] = repeated

        ends = counts.cumsum(0)
        places = torch.arange(out.shape[1], device=ends.device)
        taken = values[torch.searchsorted(ends, places, right=True).clamp(max=values.shape[0] - 1)]
        out[row] = torch.where((places < ends[-1])[:, None], taken, out[row])

    Safety:
        Eager keeps the original. Compiled code asserts that the repeated elements fit into the row, which else raised.
    """

    code, name = "GF407", "repeat-into-padding"
    title = "look up what stands at each place of the padded row"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0036"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        if not site.dual:
            return None
        found = _repeated(site)
        if found is None:
            return None
        first, second, values, counts = found
        stored = _stored(site.module, first, second)
        function = site.module.function_of(first)
        if stored is None or function is None or not all(map(is_pure, (values, counts, *stored))):
            return None
        out, row = stored
        taken = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
        if taken & {"ends", "places", "taken"}:
            return None
        return Site(site.module, site.node, site.break_).replace(
            [first, second],
            "if {torch}.compiler.is_compiling():\n"
            "    ends = {counts}.cumsum(0)\n"
            '    {torch}._assert_async(ends[-1] <= {out}.shape[1], "graphfix: what is repeated does not fit")\n'
            "    places = {torch}.arange({out}.shape[1], device=ends.device)\n"
            "    taken = {values}[{torch}.searchsorted(ends, places, right=True).clamp(max={values}.shape[0] - 1)]\n"
            "    {out}[{row}] = {torch}.where((places < ends[-1])[:, None], taken, {out}[{row}])\n"
            "else:\n"
            "    {original}\n",
            counts=counts,
            values=values,
            out=out,
            row=row,
            original=[first, second],
        )

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x, durations):
                    out = torch.zeros(x.shape[0], 8, x.shape[2])
                    for i, (one, times) in enumerate(zip(x, durations)):
                        repeated = torch.repeat_interleave(one, times, dim=0)
                        out[i, : repeated.size(0)] = repeated
                    return out * 2
            """,
            after="""
                import torch

                def f(x, durations):
                    out = torch.zeros(x.shape[0], 8, x.shape[2])
                    for i, (one, times) in enumerate(zip(x, durations)):
                        if torch.compiler.is_compiling():
                            ends = times.cumsum(0)
                            torch._assert_async(ends[-1] <= out.shape[1], "graphfix: what is repeated does not fit")
                            places = torch.arange(out.shape[1], device=ends.device)
                            taken = one[torch.searchsorted(ends, places, right=True).clamp(max=one.shape[0] - 1)]
                            out[i] = torch.where((places < ends[-1])[:, None], taken, out[i])
                        else:
                            repeated = torch.repeat_interleave(one, times, dim=0)
                            out[i, : repeated.size(0)] = repeated
                    return out * 2
            """,
            calls=(
                "f(torch.rand(2, 3, 4), torch.tensor([[1, 0, 3], [2, 2, 2]]))",
                "f(torch.rand(1, 3, 4), torch.tensor([[0, 0, 8]]))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                class Regulator(torch.nn.Module):
                    def forward(self, hidden, frames, size: int):
                        padded = hidden.new_zeros(hidden.size(0), size, hidden.size(-1))
                        for number in range(hidden.size(0)):
                            # as long as it sounds
                            long = hidden[number].repeat_interleave(frames[number], dim=0)
                            padded[number, :len(long), :] = long
                        return padded

                f = Regulator()
            """,
            after="""
                import torch

                class Regulator(torch.nn.Module):
                    def forward(self, hidden, frames, size: int):
                        padded = hidden.new_zeros(hidden.size(0), size, hidden.size(-1))
                        for number in range(hidden.size(0)):
                            # as long as it sounds
                            if torch.compiler.is_compiling():
                                ends = frames[number].cumsum(0)
                                torch._assert_async(ends[-1] <= padded.shape[1], "graphfix: what is repeated does not fit")
                                places = torch.arange(padded.shape[1], device=ends.device)
                                taken = hidden[number][torch.searchsorted(ends, places, right=True).clamp(max=hidden[number].shape[0] - 1)]
                                padded[number] = torch.where((places < ends[-1])[:, None], taken, padded[number])
                            else:
                                long = hidden[number].repeat_interleave(frames[number], dim=0)
                                padded[number, :len(long), :] = long
                        return padded

                f = Regulator()
            """,  # noqa: E501
            calls=("f(torch.rand(2, 3, 4), torch.tensor([[1, 0, 3], [2, 2, 2]]), 7)",),
        ),
        Leaves(
            source="""
                import torch

                def f(x, times):
                    repeated = torch.repeat_interleave(x, times, dim=0)
                    out = torch.zeros(2, 9)
                    out[0, : repeated.size(0)] = repeated
                    return out.sum() + repeated.sum()
            """,
            calls=("f(torch.rand(3), torch.tensor([1, 0, 3]))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x, times):
                    repeated = torch.repeat_interleave(x, times, dim=0)
                    return repeated * 2
            """,
            calls=("f(torch.rand(3, 2), torch.tensor([1, 0, 3]))",),
        ),
    )


def _repeated(site: Site) -> tuple[ast.stmt, ast.stmt, ast.expr, ast.expr] | None:
    """The statement that repeats, the one behind it, what is repeated and how often."""
    call, first = site.node, site.enclosing(ast.Assign)
    if not isinstance(call, ast.Call) or first is None or first.value is not call:
        return None
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "repeat_interleave":
        return None
    given = [*call.args] if dotted(call.func.value) == "torch" else [call.func.value, *call.args]
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    dim = given[2] if len(given) > 2 else named.get("dim")
    counts = given[1] if len(given) > 1 else named.get("repeats")
    if counts is None or not isinstance(dim, ast.Constant) or dim.value != 0 or not set(named) <= {"dim", "repeats"}:
        return None
    block = block_of(next(site.module.parents(first)), first)
    behind = block[block.index(first) + 1 :]
    return (first, behind[0], given[0], counts) if behind else None


def _stored(module: Module, first: ast.stmt, second: ast.stmt) -> tuple[ast.expr, ast.expr] | None:
    """The tensor and the row of `out[row, : r.size(0)] = r`, where nothing else uses `r`."""
    if not isinstance(first, ast.Assign) or not isinstance(first.targets[0], ast.Name):
        return None
    name = first.targets[0].id
    if not isinstance(second, ast.Assign) or ast.unparse(second.value) != name or len(second.targets) != 1:
        return None
    target = second.targets[0]
    parts = target.slice.elts if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Tuple) else []
    if len(parts) < 2 or any(ast.unparse(part) not in (":", "...") for part in parts[2:]):
        return None
    part = parts[1]
    if not isinstance(part, ast.Slice) or part.lower is not None or part.step is not None or part.upper is None:
        return None
    if ast.unparse(part.upper) not in {f"{name}.size(0)", f"{name}.shape[0]", f"len({name})"}:
        return None
    function, inside = module.function_of(first), set(ast.walk(second))
    around = ast.walk(function) if function else iter(())
    loads = [n for n in around if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)]
    assert isinstance(target, ast.Subscript)
    return (target.value, parts[0]) if all(node in inside for node in loads) else None
