"""The command line: parse, call, render, exit code. What Typer reads."""

from __future__ import annotations

import functools
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphfix._version import __version__
from graphfix.commands.finish import finish, show, write

if TYPE_CHECKING:
    from graphfix.settings import Settings

app = typer.Typer(
    name="graphfix",
    help="Find TorchDynamo graph breaks, rewrite the source so that they are gone, prove every rewrite.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich alone would take half of the start-up time
)


class Format(StrEnum):
    text, json, sarif, github, html = "text", "json", "sarif", "github", "html"


class BenchFormat(StrEnum):
    text, json, html = "text", "json", "html"


class PlanFormat(StrEnum):
    text, json = "text", "json"


class Device(StrEnum):
    cpu, cuda = "cpu", "cuda"


Where = Annotated[list[str] | None, typer.Argument(metavar="[PATH|TARGET]...", show_default=False)]
Targets = Annotated[list[str], typer.Argument(metavar="TARGET...", show_default=False)]
FormatOption = Annotated[Format, typer.Option("--format", help="How to print the report.")]
BenchFormatOption = Annotated[BenchFormat, typer.Option("--format", help="How to print the figures.")]
PlanFormatOption = Annotated[PlanFormat, typer.Option("--format", help="How to print the plans.")]
Output = Annotated[Path | None, typer.Option("--output", help="Write the report to a file.", show_default=False)]
Select = Annotated[
    list[str] | None, typer.Option(help="Only these rules: codes, starts of codes, names.", show_default=False)
]
Ignore = Annotated[list[str] | None, typer.Option(help="Not these rules.", show_default=False)]
Unsafe = Annotated[bool, typer.Option("--unsafe", help="Allow fixes that change what a user could rely on.")]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        help="Processes side by side. Default: 1 for targets, one a processor for files.",
        show_default=False,
    ),
]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds for one worker process.")]
DeviceOption = Annotated[Device | None, typer.Option("--device", help="Default: CUDA if present.", show_default=False)]
Backend = Annotated[
    str | None,
    typer.Option("--backend", help="Default: inductor with a C++ compiler, else aot_eager.", show_default=False),
]
Scope = Annotated[
    list[str] | None,
    typer.Option("--scope", help="Paths or packages that may be rewritten. Default: this project.", show_default=False),
]
ForceExclude = Annotated[
    bool, typer.Option("--force-exclude", help="Leave out excluded files even where they are named.")
]
Diff = Annotated[bool, typer.Option("--diff", help="Print the fixes as a patch; write nothing.")]
Check = Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if something would change.")]


def _debug(wanted: bool) -> None:
    if wanted:
        os.environ["GRAPHFIX_DEBUG"] = "1"


