"""What converters of documents leave in a text, and models stumble over: cleaned, counted and said.

Ligatures, soft hyphens, zero-width characters, letters taken apart into letter and accent (nine
times the tokens in Hangul), noncharacters in place of hyphens, running heads and page numbers. The
file itself is not touched, and `--raw` sends it as it is. Code, data and logs are left alone except
for noncharacters, which no text may contain: there, an invisible character may be the point.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ktclient import wording
from ktclient.documents import hyphens, page_furniture

PAGE_END = "\f"
_LAST_OF_PLANES = "".join(
    f"{chr(n + 0xFFFE)}{chr(n + 0xFFFF)}" for n in range(0, 17 << 16, 1 << 16)
)
_NONCHARACTERS = re.compile(f"[\ufdd0-\ufdef{_LAST_OF_PLANES}]")
_PRINTED_HYPHEN = re.compile(f"{hyphens.MARK}(?<=\\w.)(?=[\\s\\w])")
_LETTER = r"[^\W\d_]"
_LIGATURES = re.compile(f"[\ufb00-\ufb06](?:(?={_LETTER})|(?<={_LETTER}.))")
_SOFT_HYPHENS = re.compile(
    f"\u00ad(?<={_LETTER}.)\u00ad*(?:[ \t]{{0,8}}\n[ \t]{{0,8}})?(?={_LETTER})"
)
_UNSPACED = "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf]"
"""Thai, Lao, Tibetan, Burmese, Khmer and their neighbours have no blanks: there U+200B divides
words."""
_UNJOINED = "[A-Za-z\u00c0-\u052f]"
"""Letters that do not change beside a joiner."""
_ZERO_WIDTH = re.compile(
    "[\ufeff\u200b\u2060\u200c\u200d](?:(?<=\ufeff)"
    f"|(?<=[\u200b\u2060])(?<!{_UNSPACED}.)(?!{_UNSPACED})"
    f"|(?<=[\u200c\u200d])(?<={_UNJOINED}.)(?={_UNJOINED}))"
)
# Each begins with its characters and looks back afterwards: so a text is searched ten times faster.
_MARKS = (
    "\u0300-\u036f\u0653-\u0655\u093c\u09be\u09d7\u0b3e\u0b56\u0b57\u0bbe\u0bd7\u0c56\u0cc2\u0cd5"
    "\u0cd6\u0d3e\u0d57\u0dca\u0dcf\u0ddf\u102e\u1161-\u1175\u11a8-\u11c2\u1b35\u3099\u309a"
)
"""All that a letter of the basic plane can be composed with."""
_APART = re.compile(f"[{_MARKS}]+")
_MOST_MARKS = 4
"""On one letter; more are decoration, which is not text any more."""
_UNKNOWN = re.compile("[\ue000-\uf8ff\ufffd\U000f0000-\U000ffffd\U00100000-\U0010fffd]")
_ANY = re.compile(
    f"[\u00ad\u200b-\u200d\u2060\ufb00-\ufb06\ufeff{_MARKS}\ufdd0-\ufdef{_LAST_OF_PLANES}"
    "\ue000-\uf8ff\ufffd\U000f0000-\U000ffffd\U00100000-\U0010fffd]"
)
"""All of them: most texts have none, and are looked through once."""
_LEAST_UNKNOWN = 0.01
"""Share of a text's characters from which on it is said."""
_SYNTAX = re.compile(r"[{}\[\]<>=\\|_$@#^~`+*/;&%]")
_DIGIT = re.compile(r"\d")
_NOT_BLANK = re.compile(r"\S")
_STAMPED = re.compile(r"[\[(]?(?:\d{1,4}[-/:.]\d|[A-Z][a-z]{2}\s{1,2}\d{1,2} \d\d:)")
_MOST_SYNTAX, _MOST_DIGITS, _MOST_STAMPED = 0.05, 0.2, 0.3
_SAMPLE = 20_000

HYPHENS = "line-end hyphen"
HEADS = "running head"
NUMBERS = "page number"
LIGATURES = "ligature"
SOFT_HYPHENS = "soft hyphen"
ZERO_WIDTH = "zero-width character"
APART = "letter and its accent"
NONCHARACTERS = "noncharacter"
UNKNOWN = "character without a meaning"
_DONE = {
    HYPHENS: "resolved",
    LIGATURES: "spelled out",
    APART: "composed",
}
"""What was done about it; else it was removed."""
_PLURALS = {APART: "letters and their accents", UNKNOWN: "characters without a meaning"}

Counts = tuple[tuple[str, int], ...]
"""How many of each kind were found; only kinds that were."""


@dataclass(frozen=True)
class Cleaned:
    """A text without leftovers, and what was done."""

    text: str
    counts: Counts = ()


