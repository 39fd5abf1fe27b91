"""Word's and PowerPoint's equations (OMML: ECMA-376, part 1, 22.1) on one line."""

from __future__ import annotations

from collections.abc import Callable

from lxml import etree

from ktclient.documents.formats.formulas import line
from ktclient.documents.formats.formulas.line import EMPTY, Piece
from ktclient.documents.formats.office import xml

_MOST_DEEP = 150


def text_of(equation: etree._Element) -> str:
    """An `m:oMath` as text."""
    return _row(equation, 0).text


def _row(element: etree._Element | None, depth: int) -> Piece:
    """The pieces in an element side by side; typed characters that follow one another are one."""
    if element is None:
        return EMPTY
    pieces: list[Piece] = []
    typed = ""
    for one in element:
        if xml.local(one) in ("r", "ins"):
            typed += "".join(text.text or "" for text in xml.named(one, "t"))
            continue
        pieces, typed = [*pieces, *line.split(typed)], ""
        pieces.append(_piece(one, depth + 1))
    return line.row([*pieces, *line.split(typed)])


def _piece(element: etree._Element, depth: int) -> Piece:
    name = xml.local(element)
    if not name or name.endswith("Pr") or name == "del":
        return EMPTY
    if depth > _MOST_DEEP:
        return Piece("".join(one.text or "" for one in xml.named(element, "t")))
    made = _BY_NAME.get(name)
    return _row(element, depth) if made is None else made(element, depth)


def _of(element: etree._Element, name: str, depth: int) -> Piece:
    return _row(xml.child(element, name), depth)


def _setting(element: etree._Element, name: str, other: str) -> str:
    """A property; `other` if it is not set. An empty one is an empty one."""
    found = xml.child(element, f"{xml.local(element)}Pr", name)
    given = xml.value(found)
    return other if given is None else given


def _fraction(element: etree._Element, depth: int) -> Piece:
    above, below = _of(element, "num", depth), _of(element, "den", depth)
    made = line.binomial if _setting(element, "type", "bar") == "noBar" else line.fraction
    return made(above, below)


def _root(element: etree._Element, depth: int) -> Piece:
    return line.root(_of(element, "e", depth), _of(element, "deg", depth))


def _scripts(element: etree._Element, depth: int) -> Piece:
    return line.scripts(*(_of(element, name, depth) for name in ("e", "sub", "sup")))


def _before(element: etree._Element, depth: int) -> Piece:
    marks = line.scripts(EMPTY, _of(element, "sub", depth), _of(element, "sup", depth))
    return Piece(marks.text + _of(element, "e", depth).text)


def _nary(element: etree._Element, depth: int) -> Piece:
    sign = Piece(_setting(element, "chr", "∫"))
    marked = line.scripts(sign, _of(element, "sub", depth), _of(element, "sup", depth))
    return Piece(f"{marked.text} {_of(element, 'e', depth).text}".strip())


def _fenced(element: etree._Element, depth: int) -> Piece:
    parts = [_row(one, depth) for one in element if xml.local(one) == "e"]
    if len(parts) == 1 and parts[0].text.startswith("binom("):
        return parts[0]
    opening, closing = _setting(element, "begChr", "("), _setting(element, "endChr", ")")
    return line.fenced(parts, opening, closing, _setting(element, "sepChr", "|"))


def _function(element: etree._Element, depth: int) -> Piece:
    name, inside = _of(element, "fName", depth), _of(element, "e", depth)
    space = "" if inside.text.startswith("(") else " "
    return Piece(f"{name.text}{space}{inside.text}")


def _limit(element: etree._Element, depth: int) -> Piece:
    below = EMPTY if xml.local(element) == "limUpp" else _of(element, "lim", depth)
    above = EMPTY if below.text else _of(element, "lim", depth)
    return line.scripts(_of(element, "e", depth), below, above)


def _accent(element: etree._Element, depth: int) -> Piece:
    base, mark = _of(element, "e", depth), _setting(element, "chr", "\u0302")
    return line.accent(base, mark) or line.scripts(base, EMPTY, Piece(mark))


def _bar(element: etree._Element, depth: int) -> Piece:
    name = "bar" if _setting(element, "pos", "bot") == "top" else "underline"
    return Piece(f"{name}({_of(element, 'e', depth).text})")


def _matrix(element: etree._Element, depth: int) -> Piece:
    rows = [one for one in element if xml.local(one) == "mr"]
    return line.matrix(
        [[_row(cell, depth) for cell in one if xml.local(cell) == "e"] for one in rows]
    )


def _equations(element: etree._Element, depth: int) -> Piece:
    lines = [_row(one, depth).text for one in element if xml.local(one) == "e"]
    return Piece("; ".join(text.replace("&", "") for text in lines))


def _phantom(element: etree._Element, depth: int) -> Piece:
    return EMPTY if _setting(element, "show", "1") in ("0", "off") else _of(element, "e", depth)


_BY_NAME: dict[str, Callable[[etree._Element, int], Piece]] = {
    "f": _fraction,
    "rad": _root,
    "sSup": _scripts,
    "sSub": _scripts,
    "sSubSup": _scripts,
    "sPre": _before,
    "nary": _nary,
    "d": _fenced,
    "func": _function,
    "limLow": _limit,
    "limUpp": _limit,
    "acc": _accent,
    "bar": _bar,
    "m": _matrix,
    "eqArr": _equations,
    "phant": _phantom,
}
