"""What a page's style sheets make of plain elements, where that is meaning: raised, lowered, struck
out. Books from InDesign and calibre have no `sup`, only a class."""

from __future__ import annotations

import re

import bs4

_COMMENT = re.compile(r"/\*(?:[^*]|\*(?!/))*(?:\*/|\Z)")
_CLASS = re.compile(r"[a-z0-9]*\.([\w-]+)", re.I)
_SHIFTED = re.compile(r"vertical-align\s*:\s*(super|sub)\b", re.I)
_STRUCK = re.compile(r"text-decoration(?:-line)?\s*:[^;]{0,80}line-through", re.I)
_PLAIN = ("a", "b", "em", "font", "i", "small", "span", "strong")
_MOST = 2_000_000
"""Characters of style sheets that are looked at."""


def sheets(soup: bs4.BeautifulSoup) -> str:
    """The style sheets within a page."""
    return "\n".join(one.get_text() for one in soup("style"))


def apply(soup: bs4.BeautifulSoup, sheet: str) -> None:
    """Make elements of what such classes and `style` attributes say."""
    of_class: dict[str, str] = {}
    for rule in _COMMENT.sub("", sheet[:_MOST]).split("}"):
        selectors, _, settings = rule.rpartition("{")
        if name := _element(settings):
            for one in selectors.rpartition("{")[2].split(","):
                if (found := _CLASS.fullmatch(one.strip())) is not None:
                    of_class[found.group(1)] = name
    for tag in soup(_PLAIN):
        classes = str(" ".join(tag.get("class") or [])).split()
        name = _element(str(tag.get("style", "")))
        name = name or next((of_class[one] for one in classes if one in of_class), "")
        if name:
            _make(tag, name)
    for tag in soup("strike"):
        tag.name = "del"


def _element(settings: str) -> str:
    if (found := _SHIFTED.search(settings)) is not None:
        return {"super": "sup"}.get(found.group(1).lower(), "sub")
    return "del" if _STRUCK.search(settings) else ""


def _make(tag: bs4.Tag, name: str) -> None:
    if tag.name != "a":
        tag.name = name
        return
    inner = bs4.Tag(name=name)
    for one in list(tag.children):
        inner.append(one)
    tag.append(inner)
