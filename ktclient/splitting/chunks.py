"""Cut a text into chunks of about the same size, at the best places available. Pure.

Nothing is lost: the chunks, without what each repeats of the one before, are the text.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ktclient.splitting import structure
from ktclient.splitting.structure import Place, Rank

ATOMS = 64
"""A chunk consists of about this many atoms, the stretches that are counted."""
_LARGEST = 4
"""An atom is at most this many times as long as intended."""
_PENALTY = {
    Rank.CHAPTER: 0.0,
    Rank.PARAGRAPH: 0.15,
    Rank.LINE: 0.25,
    Rank.SENTENCE: 0.3,
    Rank.ANYWHERE: 0.6,
}
"""The cost of a cut there, in the unit of the size's deviation from the ideal, as a share of it."""
_LEAST = 0.5
"""No chunk is smaller than this share of the ideal size, if possible."""

Count = Callable[[str], float]


@dataclass(frozen=True)
class Chunk:
    """Characters `start` to `end` of the text; from `lead` to `start` it repeats the one before.
    `title`: the chapters that it covers, if any."""

    number: int
    lead: int
    start: int
    end: int
    title: str = ""


@dataclass(frozen=True)
class _Atom:
    start: int
    end: int
    rank: Rank
    tokens: float


def cut(text: str, count: Count, most: float, overlap: float = 0.0) -> list[Chunk]:
    """Chunks of at most `most` by `count`, as the sum over stretches. Each repeats up to about
    `overlap` of the one before it: whole sentences, and none if a chapter starts there.

    A single character may be more than `most`; it is then a chunk of its own.
    """
    if not text:
        return []
    atoms = _atoms(text, count, most)
    room = max(most - overlap, most / 2)
    edges = [0, *(atom.start for atom in _starts(atoms, room)), len(text)]
    ranks = {atom.start: atom.rank for atom in atoms}
    headings = [place for place in structure.places(text) if place.rank is Rank.CHAPTER]
    marks = [place.at for place in headings]
    share = overlap / max(1.0, sum(atom.tokens for atom in atoms)) * len(text)
    return [
        Chunk(
            number,
            start if ranks.get(start) is Rank.CHAPTER else _lead(text, before, start, share),
            start,
            end,
            _title(headings, marks, start, end),
        )
        for number, (before, start, end) in enumerate(
            zip([0, *edges], edges, edges[1:], strict=False), 1
        )
    ]


def _atoms(text: str, count: Count, most: float) -> list[_Atom]:
    """Stretches between possible cuts: long enough to be few, short enough to balance chunks."""
    density = max(count(text[: 1 << 16]) / min(len(text), 1 << 16), 1e-9)
    length = max(1, int(most / ATOMS / density))
    found: list[_Atom] = []
    for start, end, rank in _stretches(text, length):
        found += _small_enough(text, _Atom(start, end, rank, count(text[start:end])), count, most)
    return found


def _stretches(text: str, length: int) -> Iterator[tuple[int, int, Rank]]:
    """Stretches of about `length` characters; a chapter starts a new one."""
    start, rank = 0, Rank.CHAPTER
    for place in itertools.chain(structure.places(text), [Place(len(text), Rank.CHAPTER)]):
        is_due = place.rank is Rank.CHAPTER or place.at - start >= length
        if not is_due or place.at == start:
            continue
        yield from _divided(text, start, place.at, rank, length * _LARGEST)
        start, rank = place.at, place.rank


def _divided(
    text: str, start: int, end: int, rank: Rank, longest: int
) -> Iterator[tuple[int, int, Rank]]:
    """A long line cut after its sentences, or anywhere if it has none."""
    while end - start > longest:
        ends = list(structure.sentences(text, start, start + longest))
        at = ends[-1] if ends else structure.cut_near(text, start + longest, start)
        yield start, at, rank
        start, rank = at, Rank.SENTENCE if ends else Rank.ANYWHERE
    yield start, end, rank


def _small_enough(text: str, atom: _Atom, count: Count, most: float) -> list[_Atom]:
    """Halved until it is a small share of a chunk: a short text may be many tokens."""
    middle = structure.cut_near(text, (atom.start + atom.end) // 2, atom.start)
    if atom.tokens <= most / 4 or not atom.start < middle < atom.end:
        return [atom]
    halves = (
        _Atom(atom.start, middle, atom.rank, count(text[atom.start : middle])),
        _Atom(middle, atom.end, Rank.ANYWHERE, count(text[middle : atom.end])),
    )
    return [small for half in halves for small in _small_enough(text, half, count, most)]


def _starts(atoms: Sequence[_Atom], most: float) -> Iterator[_Atom]:
    """The first atoms of the second and all later chunks."""
    sums = [0.0, *itertools.accumulate(atom.tokens for atom in atoms)]
    first = 0
    while first < len(atoms) - 1 and (left := sums[-1] - sums[first]) > most:
        ideal = left / math.ceil(left / most)
        end = _best_end(atoms, sums, first, ideal, most)
        yield atoms[end]
        first = end


def _best_end(
    atoms: Sequence[_Atom], sums: Sequence[float], first: int, ideal: float, most: float
) -> int:
    """The index of the next chunk's first atom."""
    low = bisect.bisect_left(sums, sums[first] + ideal * _LEAST, first + 1)
    high = bisect.bisect_right(sums, sums[first] + most, first + 1) - 1
    candidates = range(low, min(high, len(atoms) - 1) + 1)
    if not candidates:  # one atom alone is too large, or all that fits is small
        return min(max(high, first + 1), len(atoms) - 1)

    def cost(end: int) -> float:
        return abs(sums[end] - sums[first] - ideal) / ideal + _PENALTY[atoms[end].rank]

    return min(candidates, key=cost)


def _lead(text: str, before: int, start: int, length: float) -> int:
    """Where the whole sentences repeated before `start` begin; within the previous chunk."""
    if start == 0 or length < 1:
        return start
    least = max(before, start - int(length))
    ends = structure.sentences(text, least, start)
    line = text.rfind("\n", least, start - 1) + 1
    first = next(ends, start)
    return min(first, line) if line > least else first


def _title(headings: Sequence[Place], marks: Sequence[int], start: int, end: int) -> str:
    """The titles of the chapters that it begins and ends in. `marks`: where they begin."""
    first = bisect.bisect_right(marks, start) - 1
    last = bisect.bisect_left(marks, end) - 1
    if last < 0:
        return ""
    names = [headings[max(first, 0)].title, headings[last].title]
    return names[0] if names[0] == names[1] else " \N{EN DASH} ".join(names)
