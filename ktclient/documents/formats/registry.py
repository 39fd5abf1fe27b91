"""Which formats can be read, whether their readers are installed, and how HTML is recognised.

Standard library only, and no reader is imported here.
"""

from __future__ import annotations

import html.parser
import importlib.util
import re

from ktclient.documents import magic

EXTRA = "documents"
"""The extra that brings the readers."""
HTML = "HTML"
_READERS = {
    "a PDF": ("PDF", ("pypdfium2",)),
    "a Word document (DOCX)": ("DOCX", ("mammoth", "markdownify", "lxml")),
    "a PowerPoint presentation (PPTX)": ("PPTX", ("pptx",)),
    "an EPUB book": ("EPUB", ("markdownify",)),
    HTML: (HTML, ("markdownify",)),
    magic.RTF: ("RTF", ()),
    magic.MAIL: ("mail", ()),
    magic.MHT: ("MHT", ("markdownify",)),
    magic.NOTEBOOK: ("notebook", ()),
}
"""Keys are the names of magic.py; the first library is the reader, without one it is ktjob."""
_ABOVE = r"\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,2000}?-->\s*)*"
_HTML = re.compile(
    _ABOVE + r"<(?:!doctype\s+html|(?:html|head|title|body|meta|base)(?=[\s>]))",
    re.I | re.S,
)
_BLOCK = re.compile(
    _ABOVE + r"<(?:p|div|h[1-6]|table|ul|ol|dl|section|article|main|header|nav|blockquote|pre)"
    r"(?=[\s>])",
    re.I | re.S,
)
_MARKDOWN = re.compile(r"^(?:#{1,6} |```|~~~|[-*+] \S|> |\d{1,3}\. )", re.M)
_LOOKED_AT = 4096
_PIECE_LOOKED_AT = 65_536
_EMPTY = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "source",
        "track",
        "wbr",
    ]
)


def is_readable(format_name: str) -> bool:
    """Whether there is a reader for this format, installed or not."""
    return format_name in _READERS


def is_installed(format_name: str) -> bool:
    """Whether its reader could be used."""
    return all(importlib.util.find_spec(name) is not None for name in _READERS[format_name][1])


def short(format_name: str) -> str:
    """The reading process's name for the format."""
    return _READERS[format_name][0]


def library(format_name: str) -> str:
    name = next(iter(_READERS[format_name][1]), "ktjob")
    return {"pptx": "python-pptx"}.get(name, name)


def is_html(text: str) -> bool:
    """Whether a text begins like an HTML page, or is a piece of one: it begins with a block, and no
    words stand outside its elements. In Markdown that begins with HTML, some do."""
    head = text[:_LOOKED_AT]
    if _HTML.match(head) is not None:
        return True
    if _BLOCK.match(head) is None or _MARKDOWN.search(text[:_PIECE_LOOKED_AT]):
        return False
    return not _has_words_outside(text[:_PIECE_LOOKED_AT])


def _has_words_outside(text: str) -> bool:
    reader = _Outside()
    reader.feed(text)
    return reader.has_words or not reader.has_words_inside


class _Outside(html.parser.HTMLParser):
    """Sees whether words stand outside all elements."""

    def __init__(self) -> None:
        super().__init__()
        self.has_words = False
        self.has_words_inside = False
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._depth += tag not in _EMPTY

    def handle_endtag(self, tag: str) -> None:
        self._depth = max(0, self._depth - (tag not in _EMPTY))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.has_words |= self._depth == 0
            self.has_words_inside |= self._depth > 0
