"""What converters leave in texts: cleaned in prose, counted; left alone in code, data and logs."""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import tiny_pdf

from ktclient.documents import collection, leftovers
from ktclient.documents import document as documents
from server_bundle import package_data

PROSE = package_data.read(Path(__file__).parents[3] / "data/texts/prose.toml")
SENTENCE = "The ferry left on time, and nobody was hurt in the storm that night. "


@pytest.mark.parametrize(
    ("text", "expected", "kind"),
    [
        ("The o\ufb03ce \ufb01le was \ufb02at.", "The office file was flat.", leftovers.LIGATURES),
        ("An ex\u00adam\u00adple of it.", "An example of it.", leftovers.SOFT_HYPHENS),
        ("An exam\u00ad\nple of it.", "An example of it.", leftovers.SOFT_HYPHENS),
        ("A\u200bword, and\u2060 two\ufeff.", "Aword, and two.", leftovers.ZERO_WIDTH),
        ("Auf\u200clage und mehr", "Auflage und mehr", leftovers.ZERO_WIDTH),
        ("A cafe\u0301 in Hue\u0302\u0301", "A café in Huế", leftovers.APART),
        ("A word\ufdd0 and\uffff more\U0001fffe", "A word and more", leftovers.NONCHARACTERS),
        ("A well\ufffe\nkept garden", "A well-kept garden", leftovers.HYPHENS),
    ],
)
def test_prose_is_cleaned_and_it_is_counted(text: str, expected: str, kind: str) -> None:
    """Each kind by itself; raw keeps all of it."""
    read = documents.from_text(text, "t")
    assert read.text == expected and [one for one, _ in read.cleaned] == [kind]
    raw = documents.from_text(text, "t", raw=True)
    assert (raw.text, raw.cleaned) == (text, ())
    assert leftovers.of_text(expected).text == expected


def test_decomposed_hangul_is_composed() -> None:
    """A Mac writes it so, and it costs nine times the tokens."""
    text = PROSE["Korean"]["text"]
    apart = unicodedata.normalize("NFD", text)
    read = documents.from_text(apart, "t")
    assert read.text == text and dict(read.cleaned)[leftovers.APART] > 50


@pytest.mark.parametrize(
    "text",
    [
        "نمی\u200cخواهم بروم. می\u200cگوید که",  # noqa: RUF001 - Persian
        "क\u094d\u200dष and क\u094d\u200cष in Hindi",
        "ภาษา\u200bไทย\u200bไม่มี\u200bช่องว่าง",  # blanks of Thai
        "A family \U0001f468\u200d\U0001f469\u200d\U0001f467 and \U0001f3f3\ufe0f\u200d\U0001f308",
        "The ligature \ufb01 is U+FB01 in Unicode.",
        "A dash \u00ad here, by an old editor.",
        "\u9f8d and \uf9c4, two ways to write a name; \u212b and \u2126 are units.",
        "שָׁלוֹם עֲלֵיכֶם",
        "A\fpage and a page.",
        "Z" + "\u0301" * 40,
    ],
)
def test_what_means_something_stays(text: str) -> None:
    """Joiners, emoji, variants of characters, signs that stand alone."""
    assert leftovers.of_text(text) == leftovers.Cleaned(text)


@pytest.mark.parametrize("language", PROSE)
def test_ordinary_prose_is_not_touched(language: str) -> None:
    """Of any language."""
    text = PROSE[language]["text"]
    assert leftovers.is_prose(text) and leftovers.of_text(text) == leftovers.Cleaned(text)


ORDINARY = st.characters(
    exclude_categories=("Cs", "Cn", "Co", "Cf", "Mn", "Mc", "Me"), exclude_characters="\ufffd"
).filter(lambda one: not "\ufb00" <= one <= "\ufb06" and not "\u1160" <= one <= "\u11ff")
"""Without what leftovers.py looks for; U+FFFD is what another program left, and is only said."""


@given(st.text(alphabet=ORDINARY))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    """Whatever is not a leftover itself."""
    for given_text in (text, SENTENCE * 30 + text):
        assert leftovers.of_text(given_text) == leftovers.Cleaned(given_text)


@given(st.text())
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    """Nothing that is cleaned is left, and what is left is text."""
    once = leftovers.of_text(SENTENCE * 30 + text).text
    assert leftovers.of_text(once).text == once


LEFTOVERS = " cafe\u0301 o\ufb03ce ex\u00adample a\u200bb "


@pytest.mark.parametrize(
    "text",
    [
        "def name(text: str) -> str:\n    return {'a': text[0]}  # of it\n" * 30,
        json.dumps([{"id": n, "text": "some words of it"} for n in range(50)]),
        "2026-11-29 12:00:01 INFO the ferry left on time\n" * 50,
        "Nov 29 12:00:01 host sshd[812]: session opened for user\n" * 50,
        "name,age,city\nAda,36,1815\nAlan,41,1912\n12,4,1999\n" * 50,
        "\\section{On \\emph{it}} $x_1 = \\frac{a}{b}$ \\cite{ada}\n" * 30,
    ],
)
def test_code_data_and_logs_are_not_touched(text: str) -> None:
    """There an invisible character may be what is asked about; noncharacters are in no text."""
    assert leftovers.of_text(text + LEFTOVERS) == leftovers.Cleaned(text + LEFTOVERS)
    found = leftovers.of_text(f"{text}\ufffe")
    assert (found.text, found.counts) == (text, ((leftovers.NONCHARACTERS, 1),))