def of_pages(text: str) -> Cleaned:
    """The text of a converted document, whose pages end with form feeds. Its hyphens at line ends
    are `hyphens.MARK`."""
    found: Counter[str] = Counter()
    if PAGE_END in text:
        bare = page_furniture.removed(text.split(PAGE_END))
        found.update({HEADS: bare.heads, NUMBERS: bare.numbers})
        text = _pages(bare.pages)
    return _cleaned(text, found)


def raw_pages(text: str) -> str:
    """The same as its pages show it: with hyphens, heads and numbers."""
    return _pages(text.replace(hyphens.MARK, "-").split(PAGE_END))


def _pages(pages: Iterable[str]) -> str:
    return "\n\n".join(page for one in pages if (page := one.strip("\n"))) + "\n"


def of_text(text: str) -> Cleaned:
    """A text that was given: prose is cleaned, anything else loses noncharacters only. There, what
    PDFium puts in place of a hyphen is that hyphen again, and lines stay: 1914-18 is not 191418."""
    found: Counter[str] = Counter()
    if is_prose(text):
        return _cleaned(text, found)
    text, found[HYPHENS] = _PRINTED_HYPHEN.subn("-", text)
    text, found[NONCHARACTERS] = _NONCHARACTERS.subn("", text)
    return Cleaned(text, _counts(found))


def _cleaned(text: str, found: Counter[str]) -> Cleaned:
    """Time is linear in the text."""
    if text.isascii() or _ANY.search(text) is None:
        return Cleaned(text, _counts(found))
    text, found[HYPHENS] = hyphens.joined(text)
    text, found[NONCHARACTERS] = _NONCHARACTERS.subn("", text)
    text, found[ZERO_WIDTH] = _ZERO_WIDTH.subn("", text)
    text, found[SOFT_HYPHENS] = _SOFT_HYPHENS.subn("", text)
    text, found[LIGATURES] = _LIGATURES.subn(_spelled, text)
    text, found[APART] = _composed(text)
    unknown = len(_UNKNOWN.findall(text))
    found[UNKNOWN] = unknown if unknown > _LEAST_UNKNOWN * len(text) else 0
    return Cleaned(text, _counts(found))


def _counts(found: Counter[str]) -> Counts:
    return tuple((kind, n) for kind, n in found.items() if n)


def _spelled(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", match.group())


def _composed(text: str) -> tuple[str, int]:
    """Letters that were taken apart, composed (Unicode's NFC), and how many. Other characters that
    NFC changes, such as a Chinese name's own variant of a character, stay as they are."""
    pieces = []
    number = end = 0
    for marks in _APART.finditer(text):
        start = marks.start() - 1
        size = marks.end() - marks.start()
        if start < end or size > _MOST_MARKS or not text[start].isalnum():
            continue
        apart = text[start : marks.end()]
        whole = unicodedata.normalize("NFC", apart)
        if len(whole) < len(apart):
            pieces += [text[end:start], whole]
            end = marks.end()
            number += 1
    return "".join([*pieces, text[end:]]), number


def is_prose(text: str) -> bool:
    """Whether a text is mostly sentences: no code, data or log. By its start, middle and end."""
    starts = (0, max(0, len(text) // 2 - _SAMPLE // 2), max(0, len(text) - _SAMPLE))
    sample = "\n".join(text[start : start + _SAMPLE] for start in dict.fromkeys(starts))
    size = len(_NOT_BLANK.findall(sample)) or 1
    lines = [line for line in sample.splitlines() if line.strip()]
    stamped = sum(_STAMPED.match(line.lstrip()) is not None for line in lines)
    return (
        len(_SYNTAX.findall(sample)) <= _MOST_SYNTAX * size
        and len(_DIGIT.findall(sample)) <= _MOST_DIGITS * size
        and stamped <= _MOST_STAMPED * len(lines)
    )


def summed(counts: Iterable[Counts]) -> Counts:
    """Of several documents together."""
    found: Counter[str] = Counter()
    for one in counts:
        found.update(dict(one))
    return _counts(found)


def said(counts: Counts) -> str:
    """In words, for people: what was cleaned; "" if nothing was."""
    done = [
        f"{_number(n, kind)} {_DONE.get(kind, 'removed')}" for kind, n in counts if kind != UNKNOWN
    ]
    return f"{', '.join(done)}; --raw keeps them" if done else ""


def doubt(counts: Counts, size: int) -> str:
    """What cannot be cleaned, in a text of so many characters; "" if there is nothing."""
    unknown = dict(counts).get(UNKNOWN, 0)
    if not unknown:
        return ""
    share = 100 * unknown / max(1, size)
    return (
        f"{_number(unknown, UNKNOWN)} ({share:.0f} % of it): a font or a converter gave no letters "
        "for them; if they matter, run OCR on the document (ocrmypdf --force-ocr FILE OUT.pdf)"
    )


def _number(n: int, kind: str) -> str:
    return f"{n:,} {_PLURALS[kind]}" if n != 1 and kind in _PLURALS else wording.count(n, kind)
