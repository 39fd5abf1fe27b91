"""Files that belong to another user, as one command with sudo leaves them behind."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from jobs import draft
from jobs.errors import NotYours

AS_ROOT = "KTJOB_AS_ROOT"
"""The environment variable with which root uses another user's state directory."""


def of_another_user(path: Path) -> NotYours | None:
    """The error for a file or folder that belongs to another user; None where it is one's own, or
    is not there."""
    try:
        owner = path.lstat().st_uid
    except OSError:
        return None
    if owner == os.geteuid():
        return None
    return NotYours(
        f"{path} belongs to {user_name(owner)}, so it cannot be used: a ktjob command ran here as "
        "that user, with sudo for example. Take it back: "
        f"sudo chown -R {os.geteuid()} {path.parent}"
    )


def open_own(path: Path, flags: int) -> int:
    """Open a file of the state directory (created with mode 0600 where `flags` say so). If it is
    one's own but not accessible, it is made so. Raises `NotYours` when it cannot be opened, or is
    a link that another user made while the directory was open to others, `FileNotFoundError`, and
    `OSError` where the disk or the machine is the reason."""
    if path.is_symlink() and of_another_user(path) is not None:
        raise NotYours(f"{path} is a symbolic link that another user made. Remove it: rm {path}")
    try:
        try:
            fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
        except PermissionError:
            if (refused := of_another_user(path)) is not None:
                raise refused from None
            path.chmod(0o600)
            fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
        if flags & os.O_CREAT:
            draft.widen(fd, draft.PRIVATE)
        return fd
    except (FileNotFoundError, NotYours):
        raise
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise  # the whole machine's or disk's trouble, not this file's
        raise NotYours(
            f"cannot open {path} ({error.strerror}). Move it away, or give it back its permissions"
        ) from error


def refusal(path: Path) -> NotYours | None:
    """The error that opening `path` for writing would raise because of its owner."""
    return None if os.access(path, os.R_OK | os.W_OK) else of_another_user(path)


def refuse_root(folder: Path) -> None:
    """Raise `NotYours` if this process is root and the folder, or the nearest one above it that
    exists, belongs to another user: a command with sudo would leave files behind that the owner's
    queue cannot open."""
    if os.geteuid() != 0 or os.environ.get(AS_ROOT):
        return
    try:
        place = next(one for one in (folder, *folder.parents) if one.exists())
        owner = place.stat().st_uid
    except OSError:  # whatever comes next reports it
        return
    if owner != 0:
        raise NotYours(
            f"the state directory {folder} belongs to {user_name(owner)}, and you are root. Run "
            f"ktjob as that user, without sudo; or set {AS_ROOT}=1 to use it as root all the same"
        )


def refuse_foreign(folder: Path) -> None:
    """Raise `NotYours` if the folder belongs to a user other than this process's and root: its
    owner can put any job and any file there. Root itself is `refuse_root`'s."""
    uid = os.geteuid()
    try:
        owner = folder.stat().st_uid
    except OSError:  # whatever comes next reports it
        return
    if uid and owner not in (uid, 0):
        raise NotYours(
            f"the state directory {folder} belongs to {user_name(owner)}, not to you. Set "
            "KTJOB_HOME to a folder of your own"
        )


def refuse_shared(folder: Path, *, is_in_use: bool) -> None:
    """Raise `NotYours` for a folder that others can write to, and that cannot become private: a
    folder for everybody (/tmp), one of root's, or one that holds other things than a queue.
    `is_in_use`: a queue is there."""
    try:
        there = folder.stat()
        if not there.st_mode & 0o022:
            return
        is_everybodys = bool(there.st_mode & stat.S_ISVTX)
        is_free = is_in_use or not any(folder.iterdir())
    except OSError:
        return
    is_own = there.st_uid == os.geteuid() or bool(os.environ.get(AS_ROOT))
    if is_own and is_free and not is_everybodys:
        return
    inner = folder / "ktjob"
    cure = f"Set KTJOB_HOME to a folder in it, such as {inner}, which ktjob makes private"
    if is_own and not is_everybodys:
        cure += f"; or run `chmod go-w {folder}`"
    raise NotYours(
        f"others can write to the state directory {folder} (mode "
        f"{stat.S_IMODE(there.st_mode):04o}). {cure}"
    )


def give_to_owner_of(folder: Path, fd: int) -> None:
    """Give an open file to the owner of its folder, so that root leaves nothing behind that the
    owner cannot open. For root only."""
    owner = folder.stat()
    if owner.st_uid != os.fstat(fd).st_uid:
        os.fchown(fd, owner.st_uid, owner.st_gid)


def user_name(uid: int) -> str:
    """The name of a user; their number where they have none, as in a container."""
    import pwd  # only for messages

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user with the id {uid}"
