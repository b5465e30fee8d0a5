"""Gives several files their new content: all of them, or none, whenever the command is killed.

A file is replaced by a rename, which is atomic; several renames are not. So all that takes time is done before: the
new content lies ready, synced, and the renames are made by a process of its own, which no signal to the command, its
group or its terminal reaches. Only the end of that process or of the machine in the millisecond that they take leaves
some files old and some new; `graphfix undo` takes that back.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import gc
import json
import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from graphfix.apply.journal import Change, Record, sync
from graphfix.errors import WriteError

_DEFERRED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@dataclass(frozen=True, slots=True)
class _Move:
    """A file, and its new and its old content as files that can be renamed over it."""

    path: Path
    new: Path
    old: Path


def exchange(changes: Sequence[Change], record: Record, home: Path, commit: Callable[[], object]) -> None:
    """Replace every file, and `commit`; temporary files lie in `home`, or beside a file on another file system.

    Raises WriteError, with every file as it was (or, says the error, with work left for `graphfix undo`).
    """
    moves = [_move(change, record, number, home) for number, change in enumerate(changes)]
    path = home
    try:
        with _standing_by(moves, commit) as rename_all:
            for move, change in zip(moves, changes, strict=True):
                path = move.path
                _stage(move.new, change.now, path)
                _stage(move.old, change.was, path)
            for change in changes:
                path = change.path
                refuse_changed(change)
            path = home
            rename_all()
    except OSError as error:
        raise WriteError(f"{error.filename or path}: {error.strerror}; nothing was changed.") from None
    finally:
        for move in moves:
            for temporary in (move.new, move.old):
                with contextlib.suppress(OSError):
                    temporary.unlink()


def refuse_changed(change: Change) -> None:
    """Raises WriteError where the file no longer holds what it must."""
    try:
        same = change.path.read_bytes() == change.was
    except FileNotFoundError:
        same = False
    if not same:
        raise WriteError(f"{change.path} was changed meanwhile; nothing was written, run the command again.")


def refuse_read_only(path: Path) -> None:
    """Raises PermissionError where a file or its folder is not meant to be written, root's rights or not."""
    if not os.access(path, os.W_OK) or not path.stat().st_mode & 0o222:
        raise PermissionError(errno.EACCES, "it is read-only", str(path))
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "its folder is read-only", str(path))


def _move(change: Change, record: Record, number: int, home: Path) -> _Move:
    folder = home if _one_file_system(home, change.path.parent) else change.path.parent
    return _Move(change.path, folder / record.temporary(number, "new"), folder / record.temporary(number, "old"))


def _one_file_system(home: Path, folder: Path) -> bool:
    """Whether a file in `home` can be renamed into `folder`: never across devices, nor across mounts of one device.

    Renaming something to `folder/.` is always refused, and across mounts for that very reason.
    """
    if home.stat().st_dev != folder.stat().st_dev:
        return False
    try:
        os.rename(home / "lock", f"{folder}/.")
    except OSError as error:
        return error.errno != errno.EXDEV
    return False


def _stage(place: Path, content: bytes, like: Path) -> None:
    """Write a synced file with the content, and with the owner, mode and attributes of the file `like`."""
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
        was, now = os.stat(like), os.fstat(descriptor)
        if (was.st_uid, was.st_gid) != (now.st_uid, now.st_gid):
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, was.st_uid, was.st_gid)
        _copy_attributes(like, place)
        os.fchmod(descriptor, stat.S_IMODE(was.st_mode))


def _copy_attributes(source: Path, target: Path) -> None:
    """Copy the extended attributes (access lists are among them) that may be copied."""
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):
            for name in os.listxattr(source):
                os.setxattr(target, name, os.getxattr(source, name))


class _TornError(OSError):
    """Some files could neither be replaced nor put back."""


def _replace_all(moves: Sequence[_Move], commit: Callable[[], object]) -> None:
    """Rename the new content over every file and commit. Raises OSError, with the old content put back."""
    done: list[_Move] = []
    path = ""
    try:
        for move in moves:
            path = str(move.path)
            os.replace(move.new, path)
            done.append(move)
        for folder in {move.path.parent for move in moves}:
            sync(folder)
        commit()
    except OSError as error:
        try:
            for move in reversed(done):
                os.replace(move.old, move.path)
        except OSError:
            raise _TornError(error.errno, error.strerror, path) from error
        raise OSError(error.errno, error.strerror, path) from error
    for move in moves:
        with contextlib.suppress(OSError):
            move.old.unlink()


@contextlib.contextmanager
def _standing_by(moves: Sequence[_Move], commit: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """For the length of the block a process stands by that makes the renames when the function given is called.

    It leads its own session, and has nothing left to do then but to rename: other programs see some files new and some
    old for a fraction of a millisecond. The function raises OSError, with the old content put back, or WriteError.
    """
    ours, theirs = socket.socketpair()
    with ours:
        with theirs, _no_signals():
            child = os.fork()
            if not child:
                ours.close()
                _stand_by(moves, commit, theirs)
        try:
            yield functools.partial(_rename_all, ours)
        finally:
            ours.close()  # which ends a process that was not called
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def _rename_all(order: socket.socket) -> None:
    with _no_signals():
        order.sendall(b"!")
        with order.makefile("rb") as answer:
            said = answer.read()
    number, text, path, torn = json.loads(said) if said else (0, "the write was cut short", "", True)
    if torn:
        raise WriteError(f"{path + ': ' if path else ''}{text}; some files were written, run graphfix undo.")
    if number:
        raise OSError(number, text, path)


def _stand_by(moves: Sequence[_Move], commit: Callable[[], object], order: socket.socket) -> NoReturn:
    """In the forked process: wait for the order or the end of who may give it, act, say how it went, end."""
    said: tuple[int, str, str, bool] = (0, "", "", False)
    try:
        os.setsid()
        gc.disable()
        for move in moves:
            os.path.lexists(move.path)  # looked up once, by the kernel and by Python, it is quick the next time
        if order.recv(1):
            try:
                _replace_all(moves, commit)
            except OSError as error:
                torn = isinstance(error, _TornError)
                said = (error.errno or errno.EIO, error.strerror or "", str(error.filename), torn)
            order.sendall(json.dumps(said).encode())
    finally:
        os._exit(0)


@contextlib.contextmanager
def _no_signals() -> Iterator[None]:
    """Keep Ctrl-C and the like waiting until the block is done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _DEFERRED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
