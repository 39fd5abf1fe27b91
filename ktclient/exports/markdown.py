"""An export as Markdown: each answer under a heading, with its facts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ktclient.exports import text
from ktclient.exports.record import Exported

_FENCE = re.compile(r"`{3,}")
_ACTIVE = re.compile(r"([\\`*_\[\]<>|#&~])")


def pieces(records: Iterable[Exported]) -> Iterator[str]:
    """The file, piece by piece."""
    for number, one in enumerate(records):
        yield "\n\n" if number else ""
        yield from _section(one)
    yield "\n"


def _section(one: Exported) -> Iterator[str]:
    yield f"## {_plain(text.heading(one))}\n\n"
    if (why := text.why(one)) is not None:
        yield f"*{_plain(why)}*\n\n"
    yield one.shown.strip("\n")
    if one.thoughts:
        yield f"\n\n### Thoughts\n\n{_fenced(one.thoughts)}"
    if sources := text.sources(one):
        yield "\n\n### Parts of the document\n\n"
        yield "\n".join(f"- {_plain(name)} {_plain(place)}" for name, place in sources)
    yield "\n\n### About this answer\n\n"
    yield "\n".join(f"- {name}: {_plain(value)}" for name, value in text.facts(one))
    if one.document.text is not None:
        yield f"\n\n### Document\n\n{_fenced(one.document.text)}"


def _plain(line: str) -> str:
    """A line whose characters mean themselves."""
    return _ACTIVE.sub(r"\\\1", line)


def _fenced(found: str) -> str:
    """Text as it is, in a fence that nothing in it ends."""
    longest = max(map(len, _FENCE.findall(found)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}text\n{found.rstrip(chr(10))}\n{fence}"
