"""DOCX by mammoth, which supports styles, lists, tables and notes, and omits deleted text."""

from __future__ import annotations

import io

import mammoth

from ktclient.documents.formats import html, limits
from ktclient.documents.formats.left_out import LeftOut

_TITLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => h2:fresh"


def read(body: bytes) -> tuple[str, str]:
    """Markdown, without pictures. Raises `Unreadable`."""
    limits.archive(body)
    left = LeftOut()
    no_pictures = mammoth.images.img_element(lambda image: {})
    converted = mammoth.convert_to_html(
        io.BytesIO(body), style_map=_TITLES, convert_image=no_pictures
    )
    text = html.text_of(converted.value, left)
    if not text.strip():
        raise limits.Unreadable("contains no text, perhaps only pictures; run OCR on them first")
    return text, f"{len(text.split()):,} words{left.words()}"
