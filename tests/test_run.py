"""`graphfix run` leaves the user's program alone, its output and exit code included, and reports on stderr."""

from __future__ import annotations

from pathlib import Path

from conftest import Run

PROGRAM = """
import sys, torch

@torch.compile(backend="eager")
def f(x):
    y = x * 2
    print("inside")
    return y + 1

print(f(torch.ones(2)).tolist(), sys.argv[1:], __name__)
sys.exit(3)
"""


def test_the_program_is_itself_and_its_breaks_are_told(graphfix: Run, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = graphfix("run", "program.py", "--flag", "value")
    assert done.returncode == 3
    assert done.stdout == "inside\n[3.0, 3.0] ['--flag', 'value'] __main__\n"
    assert "program.py: 2 graphs, 1 graph break, 1 place to fix, 1 with a rule" in done.stderr
    assert "program.py:7:5" in done.stderr


def test_a_missing_program_is_said(graphfix: Run) -> None:
    done = graphfix("run", "absent.py")
    assert (done.returncode, "absent.py does not exist" in done.stderr) == (2, True)
