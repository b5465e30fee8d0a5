"""Runs `graphfix apply` on every program here and prints what became of it as a Markdown table.

python tests/generality/run.py                      # all, two at a time
python tests/generality/run.py gf2 gf3_04 --keep out   # some, with graphfix's JSON reports in out/
python tests/generality/run.py --write final        # puts the table into docs/generality.md
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "generality.md"
HOPELESS = "Nobody can repair this"


@dataclass(frozen=True)
class Row:
    """What became of a program; counts are (before, after). `stays` says what is left and why."""

    name: str
    hopeless: bool
    breaks: tuple[int, int]
    sites: tuple[int, int]
    recompiles: tuple[int, int]
    rules: tuple[str, ...]
    eager: str
    stays: str

    @property
    def family(self) -> str:
        return self.name[:3].upper()

    @property
    def repaired(self) -> bool:
        """No break is left, eager is as before; for GF7, no function is compiled more than once again."""
        clean = self.recompiles[1] <= 1 if self.family == "GF7" else self.breaks[1] == 0
        return clean and self.eager in ("yes", "untouched") and bool(self.rules)


def programs(names: list[str]) -> list[Path]:
    """The program files whose names start with one of `names`; all, where none is given."""
    return [path for path in sorted(HERE.glob("gf*.py")) if not names or path.name.startswith(tuple(names))]


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""


def run(path: Path, keep: Path | None = None, timeout: float = 600) -> Row:
    """Apply graphfix to one program, into an overlay that is thrown away; GF6 and GF7 programs with --unsafe."""
    scanned = graphfix(path, "scan", timeout) if path.name.startswith("gf7") else None
    with tempfile.TemporaryDirectory(prefix="generality-") as folder:
        unsafe = ["--unsafe"] if path.name.startswith(("gf6", "gf7")) else []
        report = graphfix(path, "apply", timeout, "--overlay", os.path.join(folder, "overlay"), *unsafe)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{path.stem}.json").write_text(json.dumps(report, indent=2))
    return row(path, report, scanned)


def graphfix(path: Path, command: str, timeout: float, *options: str) -> dict[str, Any]:
    """graphfix's JSON report, {"failed": text} where there is none."""
    line = [
        sys.executable,
        "-m",
        "graphfix",
        command,
        str(path),
        "--backend",
        "aot_eager",
        "--format",
        "json",
        *options,
    ]
    try:
        done = subprocess.run(
            line, capture_output=True, text=True, timeout=timeout, check=False, cwd=HERE.parent.parent
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"no answer in {timeout:.0f} s"}
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        return {"failed": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    return found


def row(path: Path, report: dict[str, Any], scanned: dict[str, Any] | None) -> Row:
    hopeless = HOPELESS in docstring(path)
    if "failed" in report:
        return Row(path.stem, hopeless, (0, 0), (0, 0), (0, 0), (), "?", report["failed"])
    target = report["targets"][0]
    left = {"graph_breaks": target["graph_breaks"], "sites": len(target["sites"])}
    before, after = target.get("before") or left, target.get("after") or left
    again = len(target["recompiles"])
    eager = {None: "untouched", True: "yes", False: "NO"}[target.get("eager_identical")]
    return Row(
        path.stem,
        hopeless,
        (before["graph_breaks"], after["graph_breaks"]),
        (before["sites"], after["sites"]),
        (len(scanned["targets"][0]["recompiles"]) if scanned and "targets" in scanned else again, again),
        tuple(fix["rule"] for fix in report["fixes"] if fix["status"] == "kept"),
        eager,
        "; ".join(left_over(target, report["fixes"])),
    )


def left_over(target: dict[str, Any], fixes: list[dict[str, Any]]) -> list[str]:
    """A phrase for every place that is left, with what was tried on it."""
    problems = [text for text in (target["error"], target.get("verdict_error")) if text]
    phrases = []
    for site in target["sites"]:
        tried = [
            f"{fix['rule']} {fix['status']}: {fix['reason']}"
            for fix in fixes
            if fix["status"] != "kept" and fix["line"] == site["line"]
        ]
        phrases.append(f"{site['id']} line {site['line']}" + (f" ({', '.join(dict.fromkeys(tried))})" if tried else ""))
    here = f"{HERE.parent.parent}{os.sep}"  # this machine's
    return [re.sub(r"\s+", " ", text.replace(here, ""))[:240] for text in dict.fromkeys(problems + phrases)]


def table(rows: list[Row]) -> str:
    """Totals by family, then a line for every program."""
    lines = ["| family | programs | meant to be repairable | repaired | breaks | sites |", "|---|---|---|---|---|---|"]
    for family in (*sorted({row.family for row in rows}), "all"):
        group = [row for row in rows if family in ("all", row.family)]
        repairable = [row for row in group if not row.hopeless]
        cells = (family, len(group), len(repairable), sum(row.repaired for row in group))
        lines.append(f"| {' | '.join(map(str, cells))} | {total(group, 'breaks')} | {total(group, 'sites')} |")
    lines += [
        "",
        "| program | breaks | sites | rules kept | eager identical | what stays, and why |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join(lines + [line(row) for row in rows]) + "\n"


def total(rows: list[Row], field: str) -> str:
    before, after = zip(*(getattr(row, field) for row in rows), strict=True)
    return f"{sum(before)} → {sum(after)}"


def line(row: Row) -> str:
    """One program's line; a GF7 program shows how often it compiled again in place of breaks."""
    counts = f"{row.breaks[0]} → {row.breaks[1]}"
    if row.family == "GF7":
        counts = f"recompiles {row.recompiles[0]} → {row.recompiles[1]}"
    stays = row.stays.replace("|", "\\|")
    if row.hopeless:
        stays = f"as marked: nobody can. {stays}"
    cells = (row.name, counts, f"{row.sites[0]} → {row.sites[1]}", ", ".join(row.rules), row.eager, stays)
    return f"| {' | '.join(cells)} |"


def write(section: str, text: str) -> None:
    """Put the text between the page's two marks of that section."""
    page = PAGE.read_text("utf-8")
    marks = f"<!-- {section} -->", f"<!-- end of {section} -->"
    begin, end = (page.index(mark) for mark in marks)
    PAGE.write_text(f"{page[: begin + len(marks[0])]}\n{text}{page[end:]}", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="beginnings of program names; all by default")
    parser.add_argument("--keep", type=Path, help="a folder for graphfix's JSON reports")
    parser.add_argument(
        "--write", choices=("first", "final", "unseen"), help="the section of docs/generality.md to fill"
    )
    parser.add_argument("--side-by-side", type=int, default=2)
    chosen = parser.parse_args()
    with ThreadPoolExecutor(chosen.side_by_side) as pool:
        rows = []
        for found in pool.map(lambda path: run(path, chosen.keep), programs(chosen.names)):
            print(line(found), file=sys.stderr, flush=True)
            rows.append(found)
    text = table(rows)
    print(text)
    if chosen.write:
        import torch

        when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        write(chosen.write, f"Run on {when}, torch {torch.__version__}, backend aot_eager.\n\n{text}")


if __name__ == "__main__":
    main()
