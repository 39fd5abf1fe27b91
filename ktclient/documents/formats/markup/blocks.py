"""Blocks, form fields and pictures of a page as text: what a browser sets apart stays apart."""

from __future__ import annotations

import bs4

from ktclient.documents.formats.left_out import LeftOut, described
from ktclient.documents.formats.markup import spans

NAMES = (
    *("address", "article", "aside", "body", "center", "details", "dialog", "dir", "div"),
    *("fieldset", "figure", "footer", "form", "header", "hgroup", "legend", "main", "menu", "nav"),
    *("optgroup", "option", "search", "section", "summary"),
)
"""Elements that begin on a new line, besides those that have a form of their own in Markdown."""
_LOST = {
    "audio": "recording",
    "canvas": "drawing",
    "embed": "embedded object",
    "iframe": "embedded page",
    "object": "embedded object",
    "svg": "drawing",
    "video": "video",
}
_OF_CODE = frozenset({"a", "b", "code", "em", "font", "i", "span", "strong"})
"""Elements that only colour code."""
_UNSEEN = ("script", "style", "template", "noscript")
_TYPED = ("text", "search", "email", "url", "tel", "number", "date", "time", "month", "week", "")


def take_out(soup: bs4.BeautifulSoup, left: LeftOut) -> None:
    """Remove what has no text for a reader, and count what a person would have seen."""
    for tag in soup(_UNSEEN):
        spans.put(tag, "")
    for tag in soup(list(_LOST)):
        if tag.parent is not None:  # else it was in another one
            left.add(_LOST[tag.name])
            spans.put(tag, "")


def describe_pictures(soup: bs4.BeautifulSoup, left: LeftOut) -> None:
    """Put the description of each picture in its place; count those without."""
    for tag in soup("img"):
        alt = described(str(tag.get("alt", "")))
        if "mwe-math" in str(tag.get("class")):
            box = tag.find_parent(class_="mwe-math-element")
            spans.put(tag, "" if box is not None and _has_formula(box) else f"${alt}$")
        elif alt:
            is_symbol = len(alt) <= 2 and not alt.isascii()  # an emoji
            spans.put(tag, alt if is_symbol else f"[picture: {alt}]")
        else:
            is_seen = "1" not in (tag.get("width"), tag.get("height"))  # else it counts readers
            left.add("picture", int(is_seen and tag.get("aria-hidden") != "true"))
            spans.put(tag, "")


def separate(soup: bs4.BeautifulSoup) -> None:
    """Make each block one that its neighbours are not glued to."""
    _show_form(soup)
    for tag in soup("pre"):
        if all(one.name in _OF_CODE for one in tag(True)):
            text = tag.get_text()  # markdownify drops blank lines between elements
            tag.clear()
            tag.append(text)
    for tag in soup(["textarea", "progress", "meter"]):
        tag.insert(0, " ")
        tag.append(" ")
    for tag in soup(["a", "button", "label"]):
        if isinstance(tag.next_sibling, bs4.Tag) and tag.next_sibling.name == tag.name:
            tag.append(" ")
    for tag in soup(NAMES):
        if tag.name != "body":
            tag.name = "div"


def _show_form(soup: bs4.BeautifulSoup) -> None:
    """What a form is filled with."""
    for tag in soup("input"):
        kind, value = str(tag.get("type", "")).lower(), str(tag.get("value", "")).strip()
        if kind in ("checkbox", "radio"):
            spans.put(tag, "[x] " if tag.has_attr("checked") else "[ ] ")
        elif kind in _TYPED and value:
            spans.put(tag, f" {value} ")
    for tag in soup("select"):
        if tag.find("option", selected=True) is not None:
            for option in tag("option", selected=False):
                spans.put(option, "")


def _has_formula(box: bs4.Tag) -> bool:
    return bool(box.get_text(strip=True)) or box.find("math") is not None
