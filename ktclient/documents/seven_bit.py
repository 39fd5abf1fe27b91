"""Encodings that write other letters with ASCII bytes: ISO-2022, HZ and UTF-7.

Such bytes are UTF-8 as well, so nothing complains: a model would get `$B$3$s` for こん.
They are known by their own marks, and taken only if all of it decodes.
"""

from __future__ import annotations

import re

_ESCAPES = (
    (b"\x1b$)C", "iso2022_kr", "ISO-2022-KR"),
    (b"\x1b$", "iso2022_jp_ext", "ISO-2022-JP"),
    (b"\x1b(J", "iso2022_jp_ext", "ISO-2022-JP"),
    (b"\x1b(I", "iso2022_jp_ext", "ISO-2022-JP"),
)
_HZ = re.compile(rb"~\{(?:[\x21-\x77][\x21-\x7e]){2,400}~\}")
_UTF7 = re.compile(rb"\+([A-Za-z0-9+/]{2,4000})-")
_LEAST_UTF7 = 3
"""Words in UTF-7; `+AB-` alone may be a formula."""
_HAN = re.compile("[\u3000-\u303f\u4e00-\u9fff\uff01-\uff5e]")


def guess(body: bytes) -> tuple[str, str] | None:
    """The encoding of bytes that are all ASCII, and the text; None if they are just ASCII."""
    if b"\x1b$" in body or b"\x1b(" in body:
        return _escaped(body)
    if b"~{" in body and (found := _hz(body)) is not None:
        return found
    return _utf7(body) if b"+" in body else None


def _escaped(body: bytes) -> tuple[str, str] | None:
    for mark, encoding, name in _ESCAPES:
        if mark in body:
            try:
                text = body.decode(encoding)
            except UnicodeDecodeError:
                continue
            if not text.isascii():
                return name, text
    return None


def _hz(body: bytes) -> tuple[str, str] | None:
    """RFC 1843: Chinese between `~{` and `~}`. A shell script has `~{` too, but not pairs of GB
    2312 in it."""
    if len(_HZ.findall(body)) < max(1, body.count(b"~{") // 2):
        return None
    try:
        text = body.decode("hz")
    except UnicodeDecodeError:
        return None
    beyond = [one for one in text if one > "\x7f"]
    return ("HZ", text) if 10 * len(_HAN.findall(text)) > 9 * len(beyond) > 9 else None


def _utf7(body: bytes) -> tuple[str, str] | None:
    """RFC 2152: letters in Base64 between `+` and `-`. Whoever adds and subtracts in a text does
    not do it in whole units of UTF-16 that are letters, every time."""
    if len(_UTF7.findall(body)) < _LEAST_UTF7:
        return None
    for word in set(_UTF7.findall(body)):
        try:
            read = b"+%b-" % word
            letters = read.decode("utf-7")
        except UnicodeDecodeError:
            return None
        if letters.isascii() or not letters.isprintable() or not _is_usual(letters):
            return None
    try:
        return "UTF-7", body.decode("utf-7")
    except UnicodeDecodeError:
        return None


def _is_usual(letters: str) -> bool:
    """Of alphabets, kana, common Han or Hangul, and general punctuation."""
    return all(
        one <= "\u06ff"
        or "\u0e00" <= one <= "\u0e7f"
        or "\u1e00" <= one <= "\u206f"
        or "\u3000" <= one <= "\u30ff"
        or "\u4e00" <= one <= "\u9fff"
        or "\uac00" <= one <= "\ud7a3"
        or "\uff00" <= one <= "\uffef"
        for one in letters
    )