Debug = Annotated[bool, typer.Option("--debug", callback=_debug, help="Show tracebacks.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"graphfix {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def scan(
    where: Where = None,
    format: FormatOption = Format.text,
    output: Output = None,
    select: Select = None,
    ignore: Ignore = None,
    scope: Scope = None,
    jobs: Jobs = None,
    timeout: Timeout = 600.0,
    device: DeviceOption = None,
    backend: Annotated[
        str | None, typer.Option(help="Compile the targets with this backend as well.", show_default=False)
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only explain the first call of each target.")] = False,
    trace: Annotated[
        Path | None,
        typer.Option(help="Read a log of TORCH_LOGS=graph_breaks, or a TORCH_TRACE folder.", show_default=False),
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="Show what is likely in the text, not only the certain.")] = False,
    baseline: Annotated[
        Path | None, typer.Option(help="Report only what this baseline does not hold.", show_default=False)
    ] = None,
    write_baseline: Annotated[
        Path | None, typer.Option(help="Write the findings of paths to a baseline.", show_default=False)
    ] = None,
    stdin_filename: Annotated[
        Path | None, typer.Option(help="With the path -: what to call the source on stdin.", show_default=False)
    ] = None,
    force_exclude: ForceExclude = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Search every file anew.")] = False,
    debug: Debug = False,
) -> None:
    """Report breaks: of files by their text, of targets (file.py::name) by compiling them. Changes no source."""
    from graphfix.commands.scan import command

    code = command(
        where or [],
        format.value,
        output,
        select,
        ignore,
        scope,
        jobs,
        timeout,
        device,
        backend,
        quick,
        trace,
        all,
        baseline,
        write_baseline,
        stdin_filename,
        force_exclude,
        no_cache,
    )
    raise typer.Exit(code)


@app.command()
def apply(
    where: Where = None,
    format: FormatOption = Format.text,
    output: Output = None,
    select: Select = None,
    ignore: Ignore = None,
    unsafe: Unsafe = False,
    jobs: Jobs = None,
    timeout: Timeout = 600.0,
    max_fixes: Annotated[int | None, typer.Option(min=1, help="Stop after so many fixes.", show_default=False)] = None,
    budget: Annotated[
        float | None, typer.Option(min=0.0, help="Try no further fix after so many seconds.", show_default=False)
    ] = None,
    device: DeviceOption = None,
    backend: Backend = None,
    scope: Scope = None,
    diff: Diff = False,
    check: Check = False,
    patch: Annotated[Path | None, typer.Option(help="Write the fixes to a patch file.", show_default=False)] = None,
    overlay: Annotated[
        Path | None, typer.Option(help="Write the fixed files to an overlay folder.", show_default=False)
    ] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Edit files outside the project as well.")] = False,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="Write even where git has changes that are not committed.")
    ] = False,
    force_exclude: ForceExclude = False,
    debug: Debug = False,
) -> None:
    """Fix breaks and prove each fix. Of paths: only the fixes that are exact by construction."""
    from graphfix.commands.apply import Sink, apply

    found = _settings(
        select,
        ignore,
        scope,
        unsafe,
        device=device,
        timeout=timeout,
        jobs=jobs,
        backend=backend,
        force_exclude=force_exclude,
    )
    sink = Sink(diff, check, patch, overlay, in_place, allow_dirty)
    raise typer.Exit(finish(apply(where or [], found, sink, max_fixes, budget), format.value, output))


@app.command()
def verify(
    targets: Targets,
    format: FormatOption = Format.text,
    output: Output = None,
    timeout: Timeout = 600.0,
    device: DeviceOption = None,
    backend: Backend = None,
    overlay: Annotated[Path | None, typer.Option(help="Judge the fixes of an overlay.", show_default=False)] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            help="Run round after round with this mode of torch.compile. Default: reduce-overhead on CUDA, else none.",
            show_default=False,
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Recompile targets and judge them: no break, a graph, eager unchanged, compiled like eager. Writes nothing."""
    from graphfix.commands.verify import verify

    found = _settings(device=device, timeout=timeout, backend=backend)
    raise typer.Exit(finish(verify(targets, found, overlay, mode), format.value, output))


@app.command()
def bench(
    targets: Targets,
    format: BenchFormatOption = BenchFormat.text,
    output: Output = None,
    timeout: Timeout = 1800.0,
    device: DeviceOption = None,
    backend: Backend = None,
    overlay: Annotated[Path | None, typer.Option(help="Time the fixes of an overlay too.", show_default=False)] = None,
    plan: Annotated[
        Path | None, typer.Option(help="Time the regions of a JSON report of graphfix plan too.", show_default=False)
    ] = None,
    mode: Annotated[
        list[str] | None,
        typer.Option(help="A mode of torch.compile; may be given several times. Default: default.", show_default=False),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How many turns each arm gets.")] = 10,
    calls: Annotated[int, typer.Option(min=1, help="How many of a target's calls are timed.")] = 1,
    warm: Annotated[bool, typer.Option(help="Time the first run with full caches as well.")] = True,
    debug: Debug = False,
) -> None:
    """Time targets: eager, compiled as they are, with an overlay's fixes, in planned regions. Writes nothing."""
    from graphfix.commands.bench import Request, bench
    from graphfix.report import bench as report

    found = _settings(device=device, timeout=timeout, backend=backend)
    done = bench(targets, found, Request(overlay, plan, tuple(mode or ["default"]), rounds, calls, warm))
    text = {"text": report.text, "json": report.as_json, "html": report.as_html}[format.value](done)
    write(text, output, sys.stdout)
    raise typer.Exit(2 if any(arm.error for target in done.targets for arm in target.arms) else 0)


@app.command()
def plan(
    targets: Targets,
    format: PlanFormatOption = PlanFormat.text,
    output: Output = None,
    timeout: Timeout = 1800.0,
    device: DeviceOption = None,
    overlay: Annotated[Path | None, typer.Option(help="Plan on the fixes of an overlay.", show_default=False)] = None,
    mode: Annotated[
        str | None, typer.Option(help="torch.compile's mode. Default: reduce-overhead.", show_default=False)
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How many runs are timed.")] = 10,
    least_gain: Annotated[
        float, typer.Option(min=0.0, help="Leave a region in eager that is not so many times faster.")
    ] = 1.03,
    nested: Annotated[bool, typer.Option(help="Compile repeated blocks once, where that works.")] = True,
    debug: Debug = False,
) -> None:
    """Find which parts of targets to compile, print the code for it, prove it end to end. Writes nothing."""
    from graphfix.commands.plan import make_plans
    from graphfix.report import plan as report

    done = make_plans(targets, _settings(device=device, timeout=timeout), overlay, mode, rounds, nested, least_gain)
    write({"text": report.text, "json": report.as_json}[format.value](done), output, sys.stdout)
    failed = any(target.error for target in done.targets)
    raise typer.Exit(2 if failed else 0 if all(target.proven for target in done.targets) else 1)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
)
def run(
    program: Annotated[list[str], typer.Argument(metavar="SCRIPT|-m MODULE [ARGS]...", show_default=False)],
    format: FormatOption = Format.text,
    output: Output = None,
    overlay: Annotated[Path | None, typer.Option(help="Run with the fixes of an overlay.", show_default=False)] = None,
    debug: Debug = False,
) -> None:
    """Run your own program and report the breaks of every torch.compile in it, on stderr or in --output.

    All that follows SCRIPT or -m MODULE is the program's own. SIGUSR1 asks for the report so far.
    """
    from graphfix.commands.run import run

    write = functools.partial(show, format=format.value, output=output, stream=sys.stderr)
    raise typer.Exit(run(program, _settings(), overlay, output, write))


@app.command()
def explain(
    code: Annotated[str, typer.Argument(metavar="CODE", help="A rule (GF101, item-in-fill) or break id (GB0170).")],
    debug: Debug = False,
) -> None:
    """Explain a rule, or what a break id means and which rules repair it."""
    from graphfix.commands.words import explain

    typer.echo(explain(code), nl=False)


@app.command()
def rules(debug: Debug = False) -> None:
    """List the rules."""
    from graphfix.commands.words import list_rules

    typer.echo(list_rules(), nl=False)


@app.command()
def undo(debug: Debug = False) -> None:
    """Take the last apply back."""
    from graphfix.commands.apply import undo

    restored = undo(_settings().root)
    for path in restored:
        typer.echo(f"restored {path}")
    if not restored:
        typer.echo("all files are as they were; nothing had to be restored")


def _settings(*flags: Any, **named: Any) -> Settings:
    """The settings by flags and configuration; imported here so that `--version` and `--help` start sooner."""
    from graphfix import settings

    return settings.load(*flags, **named)