def test_every_letter_that_unicode_composes_is_known() -> None:
    """The marks of the pattern are all second characters of the basic plane's compositions."""
    for code in range(0x10000):
        whole = chr(code)
        apart = unicodedata.normalize("NFD", whole)
        if whole.isalpha() and len(apart) > 1 and unicodedata.normalize("NFC", apart) == whole:
            assert leftovers.of_text(f"{SENTENCE}{apart}.").text == f"{SENTENCE}{whole}.", hex(code)


def test_characters_without_a_meaning_are_said() -> None:
    """A font without a table of its letters: the text is kept, and there is advice."""
    text = SENTENCE + "\ue001\ue002\ue003\ue004 " * 4
    read = documents.from_text(text, "t")
    assert read.text == text and not leftovers.said(read.cleaned)
    doubt = leftovers.doubt(read.cleaned, len(text))
    assert doubt.startswith("16 characters without a meaning (18 % of it)")
    assert "ocrmypdf" in doubt
    few = documents.from_text(SENTENCE * 20 + "\ue001", "t")
    assert not leftovers.doubt(few.cleaned, len(few.text))


def test_a_pdf_is_cleaned_of_hyphens_heads_and_numbers(tmp_path: Path) -> None:
    """PDFium reads it: U+FFFE at line ends, heads and numbers between the sentences."""
    pages = [
        [
            "The Ferry Report",
            f"On day {n * 3} the self-",
            f"hosted server of ship {n} stood in the ware-",
            f"house {n} of the well-kept har-",
            f"bour, as {n} men said, and it",
            str(n + 11),
        ]
        for n in range(6)
    ]
    path = tmp_path / "report.pdf"
    path.write_bytes(tiny_pdf.of_pages(pages))
    read = documents.read(str(path))
    assert dict(read.cleaned) == {
        leftovers.HYPHENS: 18,
        leftovers.HEADS: 5,
        leftovers.NUMBERS: 6,
    }
    assert read.text.startswith(
        "The Ferry Report\nOn day 0 the self-hosted server of ship 0 stood in the warehouse 0 of "
        "the well-kept harbour, as 0 men said, and it\n\nOn day 3 "
    )
    words = leftovers.said(read.cleaned)
    assert words == (
        "5 running heads removed, 6 page numbers removed, 18 line-end hyphens resolved; "
        "--raw keeps them"
    )
    raw = documents.read(str(path), raw=True)
    assert "self-\nhosted" in raw.text and raw.text.count("The Ferry Report") == 6
    assert raw.cleaned == ()


def test_a_form_feed_in_a_web_page_ends_no_page() -> None:
    """It is a blank there; five equal paragraphs are no running heads."""
    page = "<!doctype html><pre>" + "\f".join(f"Again\n{n} ferries\n" for n in "abcdef") + "</pre>"
    read = documents.from_bytes(page.encode(), "t.html")
    assert read.text.count("Again") == 6 and read.cleaned == ()


def test_counts_of_joined_files_are_summed(tmp_path: Path) -> None:
    """One line about all of them."""
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(f"{SENTENCE}The o\ufb03ce.")
    found = collection.gather([str(tmp_path)], join=True).documents[0]
    assert found.cleaned == ((leftovers.LIGATURES, 2),)
    assert leftovers.said(found.cleaned) == "2 ligatures spelled out; --raw keeps them"


def test_the_file_itself_is_not_touched(tmp_path: Path) -> None:
    """Cleaned is what is sent."""
    path = tmp_path / "t.txt"
    body = f"{SENTENCE}{LEFTOVERS}".encode()
    path.write_bytes(body)
    assert documents.read(str(path)).cleaned and path.read_bytes() == body


def test_all_planes_have_their_noncharacters() -> None:
    """Sixty-six of them."""
    every = [
        chr(n) for n in range(sys.maxunicode + 1) if n & 0xFFFE == 0xFFFE or 0xFDD0 <= n <= 0xFDEF
    ]
    assert len(every) == 66
    assert leftovers.of_text("{}[]<>" + "".join(every)).text == "{}[]<>"


def test_a_hyphen_that_pdfium_took_from_data_is_one_again() -> None:
    """And joins nothing: 1914-18 is no number of six digits."""
    table = "1,200\n3,400\n5,600\n" * 40
    found = leftovers.of_text(f"{table}1914\ufffe18, p. 3\ufffe5, re\ufffe\n7,800\n")
    assert found.text == f"{table}1914-18, p. 3-5, re-\n7,800\n"
    assert found.counts == ((leftovers.HYPHENS, 3),)
