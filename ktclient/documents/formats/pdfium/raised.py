"""Raised and lowered characters of a page: `10^6`, where PDFium's text has "106" and a line end.

To ask PDFium where a character stands takes long. It is asked where a font becomes smaller, on
pages where that happens at a digit.
"""

from __future__ import annotations

import ctypes
import re
import time
from dataclasses import dataclass

import pypdfium2
import pypdfium2.raw as raw

from ktclient import wording
from ktclient.documents.formats.formulas import script
from ktclient.documents.formats.left_out import LeftOut

MOST_SECONDS = 100.0
"""Of CPU time: a third of what a document may take."""

_CANDIDATE = re.compile(r"(?<=\S)\d")
_LEAST_RISE, _MOST_RISE = 0.12, 0.8
_LEAST_DROP, _MOST_DROP = 0.06, 0.6
_LEAST_SIZE, _MOST_SIZE = 0.54, 0.93
"""Of a script, in heights of the line: TeX and Word make it 0.58 to 0.8 as large, larger is a mark
like any other, and smaller stands beside an initial."""
_MOST_LONG = 12
_BREAKS = "\r\n"


@dataclass(frozen=True)
class _Glyph:
    """Where a character stands, in points."""

    x: float
    y: float
    height: float


class Reader:
    """Reads the pages of a document, and marks raised characters as long as there is time."""

    def __init__(self) -> None:
        self._spent = 0.0
        self._unmarked = 0

    def text_of(self, page: pypdfium2.PdfTextPage) -> str:
        """The text of a page."""
        text = str(page.get_text_range())
        if not _CANDIDATE.search(text):
            return text
        if self._spent > MOST_SECONDS:
            self._unmarked += 1
            return text
        began = time.process_time()
        text = _marked(page, text)
        self._spent += time.process_time() - began
        return text

    def say(self, left: LeftOut) -> None:
        """Note the pages that were not looked at."""
        if self._unmarked:
            left.say(f"superscripts unmarked on {wording.count(self._unmarked, 'page')}")


def _marked(page: pypdfium2.PdfTextPage, text: str) -> str:
    places = _places(text, page.count_chars())
    if places is None:
        return text
    marks = _Marks(page, text, places)
    digits = (found.start() for found in _CANDIDATE.finditer(text))
    if not any(marks.is_smaller(at) and marks.shift(at - 1, at) for at in digits):
        return text
    return _spelled(text, marks)


class _Marks:
    """The characters of a page: how large they are and where they stand."""

    def __init__(self, page: pypdfium2.PdfTextPage, text: str, places: list[int]) -> None:
        self._page, self.text, self._places = page.raw, text, places
        self._x, self._y, self._box = ctypes.c_double(), ctypes.c_double(), raw.FS_RECTF()
        self._glyphs: dict[int, _Glyph | None] = {}

    def size(self, at: int) -> float:
        """Its font's size, without a page's scale: some programs write all fonts with size 1."""
        return float(raw.FPDFText_GetFontSize(self._page, self._places[at]))

    def is_smaller(self, at: int) -> bool:
        """Whether a character may be smaller than the one before it."""
        size = self.size(at)
        return size < self.size(at - 1) or size <= 1

    def shift(self, base: int, at: int) -> int:
        """1: raised above the base; -1: lowered; 0: neither."""
        one, other = self.glyph(base), self.glyph(at)
        return 0 if one is None or other is None else _shift(one, other)

    def glyph(self, at: int) -> _Glyph | None:
        """None of a character that is turned, or that PDFium has made."""
        if at not in self._glyphs:
            self._glyphs[at] = self._asked(self._places[at])
        return self._glyphs[at]

    def _asked(self, index: int) -> _Glyph | None:
        x, y, box = self._x, self._y, self._box
        if abs(raw.FPDFText_GetCharAngle(self._page, index)) > 0.01:
            return None
        if not raw.FPDFText_GetCharOrigin(self._page, index, x, y):
            return None
        if not raw.FPDFText_GetLooseCharBox(self._page, index, box) or box.top <= box.bottom:
            return None
        return _Glyph(x.value, y.value, box.top - box.bottom)


def _places(text: str, number: int) -> list[int] | None:
    """The index for PDFium of each character; None if its count is another one."""
    if len(text) == number:
        return list(range(number))
    places, at = [], 0
    for character in text:
        places.append(at)
        at += 1 + (character > "\uffff")
    return places if at == number else None


def _shift(base: _Glyph, glyph: _Glyph) -> int:
    """1: raised; -1: lowered; 0: neither."""
    if glyph.x <= base.x or not _LEAST_SIZE < glyph.height / base.height < _MOST_SIZE:
        return 0
    rise = (glyph.y - base.y) / base.height
    if _LEAST_RISE < rise < _MOST_RISE:
        return 1
    return -1 if _LEAST_DROP < -rise < _MOST_DROP else 0


def _spelled(text: str, marks: _Marks) -> str:
    made: list[str] = []
    sizes = [marks.size(at) for at in range(len(text))]
    base, written = -1, 0
    for at, character in enumerate(text):
        if at < written or character.isspace():
            continue
        is_smaller = base >= 0 and (sizes[at] < sizes[base] or sizes[at] <= 1)
        if is_smaller and text[base + 1 : at].strip(_BREAKS) in ("", " "):
            end = _end(marks, base, at)
            is_beside = at == base + 1 or text[at - 1] != " " or text[end : end + 1].isalpha()
            if end > at and is_beside:
                after = _same_line(marks, end, base)
                made.append(text[written:at].rstrip(_BREAKS))
                before = "".join(made)[-_MOST_LONG:] if len(made) < 3 else "".join(made[-3:])
                made.append(
                    script.spelled(
                        text[at:end],
                        is_raised=marks.shift(base, at) > 0,
                        before=before,
                        after=text[after : after + 1],
                    )
                )
                written = after
                continue
        base = at
    return "".join([*made, text[written:]])


def _end(marks: _Marks, base: int, start: int) -> int:
    """Where the script that begins at a character ends; there, if none does."""
    shift, end = marks.shift(base, start), start
    while shift and end < len(marks.text) and not marks.text[end].isspace():
        if marks.shift(base, end) != shift:
            break
        end += 1
    return end if end - start <= _MOST_LONG else start


def _same_line(marks: _Marks, end: int, base: int) -> int:
    """Where the text goes on after a script: behind a line end that PDFium has put in, if the line
    of the base goes on there."""
    after = end
    while marks.text[after : after + 1] in (*_BREAKS,):
        after += 1
    glyph, before = marks.glyph(after) if after < len(marks.text) else None, marks.glyph(base)
    if after > end and glyph is not None and before is not None:
        is_on_line = abs(glyph.y - before.y) < _LEAST_DROP * before.height
        if is_on_line and glyph.x > before.x:
            return after
    return end
