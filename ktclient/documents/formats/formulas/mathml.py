"""MathML as text: its TeX, if the page gives that too, else on one line.

The libraries on PyPI for this (mathml-to-latex, mml2tex) have had one release each.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import bs4

from ktclient.documents.formats.formulas import line
from ktclient.documents.formats.formulas.line import EMPTY, Piece
from ktclient.documents.formats.markup import spans

_TEX = re.compile("tex", re.I)
_STYLE = re.compile(r"\{\\(?:displaystyle|textstyle)\s(.*)\}", re.S)
_TEXTUAL = ("mi", "mn", "mo", "mtext", "ms", "ci", "cn", "csymbol")
_SILENT = ("annotation", "annotation-xml", "mphantom", "mprescripts", "none", "maligngroup")
_MOST_DEEP = 150


def spell(soup: bs4.BeautifulSoup) -> None:
    """Replace each formula of a page by its text; a formula on a line of its own stays there."""
    for math in [tag for tag in soup.find_all(True) if _name(tag) == "math"]:
        if math.parent is None:  # it was in another one
            continue
        text = _tex(math) or _row(math, 0).text
        if math.get("display") == "block" or math.get("mode") == "display":
            math.name, math.attrs = "div", {}
            math.clear()
            math.append(text)
        else:
            spans.put(math, text)


def _tex(math: bs4.Tag) -> str:
    for note in math.find_all(["annotation", "m:annotation", "mml:annotation"]):
        if _TEX.search(str(note.get("encoding", ""))):
            found = note.get_text().strip()
            break
    else:
        found = str(math.get("alttext", "")).strip()
        if "\\" not in found:  # words for a screen reader
            return ""
    if whole := _STYLE.fullmatch(found):
        found = whole.group(1).strip()
    return f"${' '.join(found.split())}$" if found.strip("$ ") else ""


def _name(tag: bs4.Tag) -> str:
    return tag.name.rpartition(":")[2].lower()


def _children(tag: bs4.Tag) -> list[bs4.Tag]:
    return [one for one in tag.children if isinstance(one, bs4.Tag)]


def _row(tag: bs4.Tag, depth: int) -> Piece:
    pieces: list[Piece] = []
    for one in tag.children:
        if isinstance(one, bs4.Tag):
            pieces.append(_piece(one, depth + 1))
        elif type(one) is bs4.element.NavigableString and one.strip():
            pieces.append(line.symbols(" ".join(one.split())))
    return line.row(pieces)


def _piece(tag: bs4.Tag, depth: int) -> Piece:
    name = _name(tag)
    if name in _SILENT:
        return EMPTY
    if depth > _MOST_DEEP:
        return Piece(" ".join(tag.get_text(" ").split()))
    if name in _TEXTUAL:
        text = " ".join(tag.get_text().split())
        return Piece(f" {text} ") if name == "mtext" and text else line.symbols(text)
    if name == "mspace":
        return Piece(" ")
    if name in ("semantics", "maction"):
        inner = _children(tag)
        return _piece(inner[0], depth + 1) if inner else _row(tag, depth)
    made = _BY_NAME.get(name)
    return _row(tag, depth) if made is None else made(tag, depth)


def _arguments(tag: bs4.Tag, depth: int, number: int) -> list[Piece]:
    found = [_piece(one, depth + 1) for one in _children(tag)[:number]]
    return found + [EMPTY] * (number - len(found))


def _fraction(tag: bs4.Tag, depth: int) -> Piece:
    above, below = _arguments(tag, depth, 2)
    if re.fullmatch(r"0[a-z.0%]*", str(tag.get("linethickness", ""))):
        return line.binomial(above, below)
    return line.fraction(above, below)


def _root(tag: bs4.Tag, depth: int) -> Piece:
    inside, degree = _arguments(tag, depth, 2)
    return line.root(inside, degree)


def _above(tag: bs4.Tag, depth: int) -> Piece:
    base, above = _arguments(tag, depth, 2)
    return line.accent(base, above.text) or line.scripts(base, EMPTY, above)


def _sup(tag: bs4.Tag, depth: int) -> Piece:
    base, above = _arguments(tag, depth, 2)
    return line.scripts(base, EMPTY, above)


def _both(tag: bs4.Tag, depth: int) -> Piece:
    base, below, above = _arguments(tag, depth, 3)
    return line.scripts(base, below, above)


def _many(tag: bs4.Tag, depth: int) -> Piece:
    """`mmultiscripts`: the base, pairs behind it, and after `mprescripts` pairs before it."""
    inner = _children(tag)
    pieces = [_piece(one, depth + 1) for one in inner]
    marks = [place for place, one in enumerate(inner) if _name(one) == "mprescripts"]
    end = marks[0] if marks else len(inner)
    made = pieces[0] if pieces else EMPTY
    for place in range(1, end, 2):
        made = line.scripts(made, *pieces[place : min(place + 2, end)])
    before = [
        line.scripts(EMPTY, *pieces[place : place + 2]) for place in range(end + 1, len(pieces), 2)
    ]
    return Piece("".join(one.text for one in [*before, made]))


def _table(tag: bs4.Tag, depth: int) -> Piece:
    lines = [one for one in _children(tag) if _name(one) in ("mtr", "mlabeledtr")]
    cells = [[_row(cell, depth + 2) for cell in _children(one)] for one in lines]
    return line.matrix(cells)


def _fenced(tag: bs4.Tag, depth: int) -> Piece:
    parts = [_piece(one, depth + 1) for one in _children(tag)]
    between = (str(tag.get("separators", ",")).split() or [""])[0][:1]
    return line.fenced(parts, str(tag.get("open", "(")), str(tag.get("close", ")")), between or " ")


def _enclosed(tag: bs4.Tag, depth: int) -> Piece:
    inside = _row(tag, depth)
    return line.root(inside) if "radical" in str(tag.get("notation", "")) else inside


def _apply(tag: bs4.Tag, depth: int) -> Piece:
    """Content MathML: `plus(x, 1)`."""
    inner = _children(tag)
    if not inner:
        return EMPTY
    function = _piece(inner[0], depth + 1).text or _name(inner[0])
    rest = ", ".join(_piece(one, depth + 1).text for one in inner[1:])
    return Piece(f"{function}({rest})")


_BY_NAME: dict[str, Callable[[bs4.Tag, int], Piece]] = {
    "mfrac": _fraction,
    "msqrt": lambda tag, depth: line.root(_row(tag, depth)),
    "mroot": _root,
    "msup": _sup,
    "mover": _above,
    "msub": lambda tag, depth: line.scripts(*_arguments(tag, depth, 2)),
    "munder": lambda tag, depth: line.scripts(*_arguments(tag, depth, 2)),
    "msubsup": _both,
    "munderover": _both,
    "mmultiscripts": _many,
    "mtable": _table,
    "mfenced": _fenced,
    "menclose": _enclosed,
    "apply": _apply,
}
