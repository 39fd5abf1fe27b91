"""Running heads and page numbers of a document in pages: they interrupt its sentences.

Removed is only what is sure: the same line at the same place on most pages (of the left ones, or
of the right ones), where its first occurrence stays; and numbers at the same place that count
pages. Pages that are alike in more than that are forms, and stay as they are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_LEAST_PAGES = 4
_MOST_OF = 0.6
"""Share of the pages on which a line must be."""
_SLOTS = (-1, -2, 0, 1)
"""Lines of a page that may be furniture: the last two, and the first two. A page has one number: if
one at its end counts, one at its beginning is a chapter's or a poem's."""
_ENUMERATES = (".", ")", ":")
"""`1.` is an item, and `1` may be a page."""
_YEARS = range(1900, 2100)
_GUARDS = (2, -3)
"""If these repeat as well, the pages are forms."""
_LONGEST = 120
_NUMBER = re.compile(
    r"\W{0,3}(?P<word>(?:page|p\.?|pg\.?|seite|s\.|página|pagina|pág\.?|strona|sida|side|oldal|sayfa"
    r"|стр\.?|страница|σελ\.?|第)\s{0,3})?(?P<number>\d{1,5})"
    r"(?P<whole>\s{0,3}(?:/|\||of|von|de|di|sur|av|z|из|από)\s{0,3}\d{1,5}|\s{0,3}[页頁])?"
    r"\W{0,3}\Z",
    re.I,
)
_ROMAN = re.compile(r"(?P<number>[ivxlc]{1,8})\Z")
"""In capitals they number chapters and poems."""
_EDGE = re.compile(r"(?P<first>\d{1,4})\s\D|.{0,118}\D\s(?P<last>\d{1,4})\Z", re.S)
_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
_LEAST_WORDS = 3
"""Of a head with a number in it; "Patient 12" is none."""

Place = tuple[int, int]
"""A page, and a line of it."""


@dataclass(frozen=True)
class Bare:
    """Pages without their furniture, and how much was removed."""

    pages: list[str]
    heads: int
    numbers: int


def removed(pages: Sequence[str]) -> Bare:
    """Remove running heads and page numbers. Time is linear in the text."""
    lines = [page.split("\n") for page in pages]
    filled = [[place for place, line in enumerate(page) if line.strip()] for page in lines]
    full = [page for page, places in enumerate(filled) if places]
    if len(full) < _LEAST_PAGES:
        return Bare(list(pages), 0, 0)
    numbers: set[Place] = set()
    heads: set[Place] = set()
    for slot in _SLOTS:
        at = {page: _at(lines[page], filled[page], slot) for page in full}
        counted = {page for page, _ in numbers}
        numbers |= {one for one in _counting(at, slot, filled) if one[0] not in counted}
        heads |= _repeated(at, slot, filled)
    if any(_repeats({p: _at(lines[p], filled[p], guard) for p in full}) for guard in _GUARDS):
        heads = set()
    heads -= numbers
    gone = numbers | heads
    left = [
        "\n".join(line for place, line in enumerate(page) if (number, place) not in gone)
        for number, page in enumerate(lines)
    ]
    return Bare(left, len(heads), len(numbers))


def _at(lines: Sequence[str], filled: Sequence[int], slot: int) -> str:
    """The line in a slot, with single blanks; "" if the page is too short for it."""
    if len(filled) < (slot + 1 if slot >= 0 else -slot):
        return ""
    line = lines[filled[slot]]
    return " ".join(line.split()) if len(line) <= _LONGEST else ""


def _counting(at: Mapping[int, str], slot: int, filled: Sequence[Sequence[int]]) -> set[Place]:
    """The places of numbers that grow by one from page to page, on most pages."""
    found: set[Place] = set()
    for value_of, least in ((_arabic, _MOST_OF * len(at)), (_roman, float(_LEAST_PAGES))):
        offsets = {page: value - page for page, line in at.items() if (value := value_of(line))}
        if not offsets:
            continue
        offset, times = Counter(offsets.values()).most_common(1)[0]
        if times >= max(_LEAST_PAGES, least):
            found |= {(page, filled[page][slot]) for page, one in offsets.items() if one == offset}
    return found


def _repeated(at: Mapping[int, str], slot: int, filled: Sequence[Sequence[int]]) -> set[Place]:
    """The places of a line that is on most pages, except for the first of them."""
    return {
        (page, filled[page][slot]) for pages in _repeats(at).values() for page in sorted(pages)[1:]
    }


def _repeats(at: Mapping[int, str]) -> dict[str, set[int]]:
    """Lines that are on most pages, or on most of the even or odd ones, with their pages. A number
    at their edge does not count if it counts the pages."""
    pages_of: dict[str, set[int]] = {}
    for page, line in at.items():
        form = _form(line, page)
        if form and not form.startswith("#") and any(one.isalpha() for one in form):
            pages_of.setdefault(form, set()).add(page)
    sizes = Counter(page % 2 for page in at)
    return {form: pages for form, pages in pages_of.items() if _is_most(pages, len(at), sizes)}


def _is_most(pages: set[int], whole: int, sizes: Mapping[int, int]) -> bool:
    if len(pages) < _LEAST_PAGES:
        return False
    if len(pages) >= _MOST_OF * whole:
        return True
    side = Counter(page % 2 for page in pages)
    return len(side) == 1 and any(n >= _MOST_OF * sizes[parity] for parity, n in side.items())


def _form(line: str, page: int) -> str:
    """A line without the number of its page at its edge; in place of it, how far it is ahead of
    the page, so that only numbers that count make lines alike."""
    found = _EDGE.match(line)
    if found is None:
        return line
    digits = found.group("first") or found.group("last")
    rest = line.removeprefix(digits) if found.group("first") else line.removesuffix(digits)
    if len(rest.split()) < _LEAST_WORDS:
        return line
    return f"{rest.strip()} +{int(digits) - page}"


def _arabic(line: str) -> int:
    found = _NUMBER.match(line)
    if found is None:
        return 0
    number = int(found.group("number"))
    is_bare = not found.group("word") and not found.group("whole")
    return 0 if is_bare and (line.endswith(_ENUMERATES) or number in _YEARS) else number


def _roman(line: str) -> int:
    found = _ROMAN.match(line)
    if found is None:
        return 0
    values = [_VALUES[one] for one in found.group("number")]
    return sum(
        -one if one < after else one for one, after in zip(values, [*values[1:], 0], strict=True)
    )
