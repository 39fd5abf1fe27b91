"""DOCX by mammoth, which supports styles, lists, tables and notes, and omits deleted text."""

from __future__ import annotations

import io
import re

import mammoth

from ktclient.documents.formats import html, limits
from ktclient.documents.formats.left_out import LeftOut
from ktclient.documents.formats.markup import lists
from ktclient.documents.formats.office import runs, word

_TITLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => h2:fresh"
_IGNORED = re.compile(r"An unrecognised element was ignored: (\S+)")
_HARMLESS = re.compile(
    r"w:(?:perm|customXml|bookmark|moveFrom|moveTo|comment)\w*|\{.*|[vo]:.*|office-word:.*|w10:.*"
    r"|w:(?:separator|continuationSeparator|tblPrEx|fldData|pgNum|background|rubyPr|altChunk|subDoc)"
)
"""Elements without words, and those that word.py counts."""


def read(body: bytes) -> tuple[str, str]:
    """Markdown, without pictures. Raises `Unreadable`."""
    left = LeftOut()
    prepared = word.prepared(limits.archive(body), left)
    no_pictures = mammoth.images.img_element(lambda image: {})
    converted = mammoth.convert_to_html(
        io.BytesIO(prepared), style_map=_TITLES, convert_image=no_pictures
    )
    text = runs.shown(lists.unmarked(html.text_of(converted.value, left)))
    if not text.strip():
        raise limits.Unreadable("contains no text, perhaps only pictures; run OCR on them first")
    for message in converted.messages:
        found = _IGNORED.match(message.message)
        if found is not None and not _HARMLESS.fullmatch(found.group(1)):
            left.add(f"{found.group(1)} element")
        left.add("symbol", int("A w:sym element" in message.message))
    return text, f"{len(text.split()):,} words{left.words()}"
