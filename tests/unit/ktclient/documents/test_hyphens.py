"""Hyphens at line ends that PDFium reads as U+FFFE: which belong to the word, by the document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktclient.documents import hyphens

MARK = hyphens.MARK


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"an exam{MARK}\nple of it", "an example of it"),
        (f"a self{MARK}\nhosted server", "a self-hosted server"),
        (f"a well{MARK}\nkept garden", "a well-kept garden"),
        (f"state-of-the{MARK}\nart", "state-of-the-art"),
        (f"an Anglo{MARK}\nSaxon king", "an Anglo-Saxon king"),
        (f"THE EXAM{MARK}\nPLE", "THE EXAMPLE"),
        (f"an X{MARK}\nRAY by e{MARK}mail".replace(f"e{MARK}", "e-"), "an X-RAY by e-mail"),
        (f"from A{MARK}\nB", "from A-B"),
        (f"by GPT{MARK}\n4 alone", "by GPT-4 alone"),
        (
            f"the co{MARK}\noperative. A co-operative is old.",
            "the co-operative. A co-operative is old.",
        ),
        (
            f"under{MARK}\nstand. They understand it; under a stand.",
            "understand. They understand it; under a stand.",
        ),
        (f"key{MARK}\nvalue pairs", "keyvalue pairs"),
        (f"name{MARK}\nvalue pairs: a name, a value", "name-value pairs: a name, a value"),
        (f"Donau{MARK}\ndampfschiff", "Donaudampfschiff"),
        (f"стан{MARK}\nция", "станция"),
        (f"at the end{MARK}", "at the end-"),
        (f"no word {MARK}\n before", "no word \n before"),
        (f"over a page{MARK}\n\nbreak", "over a pagebreak"),
    ],
)
def test_the_document_itself_says_whether_a_hyphen_stays(text: str, expected: str) -> None:
    """The compound or the word elsewhere, capitals, digits, other hyphens; else it is joined."""
    assert hyphens.joined(text) == (expected, 1)


def test_parts_of_divided_words_are_no_words() -> None:
    """`imme` and `diately` stand alone only where the word is divided."""
    text = f"imme{MARK}\ndiately and imme{MARK}\ndiately again"
    assert hyphens.joined(text) == ("immediately and immediately again", 2)


@given(st.text())
def test_a_text_without_marks_is_not_changed(text: str) -> None:
    """Hyphens of its own, soft ones and line ends included."""
    text = text.replace(MARK, "")
    assert hyphens.joined(text) == (text, 0)


@given(st.text(alphabet=f"ab-A1 \n.{MARK}"))
def test_only_marks_and_the_blanks_behind_them_change(text: str) -> None:
    """No mark is left, and no letter is lost."""
    found, number = hyphens.joined(text)
    assert number == text.count(MARK) and MARK not in found
    letters = [one for one in text if one in "abA1."]
    assert [one for one in found if one in "abA1."] == letters
