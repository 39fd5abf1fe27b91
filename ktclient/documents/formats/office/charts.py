"""A chart's title, categories and numbers as a table: DrawingML (ECMA-376, part 1, 21.2) keeps with
each chart the values that it was last drawn with."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field

from lxml import etree

from ktclient.documents.formats.office import xml

_MOST_POINTS = 100_000
_DATE = re.compile(r"[ymd]{2}|\bd\b", re.I)
_EPOCH = datetime.datetime(1899, 12, 30)
"""Of Excel's days, which take 1900 for a leap year."""


@dataclass(frozen=True)
class Chart:
    """What a chart says. Each table: rows of cells, the first one with the names of its columns."""

    title: str
    kind: str
    """Such as "bar chart"."""
    tables: list[list[list[str]]] = field(default_factory=list)

    def heading(self) -> str:
        """Its kind and title on one line."""
        return f"Chart ({self.kind}){f': {self.title}' if self.title else ''}"


@dataclass(frozen=True)
class _Series:
    name: str
    categories: tuple[str, ...]
    values: tuple[str, ...]


def read(body: bytes) -> Chart | None:
    """None if it holds no numbers."""
    try:
        root = xml.parse(body)
    except etree.XMLSyntaxError:
        return None
    plots = [one for area in xml.named(root, "plotArea") for one in area if _series_of(one)]
    kinds = [re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", xml.local(one)).lower() for one in plots]
    series = [_series(one) for plot in plots for one in _series_of(plot)]
    series = [one for one in series if one.values]
    if not series:
        return None
    chart = xml.child(root, "chart")
    title = _title(chart) if chart is not None else ""
    return Chart(title, ", ".join(dict.fromkeys(kinds)), _tables(series, *_axes(root)))


def _series_of(plot: etree._Element) -> list[etree._Element]:
    return [one for one in plot if xml.local(one) == "ser"]


def _title(element: etree._Element) -> str:
    title = xml.child(element, "title")
    if title is None:
        return ""
    return " ".join(xml.texts(title)) or " ".join(_points(title))


def _axes(root: etree._Element) -> tuple[str, str]:
    """The titles of the categories' and of the values' axis."""
    categories = [_title(one) for one in xml.named(root, "catAx", "dateAx")]
    values = [_title(one) for one in xml.named(root, "valAx")]
    if not categories and len(values) > 1:  # of points, both are values
        return values[0], values[1]
    return "".join(categories[:1]), "".join(values[:1])


def _series(element: etree._Element) -> _Series:
    name = xml.child(element, "tx")
    categories = xml.child(element, "cat")
    if categories is None:
        categories = xml.child(element, "xVal")
    values = xml.child(element, "val")
    if values is None:
        values = xml.child(element, "yVal")
    return _Series(
        " ".join(_points(name)) if name is not None else "",
        tuple(_points(categories)) if categories is not None else (),
        tuple(_points(values)) if values is not None else (),
    )


def _points(element: etree._Element) -> list[str]:
    """The values in their order, with empty ones where there are gaps. Categories of several levels
    are joined."""
    levels = [_level(one) for one in xml.named(element, "lvl")]
    if levels:
        return [" / ".join(filter(None, parts)) for parts in zip(*reversed(levels), strict=False)]
    return _level(element)


def _level(element: etree._Element) -> list[str]:
    points = xml.named(element, "pt")
    if not points:
        return [
            one.text.strip() for one in xml.named(element, "v") if one.text and one.text.strip()
        ]
    form = next((one.text or "" for one in xml.named(element, "formatCode")), "")
    found = {}
    for place, point in enumerate(points):
        text = next((one.text or "" for one in xml.named(point, "v")), "")
        index = point.get("idx", "")
        found[int(index) if index.isdigit() else place] = _number(text, form)
    count = min(max(found) + 1, _MOST_POINTS)
    return [found.get(place, "") for place in range(count)]


def _number(text: str, form: str) -> str:
    """A number without the noise of its last bits, and a day as such."""
    try:
        number = float(text)
    except ValueError:
        return " ".join(text.split())
    if _DATE.search(re.sub(r'\[[^\]]*\]|"[^"]*"', "", form)) and 0 < number < 2_958_466:
        day = _EPOCH + datetime.timedelta(days=number)
        return day.date().isoformat() if number == int(number) else day.isoformat(" ", "minutes")
    return f"{number:.12g}" if abs(number) < 1e15 else text


def _tables(series: list[_Series], categories: str, values: str) -> list[list[list[str]]]:
    """One for all series with the same categories."""
    made: dict[tuple[str, ...], list[_Series]] = {}
    for one in series:
        made.setdefault(one.categories, []).append(one)
    tables = []
    for keys, members in made.items():
        names = [one.name or values or "value" for one in members]
        length = max(len(one.values) for one in members)
        rows = [[categories, *names]]
        for place in range(length):
            key = keys[place] if place < len(keys) else str(place + 1)
            rows.append([key, *(_at(one.values, place) for one in members)])
        tables.append(rows)
    return tables


def _at(values: tuple[str, ...], place: int) -> str:
    return values[place] if place < len(values) else ""
