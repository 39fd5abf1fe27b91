"""Bytes to text: all or nothing, and it is said by which right.

In this order: the encoding that was named; the byte order mark; UTF-8, which other encodings hardly
ever look like; what the text declares, if that is not plainly wrong; a guess. No byte is dropped or
replaced.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from ktclient.documents import declared, encodings, magic
from ktclient.errors import DocumentUnusable

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SEVEN_BIT = ("iso2022", "hz", "utf-7")
_TWO_BYTES = ("gb18030", "big5hkscs", "cp932", "cp949", "euc_jp", "johab")
_GUESS = "a guess"
_DECLARED = "as it declares"
_FEW = 4


@dataclass(frozen=True)
class Decoded:
    """A text, and how its bytes were read."""

    text: str
    encoding: str = ""
    """Its common name; empty if it was named by the user or a mark, or is UTF-8 as expected."""
    reason: str = ""
    """Why that encoding, such as "a guess"."""


def decode(body: bytes, title: str, *, encoding: str | None, raw: bool) -> Decoded:
    """Decode a whole text; `raw` keeps a byte order mark. Raises `DocumentUnusable`, and `BadInput`
    for an unknown encoding."""
    mark, marked = next(
        ((mark, name) for mark, name in _MARKS if body.startswith(mark)), (b"", "utf-8")
    )
    start = 0 if raw or encoding is not None else len(mark)
    name = encodings.check(encoding) if encoding is not None else marked
    try:
        text = body[start:].decode(name)
    except UnicodeError as error:  # not all of Python's codecs report the position
        place = start + error.start if isinstance(error, UnicodeDecodeError) else None
        found = None if encoding is not None else _not_as_marked(body, mark)
        if found is None:
            raise _undecodable(title, body, place, encoding or marked, encoding) from None
        return found
    if encoding is None and not mark:
        return _in_utf8(body, text)
    return Decoded(text)


def _not_as_marked(body: bytes, mark: bytes) -> Decoded | None:
    """What is not UTF-8. A mark of UTF-8 before another encoding comes from a careless editor: then
    only a declaration helps."""
    if not mark:
        return _otherwise(body)
    if mark != codecs.BOM_UTF8 or (found := _as_declared(body[len(mark) :])) is None:
        return None
    return Decoded(found.text, found.encoding, f"{_DECLARED}, although its mark says UTF-8")


def _in_utf8(body: bytes, text: str) -> Decoded:
    """What is UTF-8, perhaps only by chance: UTF-16 is with its NULs, and ISO-2022 is ASCII."""
    label = declared.label(body)
    codec = None if label is None else declared.codec(label)
    if text.isascii():
        if codec is not None and codec.startswith(_SEVEN_BIT):
            return _by(body, codec, _DECLARED) or Decoded(text)
        found = encodings.guess(body)
        return Decoded(text) if found is None else Decoded(found[1], found[0], _GUESS)
    if "\0" in text and (found := encodings.guess(body)) is not None:
        return Decoded(found[1], found[0], _GUESS)
    if codec is None or codec == "utf-8":
        return Decoded(text)
    if codec in _TWO_BYTES and _is_by_chance(text):
        return _by(body, codec, _DECLARED) or Decoded(text)
    return Decoded(text, "UTF-8", f"although it declares {label}")


def _is_by_chance(text: str) -> bool:
    """A few characters of two bytes may be Chinese ones of two bytes."""
    beyond = [one for one in text if one > "\x7f"]
    return len(beyond) < _FEW and all(one < "\u0800" for one in beyond)


def _otherwise(body: bytes) -> Decoded | None:
    """What is not UTF-8, and has no mark: as declared, unless that is not text and the guess is."""
    label = declared.label(body)
    read = _as_declared(body)
    if read is not None and encodings.is_likely(body, declared.codec(label or "") or ""):
        return read
    found = encodings.guess(body)
    if found is None:
        return read
    name, text = found
    if read is not None and read.text == text:
        return read
    said = _GUESS if label is None else f"a guess: it declares {label}, and is not"
    return Decoded(text, name, said)


def _as_declared(body: bytes) -> Decoded | None:
    label = declared.label(body)
    codec = None if label is None else declared.codec(label)
    if codec is None or codec == "utf-8" or encodings.is_damaged_utf8(body):
        return None
    return _by(body, codec, _DECLARED)


def _by(body: bytes, codec: str, reason: str) -> Decoded | None:
    try:
        return Decoded(body.decode(codec), encodings.name_of(codec), reason)
    except UnicodeError:
        return None


def _undecodable(
    title: str, body: bytes, offset: int | None, encoding: str, said: str | None
) -> DocumentUnusable:
    if said is None and encoding == "utf-8" and (b"\0" in body[:8192] or magic.looks_binary(body)):
        return DocumentUnusable(f"{title} is not text: it looks like a binary file")
    where = "" if offset is None else f": byte {body[offset]:#04x} at offset {offset:,}"
    return DocumentUnusable(f"{title} is not {encoding.upper()}{where}. {_cure(body, said)}")


def _cure(body: bytes, said: str | None) -> str:
    """What to do: choose between what it may be, if that is known."""
    if said is not None:
        return "It is in another encoding, or damaged there; nothing was submitted"
    likely = encodings.candidates(body)
    if not likely:
        return "If it is text in another encoding, set it, for example: --encoding GB18030"
    readings = ", ".join(f"{name} ({_quoted(excerpt)})" for name, excerpt in likely)
    return (
        f"It may be {readings}, and which is not sure. Set the one that reads right: "
        f"--encoding {likely[0][0]}"
    )


def _quoted(excerpt: str) -> str:
    return f"\N{LEFT DOUBLE QUOTATION MARK}{excerpt}\N{RIGHT DOUBLE QUOTATION MARK}"
