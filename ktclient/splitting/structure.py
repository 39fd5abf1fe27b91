"""Where a text may be cut: before a chapter, a paragraph, a line, after a sentence. Pure.

Headings are recognised by their form, in English, Chinese and Markdown; a line that only looks like
a heading merely makes a cut there a little more likely.
"""

# ruff: noqa: RUF001 - Chinese punctuation is intended

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

_NUMBER = (
    r"(?:[0-9]{1,4}|[ivxlcdm]{1,8}|[a-z]|(?:the )?(?:first|second|third|fourth|fifth|sixth|seventh|"
    r"eighth|ninth|tenth|last)|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
)
_HEADING = re.compile(
    r"[ \t\u3000]*(?:"
    r"#{1,6}[ \t]+\S.{0,200}"  # Markdown
    rf"|(?:chapter|book|part|volume|section|act|scene|canto|letter|appendix)[ \t]+{_NUMBER}\b"
    r"(?:[ \t]*|[ \t]*[.:\u2014\u2013-].{0,80})"
    r"|(?:prologue|epilogue|preface|foreword|introduction|conclusion|contents)[.:]?[ \t]*"
    r"|第[ \t]*[0-9零〇一二三四五六七八九十百千两兩]{1,8}[ \t]*[章回节節卷部篇集幕]"
    r"(?:[ \t\u3000:：].{0,60})?"
    r"|卷[ \t]*[0-9零〇一二三四五六七八九十百]{1,6}(?:[ \t\u3000:：].{0,60})?"
    r"|(?:序|序言|前言|楔子|引子|引言|尾声|尾聲|后记|後記|附录|附錄|目录|目錄)[ \t]*"
    r"|==> .{1,200} <=="  # our own, of `--join`
    r")",
    re.IGNORECASE,
)
_UNDERLINE = re.compile(r"(?:={3,}|-{3,})[ \t]*")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_SENTENCE_END = re.compile(
    # A run of marks is looked at from its beginning only: from each of its marks, a run of a
    # million dots would take a million looks at a million dots.
    r"(?<![.!?\u2026])[.!?\u2026]+[\"')\]\u2019\u201d]*[ \t]+"
    r"|[。！？；…]+[」』”’）)]*"
)
_MOST_TITLE = 80


class Rank(IntEnum):
    """How good a place for a cut is: lower is better."""

    CHAPTER = 0
    PARAGRAPH = 1
    LINE = 2
    SENTENCE = 3
    ANYWHERE = 4


@dataclass(frozen=True)
class Place:
    """The text may be cut before character `at`; `title` of a chapter that begins there."""

    at: int
    rank: Rank
    title: str = ""


def places(text: str) -> Iterator[Place]:
    """The starts of all lines, in order; the start of the text only if a chapter begins there."""
    after_blank = True
    lines = _LINE.finditer(text)
    line = next(lines, None)
    while line is not None:
        following = next(lines, None)
        words = line.group().rstrip("\r\n")
        beneath = "" if following is None else following.group().rstrip("\r\n")
        title = heading(words, beneath if after_blank else "")
        if title:
            yield Place(line.start(), Rank.CHAPTER, title)
        elif line.start() > 0 and words.strip():
            yield Place(line.start(), Rank.PARAGRAPH if after_blank else Rank.LINE)
        after_blank = not words.strip()
        line = following


def heading(line: str, beneath: str = "") -> str:
    """The title, if this line is a heading by its form or its underline; else empty."""
    is_heading = _HEADING.fullmatch(line) is not None
    if not is_heading and beneath and len(line) <= _MOST_TITLE and line.strip():
        is_heading = _UNDERLINE.fullmatch(beneath) is not None
    if not is_heading:
        return ""
    return " ".join(line.strip().lstrip("#").split())[:_MOST_TITLE]


def sentences(text: str, start: int, end: int) -> Iterator[int]:
    """Where sentences of this stretch end, in order, except at the stretch's own end."""
    for found in _SENTENCE_END.finditer(text, start, end):
        if start < found.end() < end and not is_inside(text, found.end()):
            yield found.end()


def is_inside(text: str, at: int) -> bool:
    """Whether a cut before this character would split what people see as one character."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if before == "\r" and after == "\n":
        return True
    joined = "\u200d" in (before, after) or "\U0001f3fb" <= after <= "\U0001f3ff"
    flags = all("\U0001f1e6" <= one <= "\U0001f1ff" for one in (before, after))
    return joined or flags or unicodedata.category(after).startswith("M")


def cut_near(text: str, at: int, least: int) -> int:
    """The nearest place at or before `at` that splits no visible character, but not before `least`:
    if the whole stretch is one character, then `at` itself."""
    place = at
    while place > least and is_inside(text, place):
        place -= 1
    return place if place > least else at
