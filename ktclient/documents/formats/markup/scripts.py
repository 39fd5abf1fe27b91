"""Superscripts, subscripts and note marks of a page in characters: `10^6`, `x_(i+1)`, `text[1]`.

Without that `10<sup>6</sup>` is the number 106, and a note mark is a part of its word.
"""

from __future__ import annotations

import re

import bs4

from ktclient.documents.formats.formulas import script
from ktclient.documents.formats.markup import spans

_SYMBOL = re.compile(r"[*†‡§¶#‖]+")
_MARK = re.compile(r"\d{1,4}|[a-z]|[ivxlc]{1,5}|[*†‡§¶]{1,3}")
_NOTE_CLASS = re.compile(r"noteref|footnote|endnote|\breference\b|\bfn\b", re.I)
_SLASH = ("/", "\u2044", "\u2215")


def spell(soup: bs4.BeautifulSoup) -> None:
    """Replace all scripts and note marks of a page by text."""
    for tag in soup.find_all("sup"):
        _spell_fraction(tag)
    for tag in reversed(soup.find_all(["sup", "sub"])):
        spans.put(tag, _spelled(tag))
    for tag in soup.find_all("a"):
        if _is_note_link(tag):
            spans.put(tag, _bracketed(tag.get_text().strip()))
    for tag in soup.find_all("ruby"):
        _spell_ruby(tag)


def _spelled(tag: bs4.Tag) -> str:
    text = " ".join(tag.get_text().split())
    if not text:
        return ""
    before, after = _beside(tag, "previous"), _beside(tag, "next")
    is_label = not before.strip() and after[:1].isspace() and _MARK.fullmatch(text) is not None
    if tag.name == "sup" and (is_label or text.startswith("[") or _is_note(tag)):
        return _bracketed(text)
    return script.spelled(text, is_raised=tag.name == "sup", before=before, after=after)


def _beside(tag: bs4.Tag, side: str) -> str:
    """The text before or after a tag in its block, some characters of it."""
    here: bs4.element.PageElement | None = tag
    for _ in range(4):
        beside = getattr(here, f"{side}_sibling")
        while isinstance(beside, bs4.element.PreformattedString):  # a comment
            beside = getattr(beside, f"{side}_sibling")
        if beside is not None:
            text = beside.get_text() if isinstance(beside, bs4.Tag) else str(beside)
            return text[-40:] if side == "previous" else text[:40]
        here = here.parent if here is not None else None
        if here is None or getattr(here, "name", "") not in ("a", "b", "i", "em", "strong", "span"):
            return ""
    return ""


def _spell_fraction(above: bs4.Tag) -> None:
    """`<sup>1</sup>/<sub>2</sub>` is 1/2."""
    slash = above.next_sibling
    if not isinstance(slash, bs4.element.NavigableString) or slash.strip() not in _SLASH:
        return
    below = slash.next_sibling
    if isinstance(below, bs4.Tag) and below.name == "sub":
        space = " " if _beside(above, "previous")[-1:].isdigit() else ""
        spans.put(above, f"{space}{above.get_text().strip()}")
        spans.put(below, below.get_text().strip())


def _is_note(tag: bs4.Tag) -> bool:
    """Whether a superscript is the mark of a note: it links to a place, or says so."""
    links = [one for one in [tag.parent, *tag.find_all("a")] if one is not None and one.name == "a"]
    return any("#" in str(one.get("href", "")) or _says_note(one) for one in links) or (
        _says_note(tag)
    )


def _says_note(tag: bs4.Tag) -> bool:
    named = (tag.get("role"), tag.get("epub:type"), tag.get("type"), *(tag.get("class") or []))
    return any(_NOTE_CLASS.search(str(one)) for one in named if one)


def _is_note_link(tag: bs4.Tag) -> bool:
    """Whether a link is the mark of a note, also if it merely follows a word."""
    text = tag.get_text().strip()
    if not text or len(text) > 8:
        return False
    if "noteref" in f"{tag.get('epub:type', '')} {tag.get('role', '')}":
        return True
    before = _beside(tag, "previous")[-1:]
    return (
        "#" in str(tag.get("href", ""))
        and re.fullmatch(r"\d{1,4}|[*†‡§¶]{1,3}", text) is not None
        and bool(before)
        and not before.isspace()
        and before not in "([{/-\u2013—.#§"
    )


def _bracketed(text: str) -> str:
    if _SYMBOL.fullmatch(text) or (text[:1] in "([" and text[-1:] in ")]"):
        return text
    return f"[{text}]"


def _spell_ruby(ruby: bs4.Tag) -> None:
    """`漢字(kanji)`: how a word is read follows it."""
    if ruby.find("rp") is None:
        for reading in ruby.find_all("rt"):
            reading.insert(0, "(")
            reading.append(")")
