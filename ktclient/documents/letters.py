"""How well bytes fit a language in an encoding of one byte a letter.

Each page of 256 characters decodes anything: Greek in CP1253 is also a string of CP1251's Cyrillic
letters. What differs is how probable the letters are. For each language and each page in which it
was written, the probability of all bytes beyond ASCII is the product of: how often the language
has the letter (letters.toml), capitals where capitals stand, one script within a word, and no
signs inside words. All readings explain the same bytes, so these probabilities may be compared.
"""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).parent / "letters.toml"
Triple = tuple[bytes, bytes, bytes]
"""A byte beyond ASCII between its neighbours."""
_TRIPLE = re.compile(rb"(?s)(?<=(.))([\x80-\xff])(?=(.))")
_USUAL_SIGNS = frozenset("\u2018\u2019\u201a\u2013\u2014«»“”„…°§№·•\u00a0\u200e\u200f€")
_TECHNICAL = frozenset("±\u00d7÷©®µ²³½¼¾£¥¢")
"""Usual with figures, not beside letters, where they are another page's letters."""
_JOINING = frozenset("\u2018\u2019·\u00a0")
"""Signs that may stand between letters."""
_MOST_ACCENTED = 24
"""More letters beyond ASCII than any language has that is written with Latin letters."""
_UNKNOWN = math.log(2e-4)
"""A letter that the language does not have: a foreign name."""
_SIGN, _RARE_SIGN = -4.0, -8.0
_INSIDE_WORD, _BESIDE_WORD = -5.0, -3.0
_MIXED_SCRIPTS = -6.0
_CAPITAL, _CAPITAL_BEFORE_CAPITAL = -2.5, -1.2
_CAPITAL_AFTER_CAPITAL, _CAPITAL_AFTER_SMALL = -0.05, -7.0
_SMALL_AFTER_CAPITALS = -5.0
_SMALL_BEFORE_CAPITAL = -4.0
_SCRIPTS = (
    (0x370, "Latin"),
    (0x400, "Greek"),
    (0x530, "Cyrillic"),
    (0x590, "Armenian"),
    (0x600, "Hebrew"),
    (0x700, "Arabic"),
    (0xE00, "other"),
    (0xE80, "Thai"),
    (0x1E00, "other"),
    (0x1F00, "Latin"),
    (0x2000, "Greek"),
)


@dataclass(frozen=True)
class Language:
    """A language's letters beyond ASCII, as logarithms of their probabilities, and its pages."""

    name: str
    pages: tuple[str, ...]
    letters: Mapping[str, float]


@dataclass(frozen=True)
class Fit:
    """How well bytes fit one language in one page."""

    page: str
    """Python's name of the encoding."""
    language: str
    score: float
    """The logarithm of the probability of all bytes beyond ASCII."""
    beyond: int
    """How many bytes that are."""
    distinct: int
    """How many of them are in lines that differ."""
    strange: float
    """Share of its letters that the language does not have, 0 to 1."""
    untidy: float
    """Penalties for capitals, signs and scripts where they do not belong, for each byte."""
    distance: float
    """How far the frequencies of its letters are from the language's, in nats."""

    is_alphabet: bool
    """Whether the language has an alphabet of its own: then its letters are many, and their
    frequencies known well."""

    @property
    def is_plausible(self) -> bool:
        """Whether this may be text of the language at all."""
        if self.is_alphabet:
            strange, untidy, distance = 0.03 + 1 / self.beyond, -1.0, 0.28 + 22 / self.distinct
        else:
            strange, untidy, distance = 0.1, -2.5, 0.6 + 12 / self.distinct
        return self.strange <= strange and self.untidy > untidy and self.distance < distance

    @property
    def is_possible(self) -> bool:
        """Whether a person should look at it: by its letters and signs alone."""
        return self.strange <= 0.2 and self.untidy > -2.5


@dataclass(frozen=True)
class _Reading:
    """The bytes by one page: what holds for any language."""

    penalty: float
    letters: Counter[str]
    """Small letters, and signs too, since English has hardly anything else."""
    signs: Counter[str]


@functools.lru_cache(maxsize=1)
def languages() -> tuple[Language, ...]:
    """All languages of letters.toml."""
    from server_bundle import package_data

    table = package_data.read(TABLE)
    return tuple(
        Language(name, tuple(str(one["pages"]).split()), _logarithms(str(one["letters"])))
        for name, one in table.items()
    )


def pages() -> frozenset[str]:
    """Python's names of all pages that are tried."""
    return frozenset(page for language in languages() for page in language.pages)


