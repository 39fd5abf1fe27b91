"""Texts that say their encoding: in each way that programs write it, rightly and wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from ktclient.documents import declared, decoding
from ktclient.documents import document as documents
from ktclient.errors import DocumentUnusable
from server_bundle import package_data

PROSE = package_data.read(Path(__file__).parents[3] / "data/texts/prose.toml")
GREEK = PROSE["Greek"]["text"].strip() + "\n"
CZECH = PROSE["Czech"]["text"].strip() + "\n"
RUSSIAN = PROSE["Russian"]["text"].strip() + "\n"
JAPANESE = PROSE["Japanese"]["text"].strip() + "\n"


@pytest.mark.parametrize(
    ("head", "codec"),
    [
        ('<?xml version="1.0" encoding="windows-1253"?>\n<a>', "cp1253"),
        ("<?xml version='1.0' encoding = 'ISO-8859-2' standalone='yes'?>", "iso8859-2"),
        (
            '<html><head><meta http-equiv="Content-Type" content="text/html; charset=koi8-r">',
            "koi8-r",
        ),
        ("<!doctype html><META CHARSET=x-sjis>", "cp932"),
        ("<!doctype html><meta charset='latin1'>", "cp1252"),
        ("<!doctype html><meta charset='utf-16'>", "utf-8"),
        ("#!/usr/bin/python\n# -*- coding: latin-1 -*-\n", "cp1252"),
        (";; -*- mode: text; coding: iso-8859-2-unix -*-\n", "iso8859-2"),
        ("# vim: set fileencoding=cp1251 :\n", "cp1251"),
        ("\\documentclass{article}\n\\usepackage[latin2]{inputenc}\n", "iso8859-2"),
        ('msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=EUC-JP\\n"\n', "euc_jp"),
        ("Title: A Book\r\n\r\nCharacter set encoding: ISO Latin-1\r\n", "cp1252"),
    ],
)
def test_the_ways_to_declare_an_encoding_are_known(head: str, codec: str) -> None:
    """By the label's meaning for browsers, also behind a byte order mark."""
    for body in (head.encode(), b"\xef\xbb\xbf" + head.encode()):
        label = declared.label(body)
        assert label is not None and declared.codec(label) == codec


@pytest.mark.parametrize(
    "head",
    [
        "A letter about coding: utf-8 is usual.\n",
        "One\nTwo\n# coding: latin-1\n",  # only the first two lines count
        "The page said <meta charset=koi8-r> in its head.\n",
        '{"encoding": "latin-1"}\n',
    ],
)
def test_what_only_speaks_of_an_encoding_declares_none(head: str) -> None:
    """Prose, and comments further down."""
    assert declared.label(head.encode()) is None


@pytest.mark.parametrize("label", ["klingon", "base64", "undefined", "rot13"])
def test_a_label_that_is_no_encoding_is_ignored(label: str) -> None:
    """Python has codecs that are not for text."""
    assert declared.codec(label) is None
    body = f'<?xml version="1.0" encoding="{label}"?>\n'.encode() + GREEK.encode("cp1253")
    assert documents.from_bytes(body, "t").text.endswith(GREEK)


@pytest.mark.parametrize(
    ("label", "text", "name"),
    [
        ("windows-1253", "Το πλοίο", "CP1253"),  # noqa: RUF001
        ("ISO-8859-2", "žlutý kůň", "ISO-8859-2"),
        ("koi8-r", "Паром", "KOI8-R"),
        ("ISO-2022-JP", "こんにちは", "ISO2022-JP-EXT"),
        ("gbk", "文件", "GB18030"),
        ("x-mac-cyrillic", "Паром", "MAC-CYRILLIC"),
    ],
)
def test_a_declared_encoding_needs_no_guess(label: str, text: str, name: str) -> None:
    """A word is enough; how it was read is kept, to be said."""
    codec = declared.codec(label)
    assert codec is not None
    page = f'<?xml version="1.0" encoding="{label}"?>\n<a>{text}</a>\n'
    read = documents.from_bytes(page.encode(codec), "t")
    assert (read.text, read.guessed, read.guessed_because) == (page, name, "as it declares")


def test_utf8_is_read_as_such_whatever_it_declares() -> None:
    """Editors convert a file and leave its first line; that is said."""
    page = f'<?xml version="1.0" encoding="ISO-8859-1"?>\n<a>{GREEK}</a>\n'
    read = documents.from_bytes(page.encode(), "t")
    assert read.text == page
    assert (read.guessed, read.guessed_because) == ("UTF-8", "although it declares ISO-8859-1")
    quiet = documents.from_bytes(page.replace("ISO-8859-1", "utf-8").encode(), "t")
    assert (quiet.text[-20:], quiet.guessed) == (page[-20:], "")


