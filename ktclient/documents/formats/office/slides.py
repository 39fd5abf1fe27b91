"""A presentation made ready for python-pptx, which silently drops equations, shapes in alternative
content, and whether characters are raised."""

from __future__ import annotations

import re
import zipfile

from lxml import etree

from ktclient.documents.formats.formulas import omml, script
from ktclient.documents.formats.left_out import LeftOut
from ktclient.documents.formats.office import xml

_PARTS = re.compile(r"ppt/(?:slides|notesSlides)/[^/]+\.xml")
_COMMENTS = re.compile(r"ppt/comments/[^/]+\.xml")
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"


def prepared(book: zipfile.ZipFile, left: LeftOut) -> bytes:
    """The archive with its text where python-pptx reads it. `left` counts what stays unread."""
    changed: dict[str, bytes] = {}
    for name in book.namelist():
        is_slide = _PARTS.fullmatch(name) is not None
        if not is_slide and not _COMMENTS.fullmatch(name):
            continue
        try:
            root = xml.parse(book.read(name))
        except etree.XMLSyntaxError:
            continue  # python-pptx says what is wrong with it
        if not is_slide:
            left.add("comment", len(xml.named(root, "cm")))
            continue
        _choose_alternatives(root, left)
        _spell_equations(root)
        for paragraph in xml.named(root, "p"):
            _spell_scripts(paragraph)
            _mark_struck(paragraph)
        changed[name] = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return xml.rewritten(book, changed)


def _choose_alternatives(root: etree._Element, left: LeftOut) -> None:
    """The one with equations, else the one for all programs."""
    for one in xml.named(root, "AlternateContent"):
        choices = [each for each in one if xml.local(each) == "Choice"]
        fallback = xml.child(one, "Fallback")
        if any(xml.local(each) == "chart" and "chartex" in each.tag for each in one.iter()):
            left.add("chart")
            xml.replace(one)
        elif choices and (xml.named(choices[0], "oMath") or fallback is None or not len(fallback)):
            xml.replace(one, *choices[0])
        elif fallback is not None:
            xml.replace(one, *fallback)


def _spell_equations(root: etree._Element) -> None:
    for equation in xml.named(root, "oMath"):
        outer = equation
        for one in equation.iterancestors():
            if xml.local(one) not in ("oMathPara", "m"):
                break
            outer = one
        run = etree.Element(f"{_DRAWING}r")
        etree.SubElement(run, f"{_DRAWING}t").text = omml.text_of(equation)
        if outer is equation:
            xml.replace(equation, run)
        else:
            outer.addprevious(run)
    for box in xml.named(root, "m"):
        if not len(xml.named(box, "t")) or xml.named(box, "oMath"):
            above = box.getparent()
            if above is not None:
                above.remove(box)


def _spell_scripts(paragraph: etree._Element) -> None:
    """Runs that are raised or lowered alike are one script."""
    runs = [one for one in paragraph if xml.local(one) in ("r", "fld", "br")]
    shifts = [_shift(run) for run in runs]
    place = 0
    while place < len(runs):
        end = place + 1
        if shifts[place]:
            while end < len(runs) and shifts[end] == shifts[place]:
                end += 1
            _spell(runs, place, end, is_raised=shifts[place] > 0)
        place = end


def _mark_struck(paragraph: etree._Element) -> None:
    """What is struck out is `~~so~~`."""
    for run in paragraph:
        words = xml.child(run, "t")
        settings = xml.child(run, "rPr")
        if words is None or settings is None or settings.get("strike", "noStrike") == "noStrike":
            continue
        if inside := (words.text or "").strip():
            words.text = (words.text or "").replace(inside, f"~~{inside}~~", 1)


def _shift(run: etree._Element) -> int:
    text = xml.value(xml.child(run, "rPr"), "baseline") or "0"
    try:
        number = float(text.rstrip("%"))
    except ValueError:
        return 0
    return (number > 0) - (number < 0)


def _spell(runs: list[etree._Element], start: int, end: int, *, is_raised: bool) -> None:
    inside = "".join(_text(run) for run in runs[start:end])
    if not inside.strip():
        return
    words = inside.strip()
    before, after = (_text(runs[at]) if 0 <= at < len(runs) else "" for at in (start - 1, end))
    spelled = script.spelled(words, is_raised=is_raised, before=before, after=after)
    lead = inside[: len(inside) - len(inside.lstrip())]
    trail = inside[len(inside.rstrip()) :]
    for number, run in enumerate(runs[start:end]):
        words_of_run = xml.child(run, "t")
        if words_of_run is not None:
            words_of_run.text = f"{lead}{spelled}{trail}" if number == 0 else ""


def _text(run: etree._Element) -> str:
    words = xml.child(run, "t")
    return (words.text or "") if words is not None else ""