def _logarithms(frequencies: str) -> dict[str, float]:
    """From "é7294 à827", parts per 10,000; a fiftieth is left to letters of other languages."""
    parts = {one[0]: int(one[1:]) for one in frequencies.split(" ")}
    whole = sum(parts.values()) / 0.98
    return {letter: math.log(part / whole) for letter, part in parts.items()}


def fits(sample: bytes) -> list[Fit]:
    """Every language in every page that decodes the sample, the best first. Time is linear in the
    sample."""
    triples = Counter(_TRIPLE.findall(b" " + sample + b" "))
    distinct = sum(byte >= 0x80 for line in set(sample.split(b"\n")) for byte in line)
    readings: dict[str, _Reading | None] = {}
    found = []
    for language in languages():
        for page in language.pages:
            if page not in readings:
                readings[page] = _reading(triples, page)
            reading = readings[page]
            if reading is not None:
                found.append(_fit(reading, page, language, max(1, distinct)))
    return sorted(found, key=lambda fit: -fit.score)


@functools.lru_cache(maxsize=64)
def _characters(page: str) -> tuple[str, ...]:
    """The 256 characters of a page; "" for bytes that it does not have, and for controls."""
    found = (bytes([byte]).decode(page, "ignore") for byte in range(256))
    return tuple("" if "\x7f" <= one <= "\x9f" else one for one in found)


def _reading(triples: Mapping[Triple, int], page: str) -> _Reading | None:
    """The bytes by a page; None if it lacks one of them."""
    characters = _characters(page)
    penalty = 0.0
    letters: Counter[str] = Counter()
    signs: Counter[str] = Counter()
    for (before, byte, after), times in triples.items():
        character = characters[byte[0]]
        if not character:
            return None
        left, right = characters[before[0]] or " ", characters[after[0]] or " "
        if unicodedata.category(character)[0] in "LM" and character not in "ªºµ":
            letters[_small(character)] += times
            penalty += times * _of_letter(left, character, right)
        else:
            signs[character] += times
            penalty += times * _of_sign(left, character, right)
    return _Reading(penalty, letters, signs)


def _small(character: str) -> str:
    small = character.lower()
    return small if len(small) == 1 else character


def _script(character: str) -> str:
    return next((name for end, name in _SCRIPTS if ord(character) < end), "other")


def _of_letter(left: str, letter: str, right: str) -> float:
    """The penalty of a letter between its neighbours."""
    penalty = 0.0
    script = _script(letter)
    if any(one.isalpha() and _script(one) != script for one in (left, right)):
        penalty += _MIXED_SCRIPTS
    if letter.isupper():
        if left.isalpha():
            penalty += _CAPITAL_AFTER_CAPITAL if left.isupper() else _CAPITAL_AFTER_SMALL
        else:
            penalty += _CAPITAL_BEFORE_CAPITAL if right.isupper() else _CAPITAL
    elif letter.islower() and right.isupper():
        penalty += _SMALL_AFTER_CAPITALS if left.isupper() else _SMALL_BEFORE_CAPITAL
    return penalty


def _of_sign(left: str, sign: str, right: str) -> float:
    """The penalty of a sign where it stands; how rare it is comes with the language."""
    if left.isalpha() and right.isalpha() and sign not in _JOINING:
        return _INSIDE_WORD
    if sign not in _USUAL_SIGNS and (left.isalpha() or right.isalpha()):
        return _BESIDE_WORD
    return 0.0


def _fit(reading: _Reading, page: str, language: Language, distinct: int) -> Fit:
    known = language.letters
    number = reading.letters.total()
    score = reading.penalty
    score += sum(n * known.get(one, _UNKNOWN) for one, n in reading.letters.items())
    score += sum(n * known.get(one, _rarity(one)) for one, n in reading.signs.items())
    rare = sum(n for one, n in reading.signs.items() if not _is_usual(one))
    beyond = number + reading.signs.total()
    strange = sum(n for one, n in reading.letters.items() if one not in known)
    return Fit(
        page,
        language.name,
        score,
        max(1, beyond),
        distinct,
        strange / max(1, number),
        (reading.penalty + _RARE_SIGN * rare) / max(1, beyond),
        _distance(reading, known),
        len(known) > _MOST_ACCENTED,
    )


def _rarity(sign: str) -> float:
    return _SIGN if _is_usual(sign) else _RARE_SIGN


def _is_usual(sign: str) -> bool:
    return sign in _USUAL_SIGNS or sign in _TECHNICAL


def _distance(reading: _Reading, known: Mapping[str, float]) -> float:
    """The Kullback-Leibler divergence of the language's frequencies from those found."""
    found = reading.letters + Counter({k: n for k, n in reading.signs.items() if k in known})
    number = found.total()
    return sum(
        n / number * (math.log(n / number) - known.get(one, _UNKNOWN)) for one, n in found.items()
    )
