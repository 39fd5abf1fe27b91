"""The vocabulary in a model's folder, converted once and then kept in the cache."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from ktclient.vocabulary import convert, ranks

TOKENIZER = "tokenizer.json"


def of_file(path: Path, cache: Path) -> ranks.Ranks:
    """Ranks of this tokenizer.json. Raises `NotConvertible`, and OSError when it cannot be read.

    A cache that cannot be written is no error; a damaged file in it is made anew.
    """
    content = path.read_bytes()
    kept = cache / "vocabularies" / f"{hashlib.sha256(content).hexdigest()}.ranks"
    try:
        return ranks.from_bytes(kept.read_bytes())
    except (OSError, ranks.Damaged):
        made = convert.convert(content)
    with contextlib.suppress(OSError):
        _write(kept, ranks.to_bytes(made))
    return made


def _write(path: Path, content: bytes) -> None:
    """All of it or nothing: two processes may convert the same file at once."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
