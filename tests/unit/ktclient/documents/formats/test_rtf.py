"""RTF: characters of every code page, scripts, notes, tables; what is left out is counted."""

from __future__ import annotations

import pytest

from ktclient.documents import collection
from ktclient.documents import document as documents

pytestmark = pytest.mark.each_python

FONTS = (
    rb"{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial Cyr;}{\f2\fcharset134 SimSun;}}"
    rb"{\colortbl;\red0\green0\blue0;}{\*\generator Some;}"
)


def text_of(body: bytes) -> str:
    read = documents.from_bytes(rb"{\rtf1\ansi\ansicpg1252\deff0" + FONTS + body + b"}", "a.rtf")
    return read.text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb"10{\super 9} bytes, H{\sub 2}O", "10^9 bytes, H_2O"),
        (rb"10\super 9\nosupersub  bytes, m\up6 2\up0 .", "10^9 bytes, m^2."),
        (rb"caf\'e9 \u8364?5 \u-10179?\u-8704?", "café €5 \U0001f600"),
        (rb"{\f1\'cf\'f0\'e8}{\f2\'c4\'e3\'ba\'c3}", "При你好"),
        (rb"a\{b\}\\c\~d\emdash e\par f", "a{b}\\c\xa0d\u2014e\n\nf"),
        (rb"{\field{\*\fldinst HYPERLINK x}{\fldrslt a link}} on", "a link on"),
        (rb"\uc2 a\u8364 xyb", "a\u20acb"),
        (rb"a{\pict\bin4 }}}}}b", "ab"),
        (rb"\pard\outlinelevel1 Times\par\pard at 7", "## Times\n\nat 7"),
    ],
)
def test_text(body: bytes, text: str) -> None:
    """Control words, code pages, and what has a length."""
    assert text_of(body) == f"{text}\n"


def test_notes_are_at_the_end() -> None:
    """With their marks where they belong."""
    note = rb"{\super \chftn}{\footnote \pard {\super \chftn} She %d.}"
    body = b"said" + note % 1 + b" so" + note % 2 + b"."
    assert text_of(body) == "said[1] so[2].\n\n[1] She 1.\n\n[2] She 2.\n"


def test_tables() -> None:
    """Also with several paragraphs in a cell."""
    body = (
        rb"\trowd\cellx1\cellx2\pard\intbl Drug\cell a|b\cell\row"
        rb"\trowd\cellx1\cellx2\pard\intbl x\par y\cell 10 mg\cell\row\pard after"
    )
    assert text_of(body) == "| Drug | a\\|b |\n| --- | --- |\n| x y | 10 mg |\n\nafter\n"


def test_what_is_left_out_is_counted() -> None:
    """Pictures once, though they are there twice for old programs."""
    body = (
        rb"{\rtf1{\header Head}{\*\shppict{\pict 89}}{\nonshppict{\pict 89}}"
        rb"{\mmath{\*\moMath{\mr x}}}{\deleted gone}{\*\annotation no}text}"
    )
    read = documents.from_bytes(body, "a.rtf")
    assert read.text == "text\n"
    for words in ("1 page header", "1 picture", "1 equation", "1 deleted passage", "1 comment"):
        assert words in read.read_as
    assert documents.from_bytes(body, "a.rtf", raw=True).text == body.decode()


def test_a_damaged_file_is_read_as_far_as_it_goes() -> None:
    """Too many ends, none, a lone backslash."""
    assert text_of(rb"a}}}b") == "ab\n"
    assert documents.from_bytes(rb"{\rtf1 a{b\\", "t").text == "ab\\\n"


def test_in_a_folder(tmp_path: object) -> None:
    """With bytes in it that no text has."""
    from pathlib import Path

    folder = Path(str(tmp_path))
    (folder / "a.rtf").write_bytes(rb"{\rtf1 a{\pict\bin40 " + bytes(40) + b"}b}")
    assert [one.text for one in collection.gather([str(folder)]).documents] == ["ab\n"]


def test_what_is_struck_out_does_not_hold() -> None:
    """Until it is switched off, or its group ends."""
    body = rb"{\strike 90 }80 \striked1 7{\super 2}\striked0  6"
    assert text_of(body) == "~~90~~ 80 ~~7~~^2 6\n"


def test_a_text_about_rtf_is_text() -> None:
    """The format's mark has a number, or another control word behind it."""
    text = "{\\rtf is how such a file begins.\n"
    assert documents.from_bytes(text.encode(), "a.txt").text == text
    assert documents.from_bytes(b"{\\rtf\\ansi caf\\'e9}", "a.rtf").text == "caf\u00e9\n"
