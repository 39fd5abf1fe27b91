"""Tables of a page with each cell in its column: cells that span rows leave empty ones below."""

from __future__ import annotations

import bs4

_CELLS = ("td", "th")
_OWN = ("thead", "tbody", "tfoot", "tr", *_CELLS)
_MOST_SPANNED = 1000
FIRST = "ktjob-first"
"""The attribute of the first row of a table: the line below the head is below no other."""


def align(soup: bs4.BeautifulSoup) -> None:
    """Fill up each table of data; what only lays out a page (a table with tables in it, with one
    cell, or said to be one) becomes blocks of text."""
    for table in soup.find_all("table"):
        if _is_layout(table):
            _make_blocks(table)
    for table in soup.find_all("table"):
        _end_with_foot(table)
        _fill(table)


def _is_layout(table: bs4.Tag) -> bool:
    if table.get("role") in ("presentation", "none") or table.find("table") is not None:
        return True
    return len(table.find_all(_CELLS, limit=2)) < 2


def _make_blocks(table: bs4.Tag) -> None:
    for tag in table.find_all(_OWN):
        if tag.find_parent("table") is table:
            tag.name, tag.attrs = "div", {}
    for caption in table.find_all("caption", recursive=False):
        caption.name = "div"
    table.name, table.attrs = "div", {}


def _end_with_foot(table: bs4.Tag) -> None:
    """A browser shows the foot last, wherever it is written; markdownify takes it for a head."""
    feet = table.find_all("tfoot", recursive=False)
    for foot in feet:
        foot.name = "tbody"
    if len(feet) == 1 and feet[0].find_next_sibling(["tbody", "tr"]) is not None:
        table.append(feet[0].extract())


def _fill(table: bs4.Tag) -> None:
    rows = table.find_all("tr")
    for row in rows[:1]:
        row[FIRST] = ""
    widths = []
    group: bs4.Tag | None = None
    held: dict[int, int] = {}
    for row in rows:
        if row.parent is not group:  # a span ends with its group
            group, held = row.parent, {}
        widths.append(_fill_row(row, held))
    if rows and widths[0] < max(widths):
        for _ in range(min(max(widths), _MOST_SPANNED) - widths[0]):
            rows[0].append(_empty("th" if rows[0].find("th") else "td"))


def _fill_row(row: bs4.Tag, held: dict[int, int]) -> int:
    """Insert a cell below each one that spans this row. `held`: column -> rows that it is taken
    for; changed. Returns the number of columns."""
    column = 0
    for cell in row.find_all(_CELLS, recursive=False):
        while held.get(column):
            cell.insert_before(_empty("td"))
            held[column] -= 1
            column += 1
        down = _span(cell, "rowspan")
        for _ in range(_span(cell, "colspan") or 1):
            held[column] = (down if down else 65_534) - 1
            column += 1
    for place in sorted(place for place, left in held.items() if left and place >= column):
        while column <= place:
            row.append(_empty("td"))
            if held.get(column):
                held[column] -= 1
            column += 1
    return column


def _span(cell: bs4.Tag, name: str) -> int:
    text = str(cell.get(name, "1")).strip()
    return min(int(text), _MOST_SPANNED) if text.isascii() and text.isdigit() else 1


def _empty(name: str) -> bs4.Tag:
    return bs4.Tag(name=name)
