"""Runs of a Word document whose look is their meaning, said in the way that mammoth reads: raised
by their style or their position, struck out twice, in a font of symbols, and blanks that indent."""

from __future__ import annotations

import re

from lxml import etree

from ktclient.documents.formats.office import xml
from ktclient.documents.formats.office.styles import Styles

BLANK, TAB = "\ufdd0", "\ufdd1"
"""In place of blanks and tabs that indent: HTML has none."""
_LEAST_SHIFT = 4
"""Half points."""
_LONGEST_LINE = 120
"""Characters of an indented line: verse or code; prose is longer, and its indent a habit."""
_SYMBOLS = re.compile(r"(?:Symbol|Wingdings(?: [23])?|Webdings)\Z")
_OWN = re.compile("[\uf020-\uf0ff]")


def mark(root: etree._Element, w: str, styles: Styles) -> None:
    """`w`: the namespace, in braces."""
    for paragraph in xml.named(root, "p"):
        if paragraph.tag != f"{w}p":
            continue
        runs = [one for one in xml.named(paragraph, "r") if xml.child(one, "t") is not None]
        positions = [_position(run) for run in runs]
        for run, position in zip(runs, positions, strict=True):
            _mark_run(run, w, styles, position if 0 in positions else 0)
        _indent(paragraph, w)


def shown(text: str) -> str:
    """The text with its blanks and tabs."""
    return text.replace(BLANK, " ").replace(TAB, "\t")


def _mark_run(run: etree._Element, w: str, styles: Styles, position: int) -> None:
    settings = xml.child(run, "rPr")
    if settings is None:
        return
    style = xml.value(xml.child(settings, "rStyle")) or ""
    if xml.child(settings, "vertAlign") is None:
        shift = styles.shift_of(style)
        if position:
            shift = "superscript" if position > 0 else "subscript"
        if shift is not None:
            etree.SubElement(settings, f"{w}vertAlign").set(f"{w}val", shift)
    if xml.child(settings, "strike") is None and (
        xml.is_on(xml.child(settings, "dstrike")) or styles.is_struck(style)
    ):
        etree.SubElement(settings, f"{w}strike")
    font = xml.value(xml.child(settings, "rFonts"), "ascii") or ""
    if _SYMBOLS.match(font):
        for words in [one for one in run if xml.local(one) == "t"]:
            _spell_symbols(words, w, font)


def _position(run: etree._Element) -> int:
    text = xml.value(xml.child(run, "rPr", "position")) or "0"
    number = int(text) if re.fullmatch(r"-?\d{1,4}", text) else 0
    return number if abs(number) >= _LEAST_SHIFT else 0


def _spell_symbols(words: etree._Element, w: str, font: str) -> None:
    text = words.text or ""
    if not _OWN.search(text):
        return
    made: list[etree._Element] = []
    for piece in re.split(f"({_OWN.pattern})", text):
        if _OWN.fullmatch(piece):
            symbol = etree.Element(f"{w}sym")
            symbol.set(f"{w}font", font)
            symbol.set(f"{w}char", f"{ord(piece):X}")
            made.append(symbol)
        elif piece:
            made.append(etree.Element(f"{w}t"))
            made[-1].text = piece
    xml.replace(words, *made)


def _indent(paragraph: etree._Element, w: str) -> None:
    """Mark the blanks at the beginning of its lines."""
    line: list[etree._Element] = []
    for one in [*paragraph.iter(f"{w}t", f"{w}tab", f"{w}br"), None]:
        if one is not None and one.tag != f"{w}br":
            above = one.getparent()
            if above is not None and xml.local(above) == "r":
                line.append(one)
            continue
        if sum(len(each.text or "") for each in line) <= _LONGEST_LINE:
            _indent_line(line, w)
        line = []


def _indent_line(line: list[etree._Element], w: str) -> None:
    for one in line:
        if one.tag == f"{w}tab":
            one.tag, one.text = f"{w}t", TAB
            continue
        text = one.text or ""
        blanks = len(text) - len(text.lstrip(" "))
        if blanks > 1 or (blanks and one is not line[0]):
            one.text = BLANK * blanks + text[blanks:]
        if blanks < len(text):
            return
