"""Numbered lists of a page with the numbers that a browser shows: a text refers to "6(a)"."""

from __future__ import annotations

import re

import bs4

from ktclient.documents.formats import labels

_KINDS = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_STYLES = {
    "lower-alpha": "lowerLetter",
    "lower-latin": "lowerLetter",
    "upper-alpha": "upperLetter",
    "upper-latin": "upperLetter",
    "lower-roman": "lowerRoman",
    "upper-roman": "upperRoman",
    "none": "",
}
_STYLE = re.compile(r"list-style(?:-type)?\s*:[^;]{0,60}?([a-z-]+)", re.I)
LABEL = "ktjob-label"
"""The attribute that holds an item's number as it is shown."""
_BEGIN, _END = "\ufdd2", "\ufdd3"
_MARKED = re.compile(f"{_BEGIN}([^{_BEGIN}{_END}]*){_END}")


def marked(label: str) -> str:
    """A label at the beginning of a paragraph, on its way through HTML."""
    return f"{_BEGIN}{label}{_END}"


def unmarked(text: str) -> str:
    """Labels of paragraphs that are in no list become words."""
    return _MARKED.sub(lambda found: f"{found.group(1)} " if found.group(1) else "", text)


def number(soup: bs4.BeautifulSoup) -> None:
    """Give each item of a numbered list its label."""
    for one in soup.find_all("ol"):
        items = one.find_all("li", recursive=False)
        is_down = one.has_attr("reversed")
        value = _whole(one.get("start"), len(items) if is_down else 1)
        kind = _kind(one)
        for item in items:
            value = _whole(item.get("value"), value)
            item[LABEL] = f"{labels.written(value, kind)}." if kind else ""
            value += -1 if is_down else 1
    for item in soup.find_all("li"):
        first = item.find(string=True)
        if first is not None and (found := _MARKED.match(first)) is not None:
            if first.find_parent("li") is item:
                item[LABEL] = found.group(1)
                first.replace_with(first[found.end() :])
            else:  # mammoth's own, around an item of a deeper level
                item[LABEL] = ""


def _kind(one: bs4.Tag) -> str:
    """The name of the format in Word; "" if no numbers are shown."""
    found = _STYLE.search(str(one.get("style", "")))
    if found is not None and found.group(1).lower() in _STYLES:
        return _STYLES[found.group(1).lower()]
    return _KINDS.get(str(one.get("type", "")), "decimal")


def _whole(text: object, otherwise: int) -> int:
    found = re.fullmatch(r"\s*(-?\d{1,9})\s*", str(text))
    return int(found.group(1)) if found is not None else otherwise
