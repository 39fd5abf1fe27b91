"""Running heads and page numbers: removed where they are sure to be that, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktclient.documents import page_furniture

PAGES = 8


def page(number: int, *, top: str = "", bottom: str = "") -> str:
    """A page whose own lines are on no other."""
    body = [f"Line {chr(97 + line)}{number} of the story goes on" for line in range(12)]
    return "\n".join([*([top] if top else []), *body, *([bottom] if bottom else [])])


def bare(pages: list[str]) -> str:
    return "\n".join(page_furniture.removed(pages).pages)


@pytest.mark.parametrize(
    "written",
    [
        "{0}",
        "- {0} -",
        "Page {0}",
        "page {0} of 20",
        "{0} / 20",
        "Seite {0}",
        "стр. {0}",
        "第{0}页",
    ],
)
def test_page_numbers_are_removed(written: str) -> None:
    """At the top or the bottom, from any first number on."""
    for first in (1, 12, 340):
        at_top = [page(n, top=written.format(n + first)) for n in range(PAGES)]
        at_bottom = [page(n, bottom=written.format(n + first)) for n in range(PAGES)]
        for pages in (at_top, at_bottom):
            found = page_furniture.removed(pages)
            assert found.pages == [page(n) for n in range(PAGES)]
            assert (found.numbers, found.heads) == (PAGES, 0)


def test_a_preface_counts_in_roman_numbers() -> None:
    """And the rest in Arabic ones."""
    roman = ["i", "ii", "iii", "iv", "v"]
    pages = [page(n, bottom=one) for n, one in enumerate(roman)]
    pages += [page(n + 5, bottom=str(n + 1)) for n in range(9)]
    assert page_furniture.removed(pages).numbers == 14


def test_a_running_head_is_kept_once() -> None:
    """Its title may stand nowhere else."""
    pages = [page(n, top="The  Ferry Report", bottom="Confidential") for n in range(PAGES)]
    found = page_furniture.removed(pages)
    assert found.heads == 2 * (PAGES - 1)
    assert found.pages[0] == pages[0] and found.pages[3] == page(3)


def test_heads_of_left_and_right_pages_are_known_apart() -> None:
    """The book's title on the left, the chapter's on the right; numbers at the edge count pages."""
    tops = ["{0} A History of the Ferry", "The storm and after {0}"]
    pages = [page(n, top=tops[n % 2].format(n + 40)) for n in range(12)]
    found = page_furniture.removed(pages)
    assert found.heads == 10 and found.pages[2:] == [page(n) for n in range(2, 12)]


@pytest.mark.parametrize(
    "written",
    [
        "Patient {0}",
        "Invoice 2026-{0}",
        "Question {0}",
        "{0} USD",
        "Figure {0}: the ferry",
        "# Day",
        "{0}.",
        "({0})",
        "{0}:",
    ],
)
def test_numbers_that_mean_something_stay(written: str) -> None:
    """What is numbered by page is not the page's number."""
    pages = [page(n, top=written.format(n + 1)) for n in range(PAGES)]
    assert page_furniture.removed(pages).pages == pages


def test_numbers_that_do_not_count_pages_stay() -> None:
    """Years, amounts, a list."""
    pages = [page(n, bottom=str(1900 + 7 * n)) for n in range(PAGES)]
    assert page_furniture.removed(pages).pages == pages


def test_forms_stay_as_they_are() -> None:
    """Pages that are alike in more than their edges: each one is a case of its own."""
    pages = [
        f"Record of a patient\nWard of surgery\nName:\nP{n}\nAge:\n{n * 7 + 3}\nSeen by"
        for n in range(PAGES)
    ]
    assert page_furniture.removed(pages).pages == pages


def test_few_pages_say_nothing() -> None:
    """Three pages with one head may be three letters."""
    pages = [page(n, top="Dear customer") for n in range(3)]
    assert page_furniture.removed(pages).pages == pages


@given(st.lists(st.text(alphabet="ab1\n "), max_size=9))
def test_every_line_that_is_removed_is_a_number_or_stays_once(pages: list[str]) -> None:
    """No sentence can vanish."""
    found = page_furniture.removed(pages)
    left = {" ".join(line.split()) for one in found.pages for line in one.split("\n")}
    for one in pages:
        for line in one.split("\n"):
            words = " ".join(line.split())
            assert (
                words in left
                or words.isdigit()
                or words.split()[0].isdigit()
                or words[-1:].isdigit()
            )
    assert len(found.pages) == len(pages)


def test_chapters_poems_and_years_are_no_page_numbers() -> None:
    """One a page: beside the page's own number, in capitals, or of this century."""
    romans = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"]
    for tops in (romans, [str(1990 + n) for n in range(12)]):
        pages = [page(n, top=top) for n, top in enumerate(tops)]
        assert page_furniture.removed(pages).pages == pages
    both = [page(n, top=str(n + 1), bottom=str(n + 40)) for n in range(PAGES)]
    assert page_furniture.removed(both).pages == [page(n, top=str(n + 1)) for n in range(PAGES)]
