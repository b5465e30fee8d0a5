"""What `graphfix apply` refuses to write: uncommitted changes, other people's code, two applies at once."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import Run

from graphfix.apply.journal import Change, opened
from graphfix.apply.write import write_files
from graphfix.errors import WriteError
from graphfix.model import Edit
from graphfix.source.sources import Sources

LAYER = """import torch

class Layer(torch.nn.Module):
    def forward(self, x):
        print("here")
        return x * 2
"""
GUARD = "if not torch.compiler.is_compiling():"
GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]


def git(*arguments: str, cwd: Path) -> None:
    subprocess.run([*GIT, *arguments], cwd=cwd, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project below the top of its repository, committed; the command runs in it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("")
    (folder / "layer.py").write_text(LAYER)
    (folder / "notes.txt").write_text("")
    (tmp_path / "beside.txt").write_text("")
    git("init", "-q", cwd=tmp_path)
    git("add", "-A", cwd=tmp_path)
    git("commit", "-qm", "all", cwd=tmp_path)
    return folder


def written(project: Path) -> bool:
    text = (project / "layer.py").read_text()
    assert (text == LAYER) != (GUARD in text)
    return GUARD in text


def test_uncommitted_changes(graphfix: Run, project: Path) -> None:
    (project / "notes.txt").write_text("changed")
    sentence = (
        "graphfix: project/notes.txt has changes that are not committed; commit or stash them, or say --allow-dirty.\n"
    )
    done = graphfix("apply", ".", cwd=project)
    assert (done.returncode, done.stderr) == (2, sentence)
    git("add", "-A", cwd=project)
    done = graphfix("apply", ".", cwd=project)
    assert (done.returncode, done.stderr) == (2, sentence)
    for sink in (["--check"], ["--diff"], ["--patch", "fix.patch"], ["--overlay", "over"]):
        assert graphfix("apply", ".", *sink, cwd=project).returncode == (sink[0] in ("--check", "--diff"))
    assert not written(project)
    assert graphfix("apply", ".", "--allow-dirty", cwd=project).returncode == 0
    assert written(project)


def test_they_are_refused_before_a_target_is_run(graphfix: Run, project: Path) -> None:
    (project / "targets.py").write_text("import graphfix\n@graphfix.target\ndef t(): open('ran', 'w')\n")
    (project / "layer.py").write_text(LAYER + "# mine\n")
    (project / "notes.txt").unlink()
    done = graphfix("apply", "targets.py", cwd=project)
    assert (done.returncode, done.stdout) == (2, "")
    assert "project/layer.py and 1 more has changes" in done.stderr
    assert not (project / "ran").exists()


def test_what_git_does_not_know_and_what_is_not_in_the_scope_may_change(graphfix: Run, project: Path) -> None:
    (project / "new.py").write_text(LAYER)
    (project.parent / "beside.txt").write_text("changed")
    done = graphfix("apply", cwd=project)
    assert done.returncode == 0, done.stderr
    assert written(project)
    assert GUARD in (project / "new.py").read_text()
    assert graphfix("undo", cwd=project).returncode == 0
    (project / "notes.txt").write_text("changed")
    assert graphfix("apply", "--scope", "layer.py", cwd=project).returncode == 0
    assert written(project)
    assert (project / "new.py").read_text() == LAYER


def test_without_git_there_is_nothing_to_refuse(graphfix: Run, project: Path, tmp_path: Path) -> None:
    (project / "notes.txt").write_text("changed")
    assert graphfix("apply", cwd=project, PATH=str(tmp_path / "nowhere")).returncode == 0
    assert written(project)


def test_a_repository_that_git_will_not_read(graphfix: Run, project: Path) -> None:
    (project.parent / ".git/config").write_text("[broken\n")
    done = graphfix("apply", cwd=project)
    assert done.returncode == 2
    assert done.stderr.startswith("graphfix: git cannot say what is committed (fatal: bad config line 1 ")
    assert done.stderr.endswith("); correct that, or say --allow-dirty.\n")
    assert graphfix("apply", "--allow-dirty", cwd=project).returncode == 0


def test_a_path_outside_the_project(graphfix: Run, project: Path) -> None:
    other = project.parent / "other.py"
    other.write_text(LAYER)
    done = graphfix("apply", "../other.py", cwd=project)
    assert done.returncode == 2
    assert f"{other} lies outside the project and is not edited in place; name --overlay DIR" in done.stderr
    assert other.read_text() == LAYER
    assert GUARD in graphfix("apply", "../other.py", "--diff", cwd=project).stdout
    assert graphfix("apply", "../other.py", "--in-place", cwd=project).returncode == 0
    assert GUARD in other.read_text()
    assert not written(project)


def test_a_path_outside_a_named_scope(graphfix: Run, project: Path) -> None:
    (project / "lib").mkdir()
    (project / "lib/layer.py").write_text(LAYER)
    done = graphfix("apply", "layer.py", "--scope", "lib", cwd=project)
    assert done.returncode == 2
    assert "layer.py lies outside the scope; name it with --scope, or leave it out." in done.stderr
    assert graphfix("apply", ".", "--scope", "lib", cwd=project).returncode == 0
    assert not written(project)
    assert GUARD in (project / "lib/layer.py").read_text()


def test_a_link_out_of_the_project_is_not_followed(graphfix: Run, project: Path) -> None:
    other = project.parent / "other.py"
    other.write_text(LAYER)
    (project / "link.py").symlink_to(other)
    assert graphfix("apply", cwd=project).returncode == 0
    assert written(project)
    assert other.read_text() == LAYER


def test_one_at_a_time(graphfix: Run, project: Path) -> None:
    with opened(project):
        for command in ("apply", "undo"):
            done = graphfix(command, cwd=project)
            assert done.returncode == 2
            assert done.stderr == f"graphfix: another graphfix works on {project}; wait until it is done.\n"
        assert graphfix("apply", "--diff", cwd=project).returncode == 1
    assert not written(project)


def test_an_apply_that_was_cut_short_is_taken_back_first(graphfix: Run, project: Path) -> None:
    (project / "a.py").write_text("a = 1\n")
    with opened(project) as journal:
        changes = [Change(project / name, (project / name).read_bytes(), b"new\n") for name in ("a.py", "layer.py")]
        journal.begin(changes)
        (project / "a.py").write_text("new\n")
    done = graphfix("apply", cwd=project)
    assert done.returncode == 2
    assert done.stderr == "graphfix: an earlier apply was cut short between two files; run graphfix undo first.\n"
    assert graphfix("undo", cwd=project).stdout == f"restored {project / 'a.py'}\n"
    assert graphfix("apply", cwd=project).returncode == 0
    assert written(project)


def test_undo_says_what_it_did(graphfix: Run, project: Path) -> None:
    assert graphfix("undo", cwd=project).returncode == 2
    assert not (project / ".graphfix").exists()
    assert graphfix("apply", "--format", "json", cwd=project).returncode == 0
    git("checkout", ".", cwd=project)
    done = graphfix("undo", cwd=project)
    assert (done.returncode, done.stdout) == (0, "all files are as they were; nothing had to be restored\n")
    assert graphfix("undo", cwd=project).returncode == 2


def test_a_read_only_file(graphfix: Run, project: Path) -> None:
    (project / "layer.py").chmod(0o444)
    done = graphfix("apply", cwd=project)
    assert (done.returncode, done.stderr) == (
        2,
        f"graphfix: {project / 'layer.py'}: it is read-only; nothing was changed.\n",
    )
    assert not written(project)


def test_an_overlay_or_a_patch_says_what_this_run_found(graphfix: Run, project: Path) -> None:
    """Nothing, too: what an earlier run left there is not taken for it."""
    arguments = ("apply", ".", "--format", "json", "--select")
    for sink in (["--overlay", "over"], ["--patch", "fix.patch"]):
        assert graphfix(*arguments, "GF301", *sink, cwd=project).returncode == 0
    assert json.loads((project / "over/graphfix.json").read_text())["files"]
    assert (project / "fix.patch").read_text()
    for sink in (["--overlay", "over"], ["--patch", "fix.patch"]):
        assert graphfix(*arguments, "GF302", *sink, cwd=project).returncode == 0
    assert not json.loads((project / "over/graphfix.json").read_text())["files"]
    assert not (project / "fix.patch").read_text()


def test_a_file_that_changes_after_its_fix_was_made(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("a = 1\n")
    fixed = Sources().with_edits([Edit(str(file), 4, 5, "2")])
    fixed = fixed.with_edits([Edit(str(file), 0, 1, "b")])
    assert (fixed.patched, fixed.originals) == ({str(file): "b = 2\n"}, {str(file): "a = 1\n"})
    file.write_text("a = 1  # mine\n")
    with opened(tmp_path) as journal, pytest.raises(WriteError, match=r"a\.py was changed while it was worked on"):
        write_files(journal, fixed.patched, fixed.originals, [tmp_path])
    assert file.read_text() == "a = 1  # mine\n"
    os.unlink(file)
