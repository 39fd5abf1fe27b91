"""The vocabulary in a model's folder, converted once and then stored in the cache."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from jobs import draft, private_folder
from ktclient.tokens import kimi, model_file, ranks, tokenizer_json

TOKENIZER = "tokenizer.json"


def file_in(folder: Path) -> Path:
    """The path of a model's vocabulary: its tokenizer.json or, for Kimi, a tiktoken.model. May not
    exist."""
    tokenizer, model = folder / TOKENIZER, folder / kimi.MODEL
    return model if model.exists() and not tokenizer.exists() else tokenizer


def of_file(path: Path, cache: Path) -> ranks.Ranks:
    """Ranks of such a file. Raises `NotConvertible`, and `OSError` if it cannot be read.

    A cache that cannot be written is not an error; a damaged file in it is rebuilt.
    """
    beside = (kimi.CODE, kimi.CONFIG) if path.name == kimi.MODEL else ()
    contents = [
        model_file.read(path, model_file.VOCABULARY_BYTES),
        *(model_file.read(path.parent / name, model_file.CONFIG_BYTES) for name in beside),
    ]
    digest = hashlib.sha256(b"\0".join(contents)).hexdigest()
    kept = cache / "vocabularies" / f"{digest}.ranks"
    try:
        return ranks.from_bytes(model_file.read(kept, model_file.VOCABULARY_BYTES))
    except (OSError, ranks.Damaged):
        made = kimi.convert(*contents) if beside else tokenizer_json.convert(*contents)
    with contextlib.suppress(OSError):
        private_folder.make(kept.parent)
        draft.write(kept, ranks.to_bytes(made), is_synced=False)
    return made
