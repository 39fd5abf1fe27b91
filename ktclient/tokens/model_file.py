"""Read a file that a server has named: only a regular file of a sane size, and without blocking.

The path may be anything: a device without end, a pipe that nobody writes to, ten gigabytes.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

VOCABULARY_BYTES = 64 << 20
"""The largest tokenizer.json that we know has 33 MB (Gemma 3)."""
CONFIG_BYTES = 8 << 20
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def read(path: Path, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes; links are followed, as in the cache of
    huggingface_hub. Raises `OSError`."""
    _check(path, path.stat(), most)  # first: to open a device may already do something
    with os.fdopen(os.open(path, _FLAGS), "rb") as file:
        _check(path, os.fstat(file.fileno()), most)
        content = file.read(most + 1)
    if content is None or len(content) > most:  # such as files in /proc, which state no size
        raise OSError(f"{path} has more than {most:,} bytes, or is not ready to be read")
    return content


def _check(path: Path, found: os.stat_result, most: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{path} is not a regular file")
    if found.st_size > most:
        raise OSError(f"{path} has {found.st_size:,} bytes, more than {most:,}")
