"""Where bytes come from, as a transfer sees it: a package index, or a hub of models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass


class Interrupted(Exception):
    """A request did not end well, and may later: the network, or a busy server. `after` is how many
    seconds the server asks to wait; None where it does not say."""

    most = 0
    """How often in a row it is tried again for one file; 0: until the time is over."""

    def __init__(self, words: str, after: float | None = None) -> None:
        super().__init__(words)
        self.after = after


class Contradiction(Interrupted):
    """What arrives is not what the list says: a proxy's page, or a file being changed."""

    most = 5


@dataclass(frozen=True)
class RemoteFile:
    """One file as it must become. `size` in bytes; one of the two checksums is set."""

    path: str
    size: int
    sha256: str = ""
    git_sha1: str = ""


@dataclass(frozen=True)
class Body:
    """The bytes of a file from `offset` on, which is 0 where the server sent the whole file
    instead. `total`: the whole file's size by the server, None if it does not say."""

    offset: int
    total: int | None
    pieces: Iterator[bytes]


Origin = Callable[[RemoteFile, int], AbstractContextManager[Body]]
"""Asks for a file from a byte on. Raises `Interrupted`, also while the body is read, and errors of
the product for what stays so. Called by several threads."""
