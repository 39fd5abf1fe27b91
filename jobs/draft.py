"""A file that is written beside its final path, and takes that path only when it is whole.

Whoever reads the path finds the old content or the new one, never a part. The draft has a name that
nobody can guess, and is made only if nothing has that name: where others may write too, as in /tmp,
a file or link that they put there beforehand is never written to.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import BinaryIO

PRIVATE = 0o600
NEW_FILE = 0o666
"""The mode that programs ask for; the umask takes its bits away."""
_KEPT_ATTRIBUTES = ("user.", "system.posix_acl_access")
_UNSYNCED = (errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF)
_UNLINKABLE = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
"""On file systems without hard links, as of USB sticks."""
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Draft:
    """An open draft. `publish` or `drop` ends it."""

    def __init__(self, path: Path, mode: int | None = PRIVATE, *, prefix: str = "") -> None:
        """Raises `OSError`.

        `mode`: that of the file, whatever the umask is; None: what the umask gives a new file.
        `prefix`: the beginning of names that no other process uses now. What begins so was left by
        a writer that was killed, and is removed.
        """
        self.path, self._mode = path, mode
        if prefix:
            _remove_leftovers(path.parent, prefix)
        self.draft = path.with_name(f"{prefix or '.ktjob-'}{os.urandom(8).hex()}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(self.draft, flags, NEW_FILE if mode is None else PRIVATE)
        self.file: BinaryIO = os.fdopen(fd, "wb")
        if mode is not None:  # as long as it is a draft, its owner can open it by name
            widen(fd, PRIVATE)

    def publish(
        self,
        *,
        keeps: bool = False,
        is_synced: bool = True,
        is_closed: bool = True,
        replaces: bool = True,
    ) -> None:
        """Give the file its path, replacing what is there. Raises `OSError`; then the path is as it
        was, and the draft is still there.

        `keeps`: a file that is there passes on its mode, its access list and, where that is
        permitted, its owner. `is_synced`: also a loss of power leaves the old content or the new.
        `is_closed`: nothing more is written to it. `replaces`: False raises `FileExistsError` where
        something is there.
        """
        self.file.flush()
        fd = self.file.fileno()
        if not (keeps and _take_over(fd, self.path)) and self._mode is not None:
            widen(fd, self._mode)
        if is_synced:
            os.fsync(fd)
        if is_closed:
            self.file.close()
        if replaces:
            os.replace(self.draft, self.path)
        else:
            _place_new(self.draft, self.path)
        if is_synced:
            sync_folder(self.path.parent)

    def drop(self) -> None:
        """Close and remove the draft, if it is still there."""
        with contextlib.suppress(OSError):  # what the disk did not take is not wanted any more
            self.file.close()
        with contextlib.suppress(OSError):
            self.draft.unlink(missing_ok=True)


def write(
    path: Path,
    content: bytes | str,
    *,
    mode: int | None = PRIVATE,
    keeps: bool = False,
    is_synced: bool = True,
    prefix: str = "",
) -> None:
    """Write a whole file: see `Draft`. Raises `OSError`, and leaves nothing behind then. Nor does a
    signal that ends the process."""
    with removed_by_signals():
        draft = Draft(path, mode, prefix=prefix)
        try:
            draft.file.write(content.encode() if isinstance(content, str) else content)
            draft.publish(keeps=keeps, is_synced=is_synced)
        finally:
            draft.drop()


def prefix_of(path: Path) -> str:
    """For a file that one process at a time writes: the beginning of its drafts' names."""
    return f".{path.name}."


class _Ending(BaseException):
    """A signal arrived that ends the process."""


@contextlib.contextmanager
def removed_by_signals() -> Iterator[None]:
    """What is inside is unwound before SIGTERM, SIGHUP or SIGQUIT end the process, so that its
    `finally` clauses run. Signals that are ignored, or handled otherwise, stay so; and so do all in
    a thread other than the main one."""
    heard: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        heard.append(number)
        if len(heard) == 1:  # a second one must not disturb the unwinding
            raise _Ending

    taken = []
    if threading.current_thread() is threading.main_thread():
        taken = [one for one in _ENDING if signal.getsignal(one) is signal.SIG_DFL]
    try:
        for number in taken:
            signal.signal(number, end)
        yield
    except _Ending:
        pass
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
        if heard:
            signal.raise_signal(heard[0])


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk. Where that is not possible (one may write to the folder
    but not read it, or its file system has no such call), the kernel does it when it likes."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno not in _UNSYNCED:
            raise


def widen(fd: int, mode: int) -> None:
    """Give a file that was made with a narrower mode this one, if it lacks a bit of it: the umask
    may have taken the owner's. A file system without modes, as of USB sticks, refuses changes."""
    if mode & ~os.fstat(fd).st_mode:
        os.fchmod(fd, mode)


def _place_new(file: Path, path: Path) -> None:
    """Move a file to a path where nothing is. Raises `FileExistsError`."""
    try:
        os.link(file, path, follow_symlinks=False)  # rename(2) would replace
    except OSError as error:
        if error.errno not in _UNLINKABLE:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        os.replace(file, path)
    else:
        os.unlink(file)


def _take_over(fd: int, path: Path) -> bool:
    """Give an open file what the file at `path` has: access list, owner, group, mode. Returns
    whether there is one."""
    try:
        old = os.lstat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(old.st_mode):
        return False
    mode = stat.S_IMODE(old.st_mode) & 0o777
    try:
        os.fchown(fd, old.st_uid, old.st_gid)
    except PermissionError:
        try:
            os.fchown(fd, -1, old.st_gid)
        except PermissionError:  # another group may not get more than everybody else
            mode &= 0o707 | (mode & 0o007) << 3
    with contextlib.suppress(OSError):  # many file systems have none
        for name in os.listxattr(path, follow_symlinks=False):
            if name.startswith(_KEPT_ATTRIBUTES):
                os.setxattr(fd, name, os.getxattr(path, name, follow_symlinks=False))
    if stat.S_IMODE(os.fstat(fd).st_mode) != mode:
        os.fchmod(fd, mode)
    return True


def _remove_leftovers(folder: Path, prefix: str) -> None:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(prefix):
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)
