"""What people should know before they wait, a line for each thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ktclient.cli.render import output, terminal_text, units

if TYPE_CHECKING:
    from ktclient.documents.collection import Collection
    from ktclient.documents.document import Document
    from ktclient.planning.forecast import Forecast
    from ktclient.splitting.split_plan import Plan
    from ktclient.submission.conditions import Conditions

MOST_LINES = 8
"""So many jobs or names are listed one by one."""


def tell_passed_over(given: Collection) -> None:
    """What of the folders is not sent, a line."""
    names = [terminal_text.one_line(name) for name in given.passed_over]
    if names:
        more = f" and {len(names) - MOST_LINES:,} more" if len(names) > MOST_LINES else ""
        listed = ", ".join(names[:MOST_LINES])
        output.note(f"note: {len(names):,} passed over, no text or empty: {listed}{more}")


def describe_all(documents: Sequence[Document], before: Sequence[Forecast]) -> None:
    """What people should know of them all, the server's part by the longest request. `before` are
    all forecasts of the first document, then all of the next."""
    for document in documents:
        _note(document, is_alone=len(documents) == 1)
    describe(max(before, key=lambda one: one.count.high))
    warn_of_prefills(before[: len(before) // len(documents)])


def tell_conditions(given: Conditions) -> None:
    """What it waits for before it may start."""
    from datetime import datetime, timezone

    from ktclient import times

    if given.after:
        ids = ", ".join(terminal_text.one_line(one) for one in given.after)
        output.note(f"  starts     once {ids} succeeded; fails if that does")
    if given.at is not None:
        left = (given.at - datetime.now(timezone.utc)).total_seconds()
        wait = units.duration(max(0.0, left))
        output.note(f"  starts     not before {times.local(given.at)}, in {wait}")


def warn_of_prefills(before: Sequence[Forecast]) -> None:
    """What several questions cost, where the server reads the document for each anew."""
    from ktclient.planning import preflight

    if (costs := preflight.repeated_prefills(before)) is not None:
        output.note(f"  note       {costs}")


def _note(document: Document, *, is_alone: bool) -> None:
    """How it was read, and what was changed in it."""
    it = "it" if is_alone else terminal_text.one_line(document.title)
    if document.read_as:
        name = "" if is_alone else f" {it}:"
        output.note(f"  read as   {name} {document.read_as}")
    if document.guessed:
        name = "" if is_alone else f" {it}:"
        output.note(f"  read as   {name} {document.guessed} (a guess); --encoding NAME overrides")
    if document.neutralised:
        output.note(
            f"  note       {document.neutralised} chat-template marks in {it} were made harmless"
        )
    if document.line_ends:
        of_it = "" if is_alone else f" of {it}"
        output.note(
            f"  note       {document.line_ends:,} CR LF line ends{of_it} were sent as LF alone"
        )


def describe(forecast: Forecast) -> None:
    """What people should know before they wait, a line for each thing."""
    from server_bundle.embedded import server as embedded

    target = forecast.target
    where = f"{target.server} ({target.why})"
    if target.is_embedded:
        where = f"the embedded {embedded.MODEL} ({target.why})"
    output.note(f"  runs on    {where}")
    output.note(f"  counted    {terminal_text.one_line(forecast.count.by)}")
    verdict = forecast.verdict
    output.note(f"  room       {verdict.kind.value}: {verdict.reason}")
    if forecast.split is not None:
        _describe_split(forecast.split)
    elif verdict.cure:
        output.note(f"             {verdict.cure}")
    if forecast.expected is not None:
        each = "each part " if forecast.split is not None else ""
        end = f"given up after {forecast.deadline:,.0f} s"
        end += ", later while it gets on" if forecast.is_lasting else ""
        output.note(f"  time       {forecast.time}; {each}{end}")
    for line in forecast.ahead.lines():
        output.note(f"  now        {line}")
    if forecast.doubt:
        output.note(f"WARNING: {forecast.doubt}")


def _describe_split(plan: Plan) -> None:
    """Loudly: it takes more requests than one, and it is another kind of reading."""
    levels = plan.levels
    more = plan.total - len(plan.chunks)
    through = f" on {len(levels)} levels" if len(levels) > 1 else ""
    output.note(
        f"  SPLIT      read in {len(plan.chunks):,} parts of up to {plan.largest:,} tokens, each a "
        f"request with {plan.answer:,} tokens to answer; then {more:,} more{through} to make one "
        "answer of theirs, which names parts by number: [3]"
    )
    output.note(
        "             That is no reading in one piece: no part knows another, and what only the "
        "whole shows may be missed. --split never refuses instead"
    )
