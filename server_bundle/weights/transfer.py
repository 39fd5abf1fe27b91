"""One file: from the first missing byte to its place, whole and checked.

What has arrived lies in a partial file, named by the content that it will have, so it is continued
by any later process and after the revision has moved. Only a file with the right checksum gets its
name.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from jobs import draft
from server_bundle.doctor.facts import fetched
from server_bundle.doctor.facts.fetched import Checked, Listed
from server_bundle.errors import FetchFailed, FetchRefused
from server_bundle.weights import checksum, record
from server_bundle.weights.hubs.hub import Contradiction, Hub, Interrupted, RemoteFile
from server_bundle.weights.meter import Meter
from server_bundle.weights.patience import Patience
from server_bundle.weights.source import Source

SYNC_BYTES = 256 << 20
"""So much at most is not on the disk when power is lost."""
_TRIES = 2
"""How often a file with the wrong checksum is fetched."""


class WrongContent(Exception):
    """A file has not the content that the hub's list names. Other files may be right."""


@dataclass
class Transfer:
    """Fetches files of one commit into one folder. Several threads may use it."""

    hub: Hub
    source: Source
    commit: str
    folder: Path
    meter: Meter
    patience: Patience
    mode: int = field(default=draft.PRIVATE)

    def fetch(self, path: str, listed: Listed) -> Checked:
        """Bring one file to its place. Returns its stamp. Raises `FetchFailed`, `FetchRefused`,
        `WrongContent`, `Stopped` and `OSError`."""
        target = place_in(self.folder, path)
        partial = partial_of(self.folder, path, listed)
        for left in reversed(range(_TRIES)):
            self._complete(path, listed, partial)
            if checksum.is_right(partial, listed, self.meter.check):
                return self._publish(partial, target)
            partial.unlink()
            self.meter.lost(listed.size)
            self.meter.say(
                path, f"{path} arrived with a wrong checksum" + "; fetching it again" * left
            )
        raise WrongContent(
            f"{path} arrived {_TRIES} times with a wrong checksum (expected "
            f"{listed.sha256 or listed.git_sha1}): a proxy or mirror changes it, or it was changed "
            "on the hub since its list was made. Try again with --update"
        )

    def _complete(self, path: str, listed: Listed, partial: Path) -> None:
        """Append to the partial file until it has the size that the list says."""
        file = RemoteFile(path, listed.size, listed.sha256, listed.git_sha1)
        with _opened(partial, self.mode) as out:
            if out.seek(0, os.SEEK_END) > listed.size:
                out.truncate(0)
            while (have := out.seek(0, os.SEEK_END)) < listed.size:
                try:
                    self._append(file, out, have)
                except Interrupted as error:
                    self.patience.pause(path, error)
            os.fsync(out.fileno())

    def _append(self, file: RemoteFile, out: BinaryIO, have: int) -> None:
        """One request. Raises `Interrupted` if it brought less than it should."""
        with self.hub.body(self.source, self.commit, file, have) as body:
            if body.offset != have:
                if body.offset:
                    raise Contradiction(f"the hub sends {file.path} from a wrong place on")
                self.meter.lost(have)
                out.truncate(0)
                have = 0
            if body.total is not None and body.total != file.size:
                raise Contradiction(
                    f"the hub sends {body.total:,} bytes for {file.path}, not {file.size:,}"
                )
            begun = have
            for piece in body.pieces:
                have += len(piece)
                if have > file.size:
                    raise Contradiction(f"the hub sends more than {file.size:,} bytes")
                _write(out, piece)
                if have // SYNC_BYTES != (have - len(piece)) // SYNC_BYTES:
                    os.fdatasync(out.fileno())
                self.meter.arrived(file.path, len(piece))
                self.patience.progressed(file.path)
        if have == begun and have < file.size:
            raise Interrupted("the hub closed the connection without a byte")

    def _publish(self, partial: Path, target: Path) -> Checked:
        make_parents(self.folder, target)
        os.replace(partial, target)
        draft.sync_folder(target.parent)
        seen = fetched.stamp(target)
        if seen is None:
            raise FetchFailed(f"{target} was removed while it was fetched: fetch again")
        return seen


def _write(out: BinaryIO, piece: bytes) -> None:
    """All of it: an unbuffered file may take a part, at the end of the disk for one."""
    rest = memoryview(piece)
    while rest:
        rest = rest[out.write(rest) :]


def partial_of(folder: Path, path: str, listed: Listed) -> Path:
    """The partial file of one file."""
    content = listed.sha256 or listed.git_sha1
    name = hashlib.sha256(path.encode()).hexdigest()[:12]
    return folder / fetched.FOLDER / record.PARTIAL / f"{content[:40]}-{name}"


def place_in(folder: Path, path: str) -> Path:
    """Where a file of the repository belongs. Raises `FetchRefused` for a way through a link."""
    target = folder
    for part in path.split("/"):
        target = target / part
        if target.is_symlink():
            raise FetchRefused(
                f"{target} is a symbolic link, which may lead out of the folder: remove it, or "
                "choose another --to"
            )
    return target


def make_parents(folder: Path, target: Path) -> None:
    """Make the folders between, each with the mode of `folder`."""
    missing = []
    parent = target.parent
    while parent != folder and not parent.is_dir():
        missing.append(parent)
        parent = parent.parent
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        one.chmod(folder.stat().st_mode & 0o777)


def _opened(partial: Path, mode: int) -> BinaryIO:
    """For appending, unbuffered: what was written is counted by the file's size."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(partial, flags, mode)
    if os.fstat(fd).st_mode & 0o777 != mode:
        os.fchmod(fd, mode)
    return os.fdopen(fd, "r+b", buffering=0)
