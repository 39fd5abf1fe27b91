"""What PDFs hold besides plain lines: raised characters, forms, text boxes, comments.

tests/data/documents/raised.pdf and form.pdf were written by reportlab 5.1.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ktclient.documents.formats import pdf
from ktclient.documents.formats.pdfium import raised

pytestmark = pytest.mark.each_python

DATA = Path(__file__).parents[4] / "data" / "documents"


def test_raised_and_lowered_characters_are_marked() -> None:
    """And the line end that PDFium puts behind them is none."""
    text, about = pdf.read((DATA / "raised.pdf").read_bytes())
    assert " ".join(text.split()) == (
        "The 4th ferry carried 10^5 kg of H_2O and ^235U over 3 km^2, x^(n+1) of them in 2026, "
        "said^12 Ann."
    )
    assert about == "1 page"


def test_pages_that_there_is_no_time_for_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read all the same."""
    monkeypatch.setattr(raised, "MOST_SECONDS", -1.0)
    text, about = pdf.read((DATA / "raised.pdf").read_bytes())
    assert "carried 105" in text and about == "1 page, superscripts unmarked on 1 page"


def test_what_was_typed_into_a_form_is_read() -> None:
    """Text, choices and marks, each with its name; text boxes; never a password. A comment is
    counted."""
    text, about = pdf.read((DATA / "form.pdf").read_bytes())
    assert text.splitlines() == [
        "Name:",
        "",
        "Form fields:",
        "- Full name: Mary Somerville",
        "- [x] agree",
        "- [ ] spam",
        "- port: Oban",
        "- size: L",
        "",
        "Text boxes:",
        "- Typed by hand",
    ]
    assert about == "1 page, without 1 comment"
