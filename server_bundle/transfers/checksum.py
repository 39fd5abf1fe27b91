"""Whether a file on disk has the content that a list names. Memory does not depend on its size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from server_bundle.transfers.origin import RemoteFile

_BLOCK = 1 << 22
OnBlock = Callable[[int], None]
"""Called with the bytes of each block that was read; may raise to stop."""


def is_right(path: Path, file: RemoteFile, on_block: OnBlock) -> bool:
    """Compare size and checksum. Raises `OSError`, and what `on_block` raises."""
    if path.stat().st_size != file.size:
        return False
    if file.sha256:
        return _digest(path, hashlib.sha256(), on_block) == file.sha256
    # Of a git blob (git-hash-object(1)): SHA-1 names it, and is no protection against an attacker
    # who can make collisions; the hub has nothing better for files outside of LFS.
    start = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    return _digest(path, start, on_block) == file.git_sha1


def _digest(path: Path, digest: hashlib._Hash, on_block: OnBlock) -> str:
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            on_block(len(block))
    return digest.hexdigest()
