"""PPTX by python-pptx: each slide under its title, with tables, charts and notes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pptx
from lxml import etree

from ktclient import wording
from ktclient.documents.formats import labels, limits
from ktclient.documents.formats.left_out import LeftOut, described
from ktclient.documents.formats.office import charts, slides, xml


def read(body: bytes) -> tuple[str, str]:
    """Markdown with a heading for each slide. Raises `Unreadable`."""
    left = LeftOut()
    prepared = slides.prepared(limits.archive(body), left)
    reader = _Reader(left)
    found = list(pptx.Presentation(io.BytesIO(prepared)).slides)
    texts = ["\n\n".join(reader.slide(number, slide)) for number, slide in enumerate(found, 1)]
    if not reader.has_parts:
        raise limits.Unreadable(f"contains no text on its {len(found):,} slides, only pictures")
    return "\n\n".join(texts), f"{wording.count(len(found), 'slide')}{left.words()}"


class _Reader:
    """Reads slides, and counts what is left out."""

    def __init__(self, left: LeftOut) -> None:
        self._left = left
        self.has_parts = False
        """Whether any slide has more than a number."""

    def slide(self, number: int, slide: Any) -> Iterator[str]:
        title = slide.shapes.title
        words = " ".join(title.text_frame.text.split()) if title is not None else ""
        self.has_parts |= bool(words)
        yield f"# Slide {number}: {words}" if words else f"# Slide {number}"
        for part in self._parts(slide.shapes, slide.part, title):
            self.has_parts = True
            yield part
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            notes = slide.notes_slide.notes_text_frame.text.strip()
            if notes:
                yield f"Notes: {notes}"

    def _parts(self, shapes: Iterable[Any], part: Any, title: Any = None) -> Iterator[str]:
        for shape in shapes:
            if title is not None and shape == title:
                continue
            if hasattr(shape, "shapes"):  # a group
                yield from self._described(shape, "drawing")
                yield from self._parts(shape.shapes, part)
            elif getattr(shape, "has_table", False):
                yield from self._described(shape, "table")
                yield "\n".join(_row([cell.text for cell in row.cells]) for row in shape.table.rows)
            elif shape.has_text_frame and shape.text_frame.text.strip():
                yield "\n".join(_lines(shape.text_frame.paragraphs))
            else:
                yield from self._graphic(shape, part)

    def _graphic(self, shape: Any, part: Any) -> Iterator[str]:
        """What is neither text nor a table."""
        element = shape._element
        if getattr(shape, "has_chart", False):
            yield from self._described(shape, "chart")
            yield from self._chart(shape.chart.part.blob)
        elif xml.named(element, "relIds"):
            yield from self._described(shape, "diagram")
            yield from self._diagram(element, part)
        elif xml.named(element, "oleObj"):
            yield from self._counted(shape, "embedded object")
        elif xml.named(element, "videoFile", "audioFile"):
            yield from self._counted(shape, "recording")
        elif xml.named(element, "blip") or xml.local(element) == "pic":
            yield from self._counted(shape, "picture")
        else:
            yield from self._described(shape, "shape")

    def _chart(self, body: bytes) -> Iterator[str]:
        chart = charts.read(body)
        if chart is None:
            self._left.add("chart")
            return
        yield chart.heading()
        for rows in chart.tables:
            line = "| " + " | ".join("---" for _ in rows[0]) + " |"
            yield "\n".join([_row(rows[0]), line, *map(_row, rows[1:])])

    def _diagram(self, element: Any, part: Any) -> Iterator[str]:
        try:
            target = xml.target(xml.named(element, "relIds")[0], "dm")
            words = xml.texts(xml.parse(part.related_part(target).blob))
        except (KeyError, etree.XMLSyntaxError):
            words = []
        if words:
            yield "\n".join(f"- {text}" for text in words)
        else:
            self._left.add("diagram")

    def _counted(self, shape: Any, noun: str) -> Iterator[str]:
        found = list(self._described(shape, noun))
        self._left.add(noun, int(not found or noun != "picture"))
        yield from found

    def _described(self, shape: Any, noun: str) -> Iterator[str]:
        """The description for those who do not see it."""
        named = next(iter(xml.named(shape._element, "cNvPr")), None)
        words = described(str(named.get("descr", ""))) if named is not None else ""
        if words:
            self.has_parts = True
            yield f"[{noun}: {words}]"


def _lines(paragraphs: Iterable[Any]) -> Iterator[str]:
    """The paragraphs of a shape, with the numbers that PowerPoint shows. A line end within one is a
    vertical tab in python-pptx."""
    numbers: dict[int, int] = {}
    for line in paragraphs:
        text, level = line.text.replace("\v", "\n"), line.level
        numbers = {one: number for one, number in numbers.items() if one <= level}
        numbering = xml.child(line._p, "pPr", "buAutoNum")
        if numbering is None or not text.strip():
            numbers.pop(level, None)
            yield f"{'  ' * level}- {text}" if level else text
            continue
        start = numbering.get("startAt", "1")
        numbers[level] = numbers.get(level, int(start if start.isdecimal() else 1) - 1) + 1
        yield f"{'  ' * level}{_label(numbers[level], numbering.get('type', ''))} {text}"


_NUMBERED = {"alphaLc": "lowerLetter", "alphaUc": "upperLetter"}
_NUMBERED |= {"romanLc": "lowerRoman", "romanUc": "upperRoman"}


def _label(number: int, scheme: str) -> str:
    """By the name of PowerPoint's scheme, such as alphaLcParenR: `c)`."""
    kind = next((scheme[: len(one)] for one in _NUMBERED if scheme.startswith(one)), "")
    text = labels.written(number, _NUMBERED.get(kind, "decimal"))
    if scheme.endswith("ParenBoth"):
        return f"({text})"
    return f"{text})" if scheme.endswith("ParenR") else f"{text}."


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", r"\|") for cell in cells) + " |"
