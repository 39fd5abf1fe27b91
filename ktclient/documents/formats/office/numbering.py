"""The numbers that Word shows before paragraphs: `Article III.`, `(a)`, `2.1`.

They are nowhere in the text, and its references mean them. mammoth counts 1, 2, 3 in each list,
from 1 on after every interruption, and gives numbered headings none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lxml import etree

from ktclient.documents.formats import labels
from ktclient.documents.formats.office import xml
from ktclient.documents.formats.office.styles import Styles

_PLACE = re.compile(r"%([1-9])")
_MOST_LEVELS = 9


@dataclass
class _Level:
    start: int = 1
    kind: str = "decimal"
    text: str = ""
    is_legal: bool = False


@dataclass
class _List:
    """An instance of a list; `counts` is shared by all instances of a definition."""

    levels: dict[int, _Level]
    counts: dict[int, int]
    starts: dict[int, int] = field(default_factory=dict)
    """Where this instance begins anew, until it has."""
    of_style: dict[str, int] = field(default_factory=dict)


class Numbering:
    """Counts the numbered paragraphs of a document, in its order."""

    def __init__(self, root: etree._Element | None, styles: Styles) -> None:
        self._styles = styles
        self._lists = _lists(root) if root is not None else {}

    def label(self, paragraph: etree._Element) -> str | None:
        """What Word shows before it; None for a bullet or nothing."""
        name, level = self._place(paragraph)
        one = self._lists.get(name)
        if one is None or level not in one.levels:
            return None
        self._count(one, level)
        found = one.levels[level]
        return None if found.kind == "bullet" else self._written(one, found)

    def _place(self, paragraph: etree._Element) -> tuple[str, int]:
        """The list's id, "" for none, and the level in it."""
        settings = xml.child(paragraph, "pPr")
        if settings is None:
            return "", 0
        direct = xml.child(settings, "numPr")
        style = xml.value(xml.child(settings, "pStyle")) or ""
        name = _of(direct, "numId") or self._styles.list_of(style)
        if not name or name == "0":
            return "", 0
        level = _of(direct, "ilvl") or self._styles.level_of(style)
        if level is None and name in self._lists:
            level = str(self._lists[name].of_style.get(style, 0))
        return name, int(level) if level and level.isdecimal() else 0

    def _count(self, one: _List, level: int) -> None:
        for each in range(level):
            if each not in one.counts and each in one.levels:
                one.counts[each] = one.levels[each].start
        if level in one.starts:
            one.counts[level] = one.starts.pop(level)
        else:
            one.counts[level] = one.counts.get(level, one.levels[level].start - 1) + 1
        for deeper in [each for each in one.counts if each > level]:
            del one.counts[deeper]

    def _written(self, one: _List, level: _Level) -> str:
        def number(found: re.Match[str]) -> str:
            place = int(found.group(1)) - 1
            of_place = one.levels.get(place, level)
            kind = "decimal" if level.is_legal else of_place.kind
            return labels.written(one.counts.get(place, of_place.start), kind)

        return " ".join(_PLACE.sub(number, level.text).split())


def _lists(root: etree._Element) -> dict[str, _List]:
    definitions = {xml.value(one, "abstractNumId"): one for one in xml.named(root, "abstractNum")}
    by_style = {
        xml.value(xml.child(one, "styleLink")): one
        for one in definitions.values()
        if xml.child(one, "styleLink") is not None
    }
    counts: dict[str | None, dict[int, int]] = {}
    found: dict[str, _List] = {}
    for one in xml.named(root, "num"):
        name = xml.value(xml.child(one, "abstractNumId"))
        definition = definitions.get(name)
        if definition is None:
            continue
        link = xml.value(xml.child(definition, "numStyleLink"))
        definition = by_style.get(link, definition) if link else definition
        made = _List(_levels(definition), counts.setdefault(name, {}))
        for each in xml.named(definition, "lvl"):
            if style := xml.value(xml.child(each, "pStyle")):
                made.of_style[style] = _whole(xml.value(each, "ilvl"), 0)
        _override(made, one)
        found[xml.value(one, "numId") or ""] = made
    return found


def _levels(definition: etree._Element) -> dict[int, _Level]:
    found = {}
    for one in xml.named(definition, "lvl"):
        legal = xml.child(one, "isLgl")
        found[_whole(xml.value(one, "ilvl"), 0)] = _Level(
            _whole(xml.value(xml.child(one, "start")), 0),
            xml.value(xml.child(one, "numFmt")) or "decimal",
            xml.value(xml.child(one, "lvlText")) or "",
            legal is not None and xml.value(legal) not in ("0", "false"),
        )
    return {place: level for place, level in found.items() if place < _MOST_LEVELS}


def _override(made: _List, instance: etree._Element) -> None:
    for one in xml.named(instance, "lvlOverride"):
        place = _whole(xml.value(one, "ilvl"), 0)
        made.levels |= _levels(one)
        start = xml.child(one, "startOverride")
        if start is not None:
            made.starts[place] = _whole(xml.value(start), 1)


def _of(settings: etree._Element | None, name: str) -> str | None:
    return None if settings is None else xml.value(xml.child(settings, name))


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and re.fullmatch(r"\d{1,9}", text) else otherwise
