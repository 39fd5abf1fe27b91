"""Files that belong to another user, as one command with sudo leaves them behind."""

from __future__ import annotations

import errno
import os
from pathlib import Path

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
    one's own but not accessible, it is made so. Raises `NotYours` when it cannot be opened,
    `FileNotFoundError`, and `OSError` where the disk or the machine is the reason."""
    try:
        try:
            return os.open(path, flags | os.O_CLOEXEC, 0o600)
        except PermissionError:
            if (refused := of_another_user(path)) is not None:
                raise refused from None
            path.chmod(0o600)
            return os.open(path, flags | os.O_CLOEXEC, 0o600)
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
