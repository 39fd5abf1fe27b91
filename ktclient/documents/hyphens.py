"""Hyphens at the ends of lines: PDFium reads every one as U+FFFE, whether it divides a word or
belongs to it, and a text so converted has a noncharacter in the middle of `well-kept`.

The document itself says which it is: by the compound or the whole word elsewhere, by capitals and
by other hyphens in the word. Where it says nothing the parts are joined, which is right for most.
"""

from __future__ import annotations

import itertools
import re

MARK = "\ufffe"
_MOST = 60
"""Characters of a word that are looked at."""
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_TAIL = re.compile(r"[^\W_]+(?:-[^\W_]+)*\Z")
_HEAD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
_BLANK = re.compile(r"\s{1,8}")
_OF_COMPOUNDS = frozenset({"self", "well", "half", "quasi", "non", "nicht"})
"""First parts that stand with a hyphen far more often than they begin a word."""


def joined(text: str) -> tuple[str, int]:
    """The text with each mark resolved, and how many there were. Time is linear in the text."""
    if MARK not in text:
        return text, 0
    pieces = text.split(MARK)
    ended = f"- {text} -".split(MARK)  # the words at the ends of the text are whole
    words = frozenset(_WORD.findall(" ".join(_whole(piece) for piece in ended).casefold()))
    done = [pieces[0]]
    for before, after in itertools.pairwise(pieces):
        blank = _BLANK.match(after)
        rest = after[blank.end() :] if blank is not None else after
        left, right = _TAIL.search(before[-_MOST:]), _HEAD.match(rest[:_MOST])
        if left is None:
            done.append(after)
        elif right is None:
            done += ["-", after]
        elif _belongs(left.group(), right.group(), words):
            done += ["-", rest]
        else:
            done.append(rest)
    return "".join(done), len(pieces) - 1


def _whole(piece: str) -> str:
    """A piece without the parts of words at its ends."""
    blank = _BLANK.match(piece)
    start = blank.end() if blank is not None else 0
    head, tail = _HEAD.match(piece, start, start + _MOST), _TAIL.search(piece[-_MOST:])
    first = head.end() if head is not None else 0
    last = len(piece) - len(tail.group()) if tail is not None else len(piece)
    return piece[first:last]


def _belongs(left: str, right: str, words: frozenset[str]) -> bool:
    """Whether the hyphen is part of the word."""
    if not (left[-1].isalpha() and right[0].isalpha()):
        return True  # GPT-4, 2-fold
    if f"{left}-{right}".casefold() in words:
        return True
    if f"{left}{right}".casefold() in words:
        return False
    if "-" in left or "-" in right:
        return True  # state-of-the-art
    if len(left) == 1 or len(right) == 1:
        return True  # X-ray, e-mail, A-B: nobody divides a word so
    if right[0].isupper() and not left.isupper():
        return True  # Anglo-Saxon
    parts = (left.casefold(), right.casefold())
    return parts[0] in _OF_COMPOUNDS or all(len(one) > 3 and one in words for one in parts)
