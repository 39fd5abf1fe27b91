"""A document as text: read, decoded, and made ready to send.

Line ends become \\n, a byte order mark is dropped and what converters left is cleaned
(leftovers.py), unless `raw`: War and Peace from Gutenberg has 781,557 DeepSeek V4 tokens then, and
876,900 with its CRLFs, which costs minutes of prefill.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from jobs import extras
from ktclient import wording
from ktclient.documents import decoding, encoded, leftovers, magic
from ktclient.documents.decoding import Decoded
from ktclient.documents.formats import child_process, registry
from ktclient.errors import DocumentUnusable

STDIN = "-"
MOST_BYTES = 100_000_000
"""25 million tokens or more, far beyond any window (the largest is 10 million): a longer file was
named by mistake, and would fill the memory, the queue and its disk before a server refused it."""
READ_AS = "read as "
"""The beginning of the remark on how a document was read."""
_SOMETHING = re.compile(r"[^\s\ufeff]")


@dataclass(frozen=True)
class Document:
    """Text to send, and its name for people."""

    title: str
    text: str
    line_ends: int = 0
    """How many CRs were dropped from its line ends."""
    guessed: str = ""
    """The encoding, if it was guessed, declared, or is not what the text declares."""
    guessed_because: str = ""
    """Why that encoding, such as "a guess"."""
    read_as: str = ""
    """The format, its size, what was left out of it and its reader, if it was not plain text."""
    cleaned: leftovers.Counts = ()
    """What converters had left in it, and is not there any more, by kind."""
    encoded: int = 0
    """How many characters of it are base64."""

    def remarks(self) -> tuple[str, ...]:
        """What a person should know of how it was read, and of what it holds."""
        read_as = (f"{READ_AS}{self.read_as}",) if self.read_as else ()
        notes = [
            leftovers.said(self.cleaned),
            leftovers.doubt(self.cleaned, len(self.text)),
            encoded.said(self.encoded, self.text),
        ]
        return (*read_as, *filter(None, notes))


def read(
    name: str, *, raw: bool = False, encoding: str | None = None, stdin: BinaryIO | None = None
) -> Document:
    """Read a file, or standard input for "-". Raises `DocumentUnusable`, and `BadInput` for an
    unknown encoding."""
    if name == STDIN:
        body = _bounded(stdin or _own_stdin(), "standard input")
        return from_bytes(body, "standard input", raw=raw, encoding=encoding)
    if not name:
        raise DocumentUnusable("the file name is empty; name a file")
    path = Path(name)
    try:
        with path.open("rb") as file:
            body = _bounded(file, display_name(name), os.fstat(file.fileno()).st_size)
    except IsADirectoryError:
        raise DocumentUnusable(
            f"{display_name(name)} is a folder; name a text file in it"
        ) from None
    except FileNotFoundError:
        raise DocumentUnusable(f"file not found: {display_name(name)}") from None
    except (OSError, ValueError) as error:
        raise DocumentUnusable(
            f"cannot read {display_name(name)}: {wording.reason(error)}"
        ) from None
    title = os.fsencode(path.name).decode(errors="replace")
    document = from_bytes(body, display_name(name), raw=raw, encoding=encoding)
    return replace(document, title=title)


def _own_stdin() -> BinaryIO:
    if sys.stdin is None:  # `ktjob submit - <&-`
        raise DocumentUnusable("standard input is closed; name a file or pipe the text in")
    return sys.stdin.buffer


def _bounded(file: BinaryIO, name: str, size: int = 0) -> bytes:
    """All of a file, if that is not too much; `size` in bytes, if known beforehand. A pipe or a
    device has no size, and may have no end."""
    if size <= MOST_BYTES:
        body = file.read(MOST_BYTES + 1)
        if len(body) <= MOST_BYTES:
            return body
    raise _too_long(name, size)


def _too_long(name: str, size: int) -> DocumentUnusable:
    most = f"{MOST_BYTES // 1_000_000} MB"
    found = f"{size / 1e6:,.0f} MB" if size > MOST_BYTES else f"more than {most}"
    return DocumentUnusable(
        f"{name} has {found}; the maximum is {most} (25 million tokens), more than any model can "
        "read. Split it (`split -C 50M FILE`), and submit the parts"
    )


def display_name(name: str) -> str:
    """A file name for messages, on one line: unprintable characters are replaced."""
    text = os.fsencode(name).decode(errors="replace") or "''"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def from_bytes(
    body: bytes, title: str, *, raw: bool = False, encoding: str | None = None
) -> Document:
    """Decode as given, else as decoding.py finds. All or nothing: no byte is dropped or replaced.
    Raises `DocumentUnusable`, and `BadInput` for an unknown encoding."""
    if (format_name := magic.name(body)) is not None:
        return _converted(body, format_name, title, raw=raw)
    if not raw and (format_name := magic.text_name(body)) is not None:
        return _converted(body, format_name, title, raw=raw)
    return _plain(decoding.decode(body, title, encoding=encoding, raw=raw), title, raw)


def _plain(decoded: Decoded, title: str, raw: bool) -> Document:
    """A document from decoded text; of a web page only its text, unless raw."""
    text, guessed, because = decoded.text, decoded.encoding, decoded.reason
    if raw or not registry.is_html(text):
        found = from_text(text, title, raw=raw)
    elif not registry.is_installed(registry.HTML):
        advice = f"HTML source; for its text alone: {extras.command(registry.EXTRA)}"
        found = replace(from_text(text, title, raw=raw), read_as=advice)
    else:
        found = _converted(text.encode(errors="replace"), registry.HTML, title, raw=raw)
    return replace(found, guessed=guessed, guessed_because=because)


def _converted(body: bytes, format_name: str, title: str, *, raw: bool) -> Document:
    """The text in a document of another format. Raises `DocumentUnusable`."""
    cure = magic.advice(format_name)
    if not registry.is_readable(format_name):
        raise DocumentUnusable(f"{title} is {format_name}, not text; {cure}")
    if not registry.is_installed(format_name):
        raise DocumentUnusable(
            f"{title} is {format_name}, and its reader is not installed: "
            f"{extras.command(registry.EXTRA)}. Or {cure}"
        )
    found = child_process.read(body, registry.short(format_name), title, MOST_BYTES)
    about = f"{registry.short(format_name)}, {found.about}, by {registry.library(format_name)}"
    if raw:
        text = leftovers.raw_pages(found.text)
        return replace(from_text(text, title, raw=True), read_as=about)
    cleaned = leftovers.of_pages(found.text)
    document = from_text(cleaned.text, title, raw=True)
    return replace(document, read_as=about, cleaned=cleaned.counts)


def from_text(text: str, title: str, *, raw: bool = False) -> Document:
    """Check and normalise text. Raises `DocumentUnusable`."""
    if len(text) > MOST_BYTES:
        raise _too_long(title, len(text))
    if "\0" in text:
        raise DocumentUnusable(f"{title} is not text: it contains NUL bytes")
    if not _SOMETHING.search(text):
        raise DocumentUnusable(f"{title} is empty; nothing was submitted")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DocumentUnusable(
            f"{title} contains a lone surrogate at position {error.start}"
        ) from None
    before = len(text)
    if not raw:
        text = text.removeprefix("\ufeff")
        before = len(text)
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    dropped = before - len(text)
    if raw:
        return Document(title, text, encoded=encoded.characters(text))
    cleaned = leftovers.of_text(text)
    data = encoded.characters(cleaned.text)
    return Document(title, cleaned.text, dropped, cleaned=cleaned.counts, encoded=data)
