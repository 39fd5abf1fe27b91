"""Describe a request before it runs: server, size, time limit, conditions. One line for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jobs import clock, durations
from ktclient import wording
from ktclient.cli.render import output, terminal_text, units
from ktclient.documents import encoded, leftovers, turn_marks

if TYPE_CHECKING:
    from ktclient.documents.collection import Collection
    from ktclient.documents.document import Document
    from ktclient.planning.forecast import Forecast
    from ktclient.planning.token_count import Count
    from ktclient.servers.selection import Target
    from ktclient.splitting.split_plan import Plan
    from ktclient.submission.conditions import Conditions

MOST_LINES = 8
"""The maximum number of jobs or names that are listed one by one."""


def print_skipped(given: Collection) -> None:
    """Print the files of the folders that are not sent, on one line."""
    names = [terminal_text.one_line(name) for name in given.passed_over]
    if names:
        more = f" and {len(names) - MOST_LINES:,} more" if len(names) > MOST_LINES else ""
        listed = ", ".join(names[:MOST_LINES])
        files = wording.count(len(names), "file")
        output.note(f"note: {files} skipped (not text, or empty): {listed}{more}")


def describe_all(documents: Sequence[Document], before: Sequence[Forecast]) -> None:
    """Describe all documents; the longest request stands for the server's part.

    `before` holds all forecasts of the first document, then all of the second, and so on.
    """
    from ktclient.planning import forecast

    tasks = len(before) // len(documents)
    for number, document in enumerate(documents):
        _note(document, before[number * tasks].harmless, is_alone=len(documents) == 1)
    describe(forecast.of_several(before))
    warn_of_prefills(before[:tasks])


def print_conditions(given: Conditions) -> None:
    """Print what the job waits for before it may start."""

    from ktclient import times

    if given.after:
        ids = ", ".join(terminal_text.one_line(one) for one in given.after)
        output.note(f"  starts     after {ids} succeeded; fails if {_one_of(given.after)} fails")
    if given.at is not None:
        left = (given.at - clock.utc()).total_seconds()
        wait = units.duration(max(0.0, left))
        output.note(f"  starts     not before {times.local(given.at)}, in {wait}")


def _one_of(ids: Sequence[str]) -> str:
    return "that job" if len(ids) == 1 else "one of them"


def warn_of_prefills(before: Sequence[Forecast]) -> None:
    """Print the cost of several questions if each of them needs a prefill of its own."""
    from ktclient.planning import preflight

    if (costs := preflight.repeated_prefills(before)) is not None:
        output.note(f"  note       {costs}")


def _note(document: Document, harmless: Mapping[str, int], *, is_alone: bool) -> None:
    """Print how a document was decoded, and what was changed in it. `harmless`: the turn marks in
    the first request about it."""
    it = "it" if is_alone else terminal_text.one_line(document.title)
    if document.read_as:
        name = "" if is_alone else f" {it}:"
        output.note(f"  read as   {name} {document.read_as}")
    if document.guessed:
        name = "" if is_alone else f" {it}:"
        why = f" ({document.guessed_because})" if document.guessed_because else ""
        output.note(f"  read as   {name} {document.guessed}{why}; --encoding NAME overrides")
    if warning := encoded.said(document.encoded, document.text):
        of_it = "" if is_alone else f"{it}: "
        output.note(f"  note       {of_it}{warning}")
    if harmless:
        output.note(f"  note       {turn_marks.said(it, harmless)}")
    doubt = leftovers.doubt(document.cleaned, len(document.text))
    for words in (leftovers.said(document.cleaned), doubt):
        if words:
            output.note(f"  note      {'' if is_alone else f' {it}:'} {words}")
    if document.line_ends:
        of_it = "" if is_alone else f" of {it}"
        output.note(
            f"  note       {wording.count(document.line_ends, 'CR LF line ending')}{of_it} "
            f"{wording.was(document.line_ends)} converted to LF"
        )


def describe(forecast: Forecast) -> None:
    """Print where a request runs, how large it is, whether it fits and how long it may take."""
    from ktclient.planning import fit
    from server_bundle.embedded import server as embedded

    target = forecast.target
    where = f"{target.server} ({target.why})"
    if target.is_embedded:
        where = f"the embedded {embedded.MODEL} ({target.why})"
    output.note(f"  runs on    {where}")
    if target.facts is not None and not target.is_embedded:
        output.note(f"  model      {_model(target)}")
    output.note(f"  tokens     {_counted(forecast.count)}")
    if forecast.words is not None:
        output.note(f"  thinking   {forecast.words}")
    verdict = forecast.verdict
    exception = "" if verdict.kind is fit.Kind.FITS else f"{verdict.kind.value}: "
    output.note(f"  size       {exception}{verdict.reason}")
    if forecast.split is not None:
        _describe_split(forecast.split)
    elif verdict.cure:
        output.note(f"             {verdict.cure}")
    if forecast.expected is not None:
        each = " for each part" if forecast.split is not None else ""
        limit = f"time limit{each} {durations.exact(forecast.deadline)} s"
        limit += ", extended while it makes progress" if forecast.is_lasting else ""
        output.note(f"  time       {forecast.time_in_line}; {limit}")
    for line in forecast.ahead.lines():
        output.note(f"  now        {line}")
    if forecast.doubt:
        output.note(f"WARNING: {forecast.doubt}")


def _model(target: Target) -> str:
    """The model that gets the request, and what else there is to choose from."""
    assert target.facts is not None
    name = terminal_text.one_line(target.facts.model)
    others = [terminal_text.one_line(one) for one in target.facts.models if one != name]
    if not others or target.model is not None:
        return name
    more = f" and {len(others) - MOST_LINES:,} more" if len(others) > MOST_LINES else ""
    return f"{name} (the server also has {', '.join(others[:MOST_LINES])}{more}; --model chooses)"


def _counted(count: Count) -> str:
    by = terminal_text.one_line(count.by)
    return by if count.is_rough or by.startswith("counted ") else f"counted with {by}"


def _describe_split(plan: Plan) -> None:
    """Print a clear notice: splitting takes several requests and can miss context."""
    levels = plan.levels
    more = plan.total - len(plan.chunks)
    through = f" on {len(levels)} levels" if len(levels) > 1 else ""
    output.note(
        f"  SPLIT      into {len(plan.chunks):,} parts of up to {plan.largest:,} tokens, one "
        f"request each, with up to {wording.count(plan.answer, 'output token')}; then "
        f"{wording.count(more, 'more request')}{through} {'combines' if more == 1 else 'combine'} "
        "the answers into one, which cites parts by number: [3]"
    )
    output.note(
        "             Parts are processed independently, so cross-part context may be missed. "
        "To refuse instead: --split never"
    )
