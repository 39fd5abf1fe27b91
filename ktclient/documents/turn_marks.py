"""Turn marks: what a chat template or a tokenizer reads as the start or end of a speaker's turn,
wherever it stands in a text. In a document they are data, so they are made harmless: a blank is
inserted after a mark's first character. It stays readable, and is no mark any more.

Marks that no ordinary text contains (`<|im_start|>`) are made harmless for every model. Marks that
ordinary text may contain (`<s>` in HTML, `[INST]` in prose) are made harmless for the models that
have them: by the model's own list, else by its family (turn_marks.toml), and all of them for a
model about which nothing is known. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ktclient.wording import count, quote, was

TABLE = Path(__file__).parent / "turn_marks.toml"
MOST_KINDS = 64
"""Different marks that are counted by name in one text; further kinds are counted together."""
_OTHERS = ""
"""The name under which further kinds are counted."""
_NAMED = 5
_MOST_CHARACTERS = 128
"""Of a mark; the longest known has 44."""
_SHAPES = {
    "<": (
        r"[|\uff5c][^\s<>|\uff5c]{2,60}[|\uff5c]>?",
        r"(?:start|end|begin)_of_[a-z_]{2,30}>",
        r"/?seed:[a-z_]{2,30}>",
    ),
    "]": (r"<\][^\[\]<>\n]{1,40}\[>\[",),
}
"""First character -> what follows it in marks that share a shape: `<|user|>`, DeepSeek's with
full-width bars, Gemma's, Seed-OSS's, MiniMax's `]<]image[>[`. A single letter between bars is
mathematics or code."""
_NUMBER = "{n}"
_AS_BEFORE = re.compile(
    r"<(?=[|\uff5c][^\s<>|\uff5c]{1,60}[|\uff5c])"
    r"|<(?=/?(?:think|tool_call|tool_response|start_of_turn|end_of_turn|bos|eos|s|sop|eop)>)"
    r"|\[(?=(?:/?INST|gMASK)\])"
)


@dataclass(frozen=True)
class Family:
    """One family of models in the table."""

    name: str
    names: re.Pattern[str]
    """Found in the names of its models."""
    anywhere: tuple[str, ...]
    """Marks that no ordinary text contains; `{n}` stands for a number."""
    here: tuple[str, ...]
    """Marks that are made harmless for this family only."""
    sources: tuple[str, ...]


@dataclass(frozen=True)
class TurnMarks:
    """The marks of one model."""

    pattern: re.Pattern[str]
    """Matches a mark's first character; the group that takes part is the rest of the mark."""

    def harmless(self, text: str, found: Counter[str] | None = None) -> str:
        """The text with a blank in each mark, in linear time. The marks are added to `found`, by
        name. Text without marks is returned as it is, and so is text that was made harmless."""
        counted = Counter[str]() if found is None else found

        def broken(match: re.Match[str]) -> str:
            mark = match.group() + match.group(match.lastindex or 0)
            is_new = mark not in counted and len(counted) >= MOST_KINDS
            counted[_OTHERS if is_new else mark] += 1
            return match.group() + " "

        many = 1
        while many:  # again, as the blank may complete a mark that contains a blank
            text, many = self.pattern.subn(broken, text)
        return text

    def harmless_json(self, value: Any, found: Counter[str]) -> Any:
        """The same for every string in a JSON value, names of fields included."""
        return mapped_strings(value, lambda text: self.harmless(text, found))


def mapped_strings(value: Any, change: Callable[[str], str]) -> Any:
    """A JSON value with each string in it changed, names of fields included. Raises
    `RecursionError` for one that is nested too deeply."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [mapped_strings(one, change) for one in value]
    if isinstance(value, dict):
        return {change(name): mapped_strings(one, change) for name, one in value.items()}
    return value


def in_words(found: Mapping[str, int]) -> str:
    """Marks and how often each occurred: "<|im_start|> (2), <s> and 3 more kinds"."""
    kinds = sorted((one for one in found if one != _OTHERS), key=lambda one: (-found[one], one))
    named = [
        quote(one) if found[one] == 1 else f"{quote(one)} ({found[one]:,})"
        for one in kinds[:_NAMED]
    ]
    more = max(0, len(kinds) - _NAMED) + (_OTHERS in found)
    if more <= 0:
        return ", ".join(named)
    return f"{', '.join(named)} and {more:,} more {'kind' if more == 1 else 'kinds'}"


def said(where: str, found: Mapping[str, int]) -> str:
    """The sentence that says what was made harmless in a place."""
    many = sum(found.values())
    return f"{count(many, 'turn mark')} in {where} {was(many)} made harmless: {in_words(found)}"


@lru_cache(maxsize=1)
def families() -> tuple[Family, ...]:
    """The table's families, in its order."""
    from server_bundle import package_data

    return tuple(
        Family(
            name,
            re.compile(one["names"], re.IGNORECASE),
            tuple(one["anywhere"]),
            tuple(one["here"]),
            tuple(one["sources"]),
        )
        for name, one in package_data.read(TABLE).items()
    )


