"""Formulas on one line: `(a + b)/2`, `x_i^2`, `sqrt(x)`, as UnicodeMath and TeX write them.

MathML and Word's equations are read into these pieces. A part is put in parentheses where the line
would else read differently.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_BINARY = frozenset(
    "=+-\u2212±∓\u00d7\u22c5·÷<>≤≥≠≈≡\u223c≅∝→←↔⇒⇐⇔↦∈∉⊂⊆⊃⊇\u222a∩\u2227\u2228\u2216≪≫:"
)
_AFTER = frozenset(",;")
_OPENING, _CLOSING = frozenset("([{⟨⌈⌊"), frozenset(")]}⟩⌉⌋!\u2032″%")
_PARTS = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|\s+|.", re.S)
_ATOM = re.compile(r"[-\u2212+]?\d+(?:[.,]\d+)*|[^\W\d_]+|.", re.S)
_SCRIPT = re.compile(r"[_^](?:[^()\s]*|\([^()]*\))$")
_INVISIBLE = {"\u2061": " ", "\u2062": "", "\u2063": ",", "\u2064": " "}
"""Function application, times, separator, plus (of 2½)."""
_ACCENTS = {
    **dict.fromkeys("¯\u203e̅̄_", "bar"),
    **dict.fromkeys("^\u02c6̂", "hat"),
    **dict.fromkeys("~\u02dc̃", "tilde"),
    **dict.fromkeys("→⃗", "vec"),
    **dict.fromkeys("˙̇", "dot"),
    **dict.fromkeys("¨̈", "ddot"),
}


@dataclass(frozen=True)
class Piece:
    """A part of a formula on one line."""

    text: str
    is_fraction: bool = False
    """Has a slash that binds less than what may stand beside it."""


EMPTY = Piece("")


def row(pieces: Iterable[Piece]) -> Piece:
    """One after another: operators between spaces, other things side by side."""
    given = [piece for piece in pieces if piece.text]
    if len(given) == 1:
        return given[0]
    line = ""
    for place, piece in enumerate(given):
        text = piece.text
        if (
            place
            and text[0].isalnum()
            and (line[-1:].isalnum() or line[-1:] == ")")
            and _SCRIPT.search(given[place - 1].text)
        ):
            line += " "
        if piece.is_fraction and _touches(given, place):
            text = f"({text})"
        line = _joined(line, text)
    return Piece(re.sub(" {2,}", " ", line).strip())


def split(text: str) -> list[Piece]:
    """Characters as they are typed, such as `E=mc`: numbers, names and operators."""
    found = "".join(_INVISIBLE.get(character, character) for character in text)
    return [Piece(part) for part in _PARTS.findall(found)]


def symbols(text: str) -> Piece:
    """The same as one piece."""
    return row(split(text))


def fraction(above: Piece, below: Piece) -> Piece:
    """`a/b`."""
    return Piece(f"{_closed(above)}/{_closed(below)}", is_fraction=True)


def binomial(above: Piece, below: Piece) -> Piece:
    """A fraction without its line."""
    return Piece(f"binom({above.text}, {below.text})")


def root(inside: Piece, degree: Piece = EMPTY) -> Piece:
    """`sqrt(x)`, `sqrt[3](x)`."""
    return Piece(f"sqrt{f'[{degree.text}]' if degree.text else ''}({inside.text})")


def scripts(base: Piece, below: Piece = EMPTY, above: Piece = EMPTY) -> Piece:
    """`x_i^2`; primes follow their base."""
    start = _closed(base) if base.text else ""
    low = f"_{_closed(below)}" if below.text else ""
    if above.text and not above.text.strip("\u2032″‴'*†"):
        return Piece(f"{start}{low}{above.text}")
    return Piece(f"{start}{low}{f'^{_closed(above)}' if above.text else ''}")


def accent(base: Piece, mark: str) -> Piece | None:
    """`hat(x)`; None if the mark is no accent."""
    name = _ACCENTS.get(mark.strip())
    return Piece(f"{name}({base.text})") if name is not None else None


def matrix(rows: Sequence[Sequence[Piece]]) -> Piece:
    """`[a, b; c, d]`."""
    return Piece("[" + "; ".join(", ".join(cell.text for cell in cells) for cells in rows) + "]")


def fenced(parts: Sequence[Piece], opening: str, closing: str, between: str) -> Piece:
    """`(a, b)`, with other brackets too."""
    joined = (between + " " if between in ",;" else f" {between} ").join(one.text for one in parts)
    if len(parts) == 1 and opening == "(" and _is_closed(joined) and joined.startswith("["):
        return Piece(joined)  # a matrix has its own
    return Piece(f"{opening}{joined}{closing}")


def _closed(piece: Piece) -> str:
    """In parentheses unless it is one thing."""
    text = piece.text
    if _ATOM.fullmatch(text) or _is_closed(text) or re.fullmatch(r"\w+\([^()]*\)", text):
        return text
    return f"({text})"


def _is_closed(text: str) -> bool:
    """Whether it is in brackets as a whole."""
    if len(text) < 2 or text[0] not in "([{" or text[-1] not in ")]}":
        return False
    depth = 0
    for place, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            return place == len(text) - 1
    return False


def _touches(pieces: Sequence[Piece], place: int) -> bool:
    """Whether something that is no operator stands beside a piece."""
    beside = [
        *(pieces[place - 1].text[-1:] if place else ""),
        *(pieces[place + 1].text[:1] if place + 1 < len(pieces) else ""),
    ]
    return any(not one.isspace() and one not in _BINARY | _AFTER | _CLOSING for one in beside)


def _joined(line: str, text: str) -> str:
    before = line[-1:]
    is_first = not before or before in _OPENING or before in _AFTER
    if text in _BINARY:
        follows_operator = line.rstrip()[-1:] in _BINARY and text in "+-\u2212±∓"
        if is_first or follows_operator:
            return line + text  # a sign
        return f"{line.rstrip()} {text} "
    if text in _AFTER:
        return f"{line.rstrip()}{text} "
    if before.isalnum() and text[0].isalnum() and (_is_word(line, text) or before.isdigit()):
        return f"{line} {text}" if not (before.isdigit() and text[0].isalpha()) else line + text
    return line + text


def _is_word(line: str, text: str) -> bool:
    """Whether either of the neighbours is a name of several letters, such as `sin`."""
    last = re.search(r"[^\W\d_]+$", line[-20:])
    first = re.match(r"[^\W\d_]+", text)
    return bool((last and len(last.group()) > 1) or (first and len(first.group()) > 1))
