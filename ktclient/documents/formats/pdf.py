"""PDF by PDFium, Chrome's reader: fast, and tested against hostile files."""

from __future__ import annotations

import re

import pypdfium2
import pypdfium2.raw

from ktclient import wording
from ktclient.documents.formats.left_out import LeftOut
from ktclient.documents.formats.limits import Unreadable
from ktclient.documents.formats.pdfium import fields, raised

_MOST_PAGES = 50_000
_HYPHEN = re.compile("[\ufffe\x02](?:\r?\n)?")
"""What PDFium inserts for each hyphen at the end of a line."""


def read(body: bytes) -> tuple[str, str]:
    """Text by pages, which end with form feeds, with U+FFFE for hyphens at line ends; a line that
    the outline lists as a title becomes a heading. Raises `Unreadable`."""
    document = _opened(body)
    pages = len(document)
    if pages > _MOST_PAGES:
        raise Unreadable(f"has {pages:,} pages, more than the maximum of {_MOST_PAGES:,}; split it")
    titles = _titles(document)
    left = LeftOut()
    fields.open_form(document, left)
    reader = _PageReader(document, left)
    texts = [reader.text_of(number, titles.get(number, {})) for number in range(pages)]
    reader.marks.say(left)
    blank = sum(not text.strip() for text in texts)
    if blank == pages:
        raise Unreadable(
            f"is a scan: its {pages:,} pages contain pictures and no text. Run OCR on it first, "
            "for example: ocrmypdf FILE OUT.pdf"
        )
    about = wording.count(pages, "page") + (f", {blank:,} of them without text" if blank else "")
    return "\f".join(text.replace("\f", "\n") for text in texts), about + left.words()


def _opened(body: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(body)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise Unreadable(
                "is protected by a password; remove it first: qpdf --decrypt --password=… FILE "
                "OUT.pdf"
            ) from None
        raise Unreadable(f"is a damaged PDF: {error}") from None


class _PageReader:
    """Reads the pages of a document, and counts what is left out."""

    def __init__(self, document: pypdfium2.PdfDocument, left: LeftOut) -> None:
        self._document, self._left = document, left
        self.marks = raised.Reader()

    def text_of(self, number: int, titles: dict[str, int]) -> str:
        """A page's text, and below it what was typed on the page."""
        try:
            page = self._document[number]
            text_page = page.get_textpage()
        except pypdfium2.PdfiumError as error:
            raise Unreadable(f"is damaged on page {number + 1}: {error}") from None
        text = _HYPHEN.sub("\ufffe\n", self.marks.text_of(text_page))
        typed = fields.typed(self._document, page, self._left)
        text_page.close()
        page.close()
        lines = [_line(line, titles) for line in text.splitlines()]
        return "\n".join([*lines, *(["", typed] if typed else [])])


def _line(line: str, titles: dict[str, int]) -> str:
    level = titles.get(_bare(line))
    return line if level is None else f"\n{'#' * min(level + 1, 6)} {line.strip()}\n"


def _titles(document: pypdfium2.PdfDocument) -> dict[int, dict[str, int]]:
    """By page: titles in the outline, with their level from 0."""
    found: dict[int, dict[str, int]] = {}
    try:
        for mark in document.get_toc():
            target = mark.get_dest()
            if target is not None and target.get_index() is not None and _bare(mark.get_title()):
                found.setdefault(target.get_index(), {})[_bare(mark.get_title())] = mark.level
    except pypdfium2.PdfiumError:
        return found  # an outline is optional
    return found


def _bare(text: str) -> str:
    return " ".join(text.split()).casefold()