@lru_cache(maxsize=16)
def of_model(names: str = "", own: tuple[str, ...] = (), *, is_whole: bool = False) -> TurnMarks:
    """The marks of a model. `names`: all that is known of its name, folder and architecture; `own`:
    the special tokens that it is known to have; `is_whole`: it has no others."""
    anywhere = [mark for one in families() for mark in one.anywhere]
    its = [one for one in families() if one.names.search(names)]
    if not its and not is_whole:
        its = list(families())
    own = tuple(filter(is_usable, map(_blankless, own)))
    return TurnMarks(_compiled([*anywhere, *own, *(mark for one in its for mark in one.here)]))


def doubtful() -> tuple[str, ...]:
    """The marks of all families that ordinary text may contain, each once; with a number for each
    that is numbered."""
    marks = (mark.replace(_NUMBER, "1") for one in families() for mark in one.here)
    return tuple(sorted(set(marks)))


def is_usable(mark: str) -> bool:
    """Whether a token of a model's own list can be a turn mark: not a blank, not a word, and not so
    short that ordinary text is full of it."""
    return 3 <= len(mark) <= _MOST_CHARACTERS and not all(
        one.isalnum() or one.isspace() or one == "_" for one in mark
    )


def _blankless(mark: str) -> str:
    """The longest part of a mark of the model's own list without a blank; the mark is harmless if
    its part is. A blank that breaks one mark could complete another one with blanks: a server
    could name marks with which that goes on for ever, or once for each character."""
    return max(mark.split(" "), key=len)


def as_before(text: str) -> str:
    """The text as earlier versions stored it: to recognise what they have stored."""
    return _AS_BEFORE.sub(r"\g<0> ", text)


def is_as_before(text: str) -> bool:
    """Whether earlier versions stored this text as it is."""
    return _AS_BEFORE.search(text) is None


def _compiled(marks: Iterable[str]) -> re.Pattern[str]:
    """One alternative for each first character, so that the search skips all other characters; what
    follows is a tree of the marks' characters, so that it takes at most as many steps as the
    longest mark has characters."""
    firsts: dict[str, _Tree] = {first: {} for first in _SHAPES}
    shapes = {first: re.compile("|".join(rest)) for first, rest in _SHAPES.items()}
    for mark in marks:
        shape = shapes.get(mark[0])
        if shape is None or not shape.fullmatch(mark, 1):
            _put(firsts.setdefault(mark[0], {}), mark[1:])
    parts = []
    for first, tree in firsts.items():
        rest = [*_SHAPES.get(first, ()), *([_written(tree)] if tree else [])]
        parts.append(f"{re.escape(first)}(?=({'|'.join(rest)}))")
    return re.compile("|".join(parts))


_Tree = dict[str, Any]
_END = ""


def _put(tree: _Tree, rest: str) -> None:
    """Add a mark to the tree; a number is one step of it."""
    while rest:
        step = _NUMBER if rest.startswith(_NUMBER) else rest[0]
        tree = tree.setdefault(step, {})
        rest = rest[len(step) :]
    tree[_END] = {}


def _written(tree: _Tree) -> str:
    """The tree as a pattern; the longer of two marks that begin alike comes first."""
    steps = [
        (r"[0-9]{1,6}" if step == _NUMBER else re.escape(step)) + _written(below)
        for step, below in tree.items()
        if step != _END
    ]
    if not steps:
        return ""
    joined = steps[0] if len(steps) == 1 and _END not in tree else f"(?:{'|'.join(steps)})"
    return f"{joined}?" if _END in tree else joined
