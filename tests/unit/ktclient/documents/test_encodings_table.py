"""The table of encodings: each language in each encoding in which it was written, long and short,
in capitals, and a few of its words among many of English. A guess may be missing, never wrong."""

from __future__ import annotations

import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ktclient.documents import decoding
from ktclient.errors import DocumentUnusable
from server_bundle import package_data

PROSE = package_data.read(Path(__file__).parents[3] / "data/texts/prose.toml")
LOG = "2026-11-29 12:00:01 INFO the ferry left on time, with 212 of 300 seats taken\n" * 40
TONES = "\u0300\u0301\u0303\u0309\u0323"
KINDS = ("long", "whole", "repeated", "line", "few words", "capitals", "in a log")
LEAST_RIGHT = {"long": 0.99, "whole": 0.93, "capitals": 0.9, "in a log": 0.93, "line": 0.4}
"""Of all pairs of a language and an encoding. The rest is refused."""


def for_page(text: str, page: str) -> str:
    """The text as it was typed where letters were few: CP1258 has tones as marks of their own."""
    if page == "cp1258":
        return "".join(toned(character) for character in text)
    plain = {0x201C: '"', 0x201D: '"', 0x2019: "'", 0x2013: "-"}
    return (
        text
        if page in ("cp1252", "mac_roman") or ord(max(text)) > 0x2FFF
        else text.translate(plain)
    )


def toned(character: str) -> str:
    """A Vietnamese vowel, and its tone behind it."""
    apart = unicodedata.normalize("NFD", character)
    tone = "".join(one for one in apart if one in TONES)
    vowel = "".join(one for one in apart if one not in TONES)
    return unicodedata.normalize("NFC", vowel) + tone


def texts(text: str) -> Iterator[tuple[str, str]]:
    """What is made of a language's prose."""
    line = text.splitlines()[0]
    yield "long", text * 8
    yield "whole", text
    yield "line", line
    yield "repeated", f"{line} {text.splitlines()[1]}\n" * 6
    yield "few words", LOG + " ".join(line.split()[:4]) + "\n"
    yield "capitals", "".join(one.upper() if len(one.upper()) == 1 else one for one in text)
    yield "in a log", LOG + text


def found(body: bytes) -> str | None:
    """The text that would be sent; None if it is refused."""
    try:
        return decoding.decode(body, "t", encoding=None, raw=False).text
    except DocumentUnusable:
        return None


def table() -> dict[str, Counter[str]]:
    """For each kind of text: how many were right, refused and wrong, and which were wrong."""
    rows: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for language, one in PROSE.items():
        for page in one["pages"].split():
            for kind, text in texts(for_page(one["text"].strip() + "\n", page)):
                try:
                    body = text.encode(page)
                except UnicodeEncodeError:  # a capital that the page lacks
                    continue
                if body.decode(page) != text or (body.isascii() and text.isascii()):
                    continue
                read = found(body)
                result = "refused" if read is None else "right" if read == text else "WRONG"
                rows[kind][result] += 1
                if result == "WRONG":
                    rows[kind][f"{language} in {page}: {(read or '')[-60:]!r}"] += 1
                if result == "refused":
                    rows[kind][f"refused {language} in {page}"] += 1
    return rows


def test_no_language_is_sent_as_other_letters() -> None:
    """And long enough texts are read: 36 languages in about 120 pairs of language and encoding."""
    rows = table()
    wrong = {kind: row for kind, row in rows.items() if row["WRONG"]}
    assert not wrong, f"sent as other letters: {wrong}"
    for kind, least in LEAST_RIGHT.items():
        row = rows[kind]
        assert row["right"] >= least * (row["right"] + row["refused"]), (kind, row)
    assert sum(row["right"] + row["refused"] for row in rows.values()) > 600


@pytest.mark.parametrize("language", PROSE)
def test_what_is_refused_names_the_right_encoding(language: str) -> None:
    """A line that is too short: the refusal shows how it would read, and a person sees which."""
    one = PROSE[language]
    page = one["pages"].split()[0]
    line = for_page(one["text"].strip().splitlines()[0], page)
    body = line.encode(page, "ignore")
    try:
        assert decoding.decode(body, "t", encoding=None, raw=False).text == body.decode(page)
    except DocumentUnusable as refused:
        said = str(refused)
        beyond = next(word for word in body.decode(page).split() if not word.isascii())
        assert beyond in said or "--encoding GB18030" in said, said


if __name__ == "__main__":
    for kind, row in table().items():
        sys.stdout.write(f"{kind}: {dict(row)}\n")
