"""Count with the `tokenizers` library, if it is installed: for what tiktoken cannot do."""

from __future__ import annotations

from pathlib import Path

from ktclient.tokens import model_file


class NotInstalled(Exception):
    """The optional library `tokenizers` is not installed."""


def count(path: Path, text: str) -> int:
    """Tokens of `text` by this tokenizer.json; chat-template marks count as the server reads them.
    Slower than tiktoken, and needs more memory: 500 MB for a novel. Raises `NotInstalled`, and
    `ValueError` for a file that the library rejects.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise NotInstalled from None
    try:
        content = model_file.read(path, model_file.VOCABULARY_BYTES)
        tokenizer = Tokenizer.from_str(content.decode())
        tokenizer.no_truncation()
        # One text by `encode`: its batches start threads, and this process may still fork.
        return len(tokenizer.encode(text, add_special_tokens=False))
    except Exception as error:  # the library raises bare Exception
        raise ValueError(f"{path}: {error}") from None
