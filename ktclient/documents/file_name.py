"""Whether a text is the name of a file, given where its content was meant.

`submit_long("report.txt")` would send the words "report.txt" and succeed. So what looks like a name
is refused, and both ways to say what is meant are named.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ktclient.errors import BadInput

_MOST_CHARACTERS = 1000
"""A longer line is text: Linux has no file name of more than 255 bytes, and paths are short."""
_EXTENSION = re.compile(r"[^\s./\\]\.(?!\d+\Z)[A-Za-z0-9]{1,5}\Z")
"""The end of `report.txt`, `my notes.md`, `报告.pdf` and `a.tar.gz`, but not of `3.14` or `e.g.`"""
_DOCUMENT = re.compile(
    r"\A[!-~]+\.(txt|text|md|markdown|rst|tex|log|csv|tsv|jsonl?|ya?ml|toml|xml|html?|pdf|docx?"
    r"|pptx?|xlsx?|epub|eml|mbox|ipynb|rtf|odt)\Z",
    re.IGNORECASE,
)
"""A whole name of a text, without a blank. In ASCII: Chinese sentences have no blanks, so
"请解释config.yaml" is a question."""
_URL = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]+://\S+\Z")
_PATH = re.compile(r"\A(?:~|\.{1,2})?[/\\]\S|\A[A-Za-z]:\\|\A[^\s/\\]+[/\\]\S*\Z")
"""From the root, the home or the current folder, a drive of Windows, or one word with a slash."""


def source(document: str | os.PathLike[str] | None, text: str | None) -> str | os.PathLike[str]:
    """What a Python function was given: a path object, or a text to send as it is.

    Raises `BadInput` if it is neither or both, or if `document` is a string that looks like a file
    name, a path or a URL.
    """
    if document is not None and text is not None:
        raise BadInput("give either a document or text=, not both")
    if text is not None:
        if not isinstance(text, str):
            raise BadInput(f"text must be a string, not {type(text).__name__}")
        return text
    if document is None:
        raise BadInput("there is no document: pass pathlib.Path('report.txt') or text='…'")
    if isinstance(document, str) and (why := _why_a_name(document)):
        name = document.strip()
        raise BadInput(
            f"{name!r} {why}, and would be sent as these words. To read the file: "
            f"pathlib.Path({name!r}); if the words are meant: text={name!r}"
        )
    return document


def _why_a_name(text: str) -> str | None:
    line = text.strip()
    if _URL.search(line):
        return "is a URL, which ktjob does not fetch (download it first)"
    if exists(text) or exists(line):
        return "is the name of a file"
    if not line or len(line) > _MOST_CHARACTERS or "\n" in line or "\r" in line:
        return None
    if _EXTENSION.search(line) or _PATH.search(line):
        return "looks like the name of a file"
    return None


def require_question(text: str, what: str, option: str) -> None:
    """Raises `BadInput` if a question or prompt is the name of a text file. `what` names it in the
    message; `option` is its command-line option."""
    name = text.strip()
    if not _DOCUMENT.search(name):
        return
    raise BadInput(
        f"{what} {name!r} looks like the name of a file, and would be sent as these words. To send "
        f'what is in the file: {option} "$(cat {name})", or in Python Path({name!r}).read_text(). '
        "If the words are meant, make a sentence of them"
    )


def exists(text: str) -> bool:
    """Whether there is a file or folder of this name."""
    try:
        return 0 < len(text) < _MOST_CHARACTERS and "\n" not in text and Path(text).exists()
    except (OSError, ValueError):  # too long for a file name, or with invalid characters
        return False