def test_a_little_chinese_that_is_also_utf8_is_read_as_declared() -> None:
    """模 in GBK is ģ in UTF-8."""
    page = '<?xml version="1.0" encoding="gbk"?><a>模</a>'
    assert documents.from_bytes(page.encode("gbk"), "t").text == page


@pytest.mark.parametrize("label", ["utf-8", "iso-8859-1", "windows-1251"])
def test_a_wrong_declaration_gives_way_to_what_is_sure(label: str) -> None:
    """Declared UTF-8, Latin-1 and Cyrillic, and Greek: what was declared is said."""
    page = f'<?xml version="1.0" encoding="{label}"?>\n<a>{GREEK}</a>\n'
    read = documents.from_bytes(page.encode("cp1253"), "t")
    assert (read.text, read.guessed) == (page, "CP1253")
    assert read.guessed_because == f"a guess: it declares {label}, and is not"


def test_damaged_utf8_that_declares_latin1_is_refused() -> None:
    """Latin-1 would read every byte of it, as Ã and Î."""
    page = b'<?xml version="1.0" encoding="ISO-8859-1"?>\n<a>' + GREEK.encode()
    with pytest.raises(DocumentUnusable, match="not UTF-8: byte 0xff at offset"):
        documents.from_bytes(page + b"\xff</a>", "t")


def test_a_mark_wins_over_a_declaration_if_it_is_true() -> None:
    """UTF-8 with a mark that declares another encoding, and another encoding with a mark."""
    page = f'<?xml version="1.0" encoding="windows-1253"?>\n<a>{GREEK}</a>\n'
    assert documents.from_bytes(b"\xef\xbb\xbf" + page.encode(), "t").text == page
    read = documents.from_bytes(b"\xef\xbb\xbf" + page.encode("cp1253"), "t")
    assert read.text == page and "its mark says UTF-8" in read.guessed_because
    wide = documents.from_bytes(("\ufeff" + page).encode("utf-16-le"), "t")
    assert wide.text == page


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("iso2022_jp", "ISO-2022-JP"),
        ("utf-7", "UTF-7"),
        ("utf-32-le", "UTF-32LE"),
        ("utf-32-be", "UTF-32BE"),
    ],
)
def test_letters_in_ascii_and_in_four_bytes_are_known_without_a_mark(codec: str, name: str) -> None:
    """They are valid UTF-8, or full of NULs."""
    text = JAPANESE if codec != "utf-7" else "".join(f"Mot é{n} à {n}, où ça ?\n" for n in "abc")
    read = documents.from_bytes(text.encode(codec), "t")
    assert (read.text, read.guessed) == (text, name)


@pytest.mark.parametrize(
    "text",
    [
        "a+b-c and 1+2-3, x+ABCD-y, +A-, ++--\n",
        "for f in ~{a,b}; do echo ~{; done\n~{ok~}\n",
        "\x1b[1mbold\x1b[0m and \x1b(B plain\n",
        "price+tax-discount+fee-rebate+tip-tax\n",
    ],
)
def test_ascii_that_only_looks_so_stays_as_it_is(text: str) -> None:
    """Formulas, shell scripts, colours of terminals."""
    read = documents.from_bytes(text.encode(), "t")
    assert (read.text, read.guessed) == (text, "")


def test_what_python_cannot_decode_is_not_taken_for_something_else() -> None:
    """EUC-TW has the characters of Big5 in another order, as pairs of bytes that GB18030 has too:
    here by the table of CNS 11643, whose first plane is Big5's."""
    text = PROSE["Traditional Chinese"]["text"] * 6
    rows = [_euc_tw(one) for one in text]
    with pytest.raises(DocumentUnusable, match="not UTF-8"):
        documents.from_bytes(b"".join(rows), "t")


def _euc_tw(character: str) -> bytes:
    """Big5 counts 157 characters a row from A440 on, and CNS 11643 counts the same ones in rows of
    94 from row 36 on (but for a few that moved)."""
    lead, trail = character.encode("big5hkscs") if character > "\x7f" else (0, 0)
    if lead < 0xA4:
        return character.encode("ascii", "ignore")
    place = (lead - 0xA4) * 157 + (trail - 0x40 if trail < 0x7F else trail - 0xA1 + 63)
    return bytes([0xA1 + 35 + place // 94, 0xA1 + place % 94])


def test_few_letters_are_refused_with_all_that_they_may_be() -> None:
    """Two words of Czech: a person sees at once which reading is right."""
    with pytest.raises(DocumentUnusable) as refused:
        decoding.decode("Příliš žluťoučký\n".encode("cp1250"), "t", encoding=None, raw=False)
    assert "CP1250 (“Příliš žluťoučký”)" in str(refused.value)
    assert "--encoding CP1250" in str(refused.value)
