"""What the styles of a Word document say of lists and characters; mammoth reads only what a
paragraph or a run says itself."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from ktclient.documents.formats.office import xml

_MOST_BASES = 20


class Styles:
    """The styles of a document, each with those that it is based on."""

    def __init__(self, root: etree._Element | None) -> None:
        found = xml.named(root, "style") if root is not None else []
        self._by_id = {xml.value(one, "styleId") or "": one for one in found}

    def list_of(self, style: str) -> str | None:
        """The id of the list that paragraphs of a style are in."""
        return self._first(style, "pPr", "numPr", "numId")

    def level_of(self, style: str) -> str | None:
        """Their level in it."""
        return self._first(style, "pPr", "numPr", "ilvl")

    def shift_of(self, style: str) -> str | None:
        """How a run of a style is shifted: "superscript" or "subscript"."""
        return self._first(style, "rPr", "vertAlign")

    def is_struck(self, style: str) -> bool:
        """Whether a run of a style is struck out."""
        return any(
            xml.is_on(xml.child(one, "rPr", name))
            for one in self._chain(style)
            for name in ("strike", "dstrike")
        )

    def _first(self, style: str, *path: str) -> str | None:
        found = (xml.value(xml.child(one, *path)) for one in self._chain(style))
        return next((one for one in found if one is not None), None)

    def _chain(self, style: str) -> Iterator[etree._Element]:
        for _ in range(_MOST_BASES):
            one = self._by_id.get(style)
            if one is None:
                return
            yield one
            style = xml.value(xml.child(one, "basedOn")) or ""
