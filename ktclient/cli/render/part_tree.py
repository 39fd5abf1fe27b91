"""The parts of a job, drawn as a tree: level by level, from its answer down to its document."""

from __future__ import annotations

import json

from jobs.model import Job
from ktclient.cli.render import terminal_text, units
from ktclient.splitting.split_plan import ANSWER
from ktclient.submission.parts import Part, plan_of

_MOST_LINES = 200
"""The maximum number of parts that are listed one by one for people."""
_BRANCH_CELLS = 3
"""The width of what is before each of them."""


def lines(parts: list[Part]) -> list[str]:
    """The tree for people: each level above the level that it combines."""
    found: list[str] = []
    for level in sorted({part.level for part in parts}, reverse=True):
        of_level = [part for part in parts if part.level == level]
        found.append(_level(of_level, level))
        shown = of_level[:_MOST_LINES]
        found += [
            f"{'└─' if part is shown[-1] else '├─'} {row}"
            for part, row in zip(shown, _rows(shown), strict=True)
        ]
        if len(of_level) > len(shown):
            found.append(f"   and {len(of_level) - len(shown):,} more: --json lists them")
    return found


def _level(parts: list[Part], level: int) -> str:
    done = sum(part.job.state == "SUCCEEDED" for part in parts)
    what = f"combined answers, level {level}"
    if level == 0:
        what = "parts" if parts[0].start is None else "parts of the document"
    if any(part.job.part == ANSWER for part in parts):
        what = "the answer"
    return f"{what}: {done:,} of {len(parts):,} done"


def _rows(parts: list[Part]) -> list[str]:
    cells = [
        (
            f"[{part.job.part}]" if part.level == 0 else str(part.job.part),
            part.job.id,
            part.job.state,
            _tokens(part),
            "" if part.seconds is None else units.duration(part.seconds),
            _words(part),
        )
        for part in parts
    ]
    return terminal_text.table(cells, before=_BRANCH_CELLS).split("\n")


def _tokens(part: Part) -> str:
    read, written = part.figure("prompt_tokens"), part.figure("completion_tokens")
    return "" if read is None else f"{read:,} read, {written or 0:,} written"


def _words(part: Part) -> str:
    if part.job.cause and part.job.message:
        return f"{terminal_text.one_line(part.job.message)} [{part.job.cause}]"
    return label(part)


def label(part: Part) -> str:
    """The place of a part in the document, for people; empty if it reads no text."""
    if part.start is None or part.end is None:
        return ""
    title = f"{terminal_text.one_line(part.title)}, " if part.title else ""
    return f"{title}characters {part.start:,} to {part.end:,}"


def sources(job: Job) -> list[str]:
    """The document parts that [n] in an answer cites, a line for each; empty if not split."""
    plan = plan_of(job)
    if plan is None:
        return []
    return [
        f"[{chunk.number}] {terminal_text.one_line(chunk.title) + ', ' if chunk.title else ''}"
        f"characters {chunk.start:,} to {chunk.end:,}"
        for chunk in plan.chunks
    ]


def sources_record(job: Job) -> list[dict[str, object]]:
    """The document parts that [n] in an answer cites, for JSON; empty if not split."""
    plan = plan_of(job)
    if plan is None:
        return []
    found = json.loads(json.dumps(plan.to_dict()["chunks"]))
    assert isinstance(found, list)
    return found
