"""PPTX by python-pptx: each slide under its title, with tables and notes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

import pptx

from ktclient.documents.formats import limits


def read(body: bytes) -> tuple[str, str]:
    """Markdown with a heading for each slide. Raises `Unreadable`."""
    limits.archive(body)
    slides = list(pptx.Presentation(io.BytesIO(body)).slides)
    texts = ["\n\n".join(_slide(number, slide)) for number, slide in enumerate(slides, 1)]
    if not any(part for slide in slides for part in _parts(slide.shapes)):
        raise limits.Unreadable(f"contains no text on its {len(slides):,} slides, only pictures")
    return "\n\n".join(texts), f"{len(slides):,} slide{'' if len(slides) == 1 else 's'}"


def _slide(number: int, slide: Any) -> Iterator[str]:
    title = slide.shapes.title
    words = " ".join(title.text_frame.text.split()) if title is not None else ""
    yield f"# Slide {number}: {words}" if words else f"# Slide {number}"
    yield from _parts(shape for shape in slide.shapes if title is None or shape != title)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = slide.notes_slide.notes_text_frame.text.strip()
        if notes:
            yield f"Notes: {notes}"


def _parts(shapes: Iterable[Any]) -> Iterator[str]:
    for shape in shapes:
        if hasattr(shape, "shapes"):  # a group
            yield from _parts(shape.shapes)
        elif getattr(shape, "has_table", False):
            yield "\n".join(_row(row) for row in shape.table.rows)
        elif shape.has_text_frame and shape.text_frame.text.strip():
            yield "\n".join(
                f"{'  ' * line.level}- {line.text}" if line.level else line.text
                for line in shape.text_frame.paragraphs
            )


def _row(row: Any) -> str:
    return "| " + " | ".join(" ".join(cell.text.split()) for cell in row.cells) + " |"
