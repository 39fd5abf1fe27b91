"""What a hub is for a fetch: a list of files with sizes and checksums, and their bytes from any
place on. The two hubs are `huggingface` and `modelscope`, each behind its own library.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from server_bundle.doctor.facts import fetched
from server_bundle.errors import FetchRefused
from server_bundle.transfers.origin import Body, RemoteFile
from server_bundle.weights.source import Source

PIECE_BYTES = 8 << 30
"""The most that one request asks for: hubs refuse whole files above 50 GB over plain HTTP
(huggingface_hub MAX_HTTP_DOWNLOAD_SIZE), and a signed address is valid for an hour or so."""
_ODD = re.compile(r"[\x00-\x1f\x7f\\]")
_LONGEST_NAME = 255


@dataclass(frozen=True)
class Listing:
    """A repository at one commit; `commit` is empty where the hub names none."""

    source: Source
    commit: str
    files: tuple[RemoteFile, ...]


class Hub(Protocol):
    """A hub. All methods may be called by several threads."""

    def token(self) -> str | None:
        """The user's token, to be hidden in messages."""

    def listing(self, source: Source) -> Listing:
        """The files of a revision. Raises `FetchFailed` and
        `Interrupted`."""

    def body(
        self, source: Source, commit: str, file: RemoteFile, offset: int
    ) -> AbstractContextManager[Body]:
        """Ask for a file from `offset` on. Raises as `listing` does, also while it is read."""


def checked(files: list[RemoteFile]) -> tuple[RemoteFile, ...]:
    """The files, if each path stays inside of a folder. Raises `FetchRefused`."""
    for one in files:
        parts = PurePosixPath(one.path).parts
        is_plain = one.path == "/".join(parts) and not one.path.startswith("/")
        if (
            not is_plain
            or not parts
            or ".." in parts
            or _ODD.search(one.path)
            or fetched.FOLDER in parts
            or any(len(part.encode()) > _LONGEST_NAME for part in parts)
        ):
            raise FetchRefused(
                f"the repository has a file with the path {one.path!r}, which may lead out of the "
                "folder: nothing was fetched. Report it to the hub"
            )
    if len({one.path for one in files}) != len(files):
        raise FetchRefused("the repository lists a path twice: nothing was fetched")
    return tuple(sorted(files, key=lambda one: one.path))
