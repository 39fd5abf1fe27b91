"""Which formats can be read, whether their readers are installed, and how HTML is recognised.

Standard library only, and no reader is imported here.
"""

from __future__ import annotations

import importlib.util
import re

INSTALL = "pip install 'ktjob[documents]'"
REINSTALL = "pip install --force-reinstall 'ktjob[documents]'"
HTML = "HTML"
_READERS = {
    "a PDF": ("PDF", ("pypdfium2",)),
    "a Word document (DOCX)": ("DOCX", ("mammoth", "markdownify")),
    "a PowerPoint presentation (PPTX)": ("PPTX", ("pptx",)),
    "an EPUB book": ("EPUB", ("markdownify",)),
    HTML: (HTML, ("markdownify",)),
}
"""Keys are the names of magic.py; the first library is the reader."""
_HTML = re.compile(
    r"\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html[\s>])",
    re.I | re.S,
)
_LOOKED_AT = 4096


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
    name = _READERS[format_name][1][0]
    return {"pptx": "python-pptx"}.get(name, name)


def is_html(text: str) -> bool:
    """Whether a text begins like an HTML page."""
    return _HTML.match(text[:_LOOKED_AT]) is not None
