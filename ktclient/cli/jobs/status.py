"""`ktjob status`: show running, queued and recent jobs, once or continuously."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from ktclient.cli import command_settings
from ktclient.cli.render import output, terminal, terminal_text
from ktclient.errors import BadInput, KtjobError

if TYPE_CHECKING:
    from jobs.store.state_dir import StateDir
    from jobs.store.store import Store
    from ktclient.records.overview import Overview

_ROWS = 20
_DRAW_SECONDS = 0.5
_READ_SECONDS = 1.0
"""The minimum time between two reads of a busy store: with 10,000 jobs one read takes 30 ms."""
_SEE_TO_SECONDS = 2.0
"""The time between two checks that RUNNING jobs still have a live worker."""
_NONE_YET = "no jobs yet; submit one with: ktjob submit FILE --summarize"


@click.command()
@click.argument("job_id", metavar="[ID]", required=False)
@click.option("-w", "--watch", is_flag=True, help="Keep watching until Ctrl-C or job ID ends.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object, or a list.")
def status(job_id: str | None, watch: bool, as_json: bool) -> None:
    """Show running, queued and recent jobs, at most 20; or job ID in full, or a group's jobs.

    Jobs that were submitted together are one line. You can shorten IDs to any unique prefix.
    """
    state = command_settings.state()
    if watch and as_json:
        raise BadInput("--watch is for people; for programs: ktjob events --follow")
    if job_id is not None:
        from ktclient.cli.jobs import lookup, selection
        from ktclient.cli.render import job_details
        from ktclient.records import overview, snapshot

        if selection.is_group(job_id):
            _show_group(job_id, watch, as_json)
            return
        with lookup.open_job(job_id) as (store, job):
            job_id, one = job.id, snapshot.of_job(store, job)
            waits = overview.reason(store, one)
        if not watch:
            if as_json:
                output.print_data(job_details.json_text(one.to_dict()))
            else:
                output.print_lines(job_details.block(one, waits=waits))
            return
    if watch:
        with contextlib.suppress(KeyboardInterrupt):  # the way to stop watching
            _watch(state, job_id)
        return
    _show(state, as_json)


def _show_group(word: str, watch: bool, as_json: bool) -> None:
    """One line about a group, and its jobs."""
    from ktclient.cli.jobs import selection
    from ktclient.cli.render import job_details, job_table
    from ktclient.records import blocks, selector, snapshot, tally

    if watch:
        raise BadInput(f"a group is watched with: ktjob wait {word}")
    wanted = selector.parse([word])
    with selection.open_selected(wanted) as (store, found):
        jobs = snapshot.of_jobs(store, found.jobs)
        group = store.group_in_numbers(str(jobs[0].group))
        pauses = store.pauses()
        blocked = blocks.of_groups(store, [group], pauses) if group is not None else {}
    if as_json:
        output.print_data(job_details.json_text([job.to_dict() for job in jobs]))
        return
    output.print_data(f"{jobs[0].group}: {tally.of(jobs).in_words()}")
    for one in blocked.values():
        output.note(str(one.block))
    lines = job_table.of_jobs(jobs, terminal.columns(), coloured=terminal.is_coloured())
    output.print_painted("\n".join(lines))


def _show(state: StateDir, as_json: bool) -> None:
    now: Overview | None = None
    if state.is_stored():  # looking creates nothing
        from ktclient.records import access, overview

        with access.open_recovered(state) as store:
            now = (overview.read if as_json else overview.read_grouped)(store, _ROWS)
    if as_json:
        from ktclient.cli.render import job_details

        output.print_data(job_details.json_text([job.to_dict() for job in now.jobs] if now else []))
    elif now is None or not now.jobs:
        output.note(_NONE_YET)
        for note in _pauses(now):
            output.note(note)
    else:
        output.print_painted("\n".join(_table(now, terminal.columns())))
        if more := now.more():
            output.note(f"{more} (ktjob list)")
        for note in _troubles(state, now):
            output.note(note)


def _table(now: Overview, room: int | None) -> list[str]:
    from ktclient.cli.render import job_table

    return job_table.of_jobs(now.jobs, room, coloured=terminal.is_coloured(), waits=now.waits)


def _troubles(state: StateDir, now: Overview) -> list[str]:
    """What keeps queued jobs from starting, with the fix."""
    from ktclient.records import blocks, troubles

    refused = _pauses(now)
    held = [f"{job.id}: {job.blocked}" for job in now.jobs if job.blocked_by == blocks.HELD]
    refused += [blocks.in_short(held)] if held else []
    refused += [f"job {job_id} waits: {why}" for job_id, why in now.refused.items()]
    is_waiting = any(job.state == "QUEUED" for job in now.jobs)
    runner = troubles.of_runner(state) if is_waiting else None
    return refused if runner is None else [*refused, runner]


def _pauses(now: Overview | None) -> list[str]:
    """What is paused, with the command that ends it."""
    from ktclient.records import blocks

    found = [blocks.of_pause(one) for one in (now.paused if now is not None else ())]
    return [
        f"{one.why}; running requests continue, no new one starts: {one.command}" for one in found
    ]


def _watch(state: StateDir, job_id: str | None) -> None:
    if not terminal.can_redraw():
        _log(state, job_id)
        return
    from ktclient.cli.render import page as render_page

    last: list[str] = []
    try:
        with render_page.page() as page:
            view = _View(state, job_id)

            def draw(store: Store | None) -> bool:
                last[:], has_ended = view.lines(store, *page.size())
                page.show(last)
                return has_ended

            _look_on(state, draw)
    finally:
        output.print_painted("\n".join(last))


class _View:
    """The lines to draw. Reads the store again only after it has changed."""

    def __init__(self, state: StateDir, job_id: str | None) -> None:
        self._state, self._job_id = state, job_id
        self._seen: tuple[object, ...] = ()
        self._read_at = -_READ_SECONDS
        self._board: Overview | None = None

    def lines(self, store: Store | None, columns: int, height: int) -> tuple[list[str], bool]:
        """Lines that fit a terminal of this size, and whether the one job has ended."""
        if store is None:
            return [_NONE_YET[:columns]], False
        if self._job_id is not None:
            from ktclient.cli.render import job_details
            from ktclient.records import snapshot

            one = snapshot.of_job(store, store.job(self._job_id))
            whole = job_details.block(one, columns).splitlines()
            lines = [part for line in whole for part in _folded(line, columns)]
            return lines[:height], one.is_finished
        now = self._read(store, height)
        if not now.jobs:
            return [_NONE_YET[:columns]], False
        notes = [now.more(), *_troubles(self._state, now)]
        below = [terminal_text.shortened(note, columns) for note in notes if note]
        return [*_table(now, columns)[: height - len(below)], *below], False

    def _read(self, store: Store, height: int) -> Overview:
        seen, at = (store.version(), height), time.monotonic()
        is_due = seen != self._seen and at - self._read_at >= _READ_SECONDS
        if self._board is None or is_due:
            from ktclient.records import overview

            self._seen, self._read_at = seen, at
            self._board = overview.read_grouped(store, max(1, height - 3))
        return self._board


def _folded(line: str, columns: int) -> list[str]:
    folded = terminal_text.wrapped(line, columns).split("\n")
    return [terminal_text.shortened(part, columns) for part in folded]


def _log(state: StateDir, job_id: str | None) -> None:
    from ktclient.cli.render.state_changes import Log

    log: Log | None = None
    of: Store | None = None

    def tell(store: Store | None) -> bool:
        nonlocal log, of
        if store is None:
            return False
        # Read before the events: a change that comes later is printed by the next turn.
        has_ended = job_id is not None and store.job(job_id).finished_at is not None
        if log is None or of is not store:
            log, of = Log(store, job_id), store
            log.begin()
        log.go_on()
        return has_ended

    _look_on(state, tell)


def _look_on(state: StateDir, show: Callable[[Store | None], bool]) -> None:
    """Call `show` with the store twice a second until it returns True.

    `show` gets None while there is no store; one that was removed is awaited again. One that was
    seen and cannot be used any more is tried again for a while.
    """
    from ktclient.records import access

    patience = access.Patience()
    while True:
        if not state.has_database():
            show(None)
            time.sleep(_DRAW_SECONDS)
            continue
        try:
            with access.open_recovered(state) as store:
                patience.succeeded()
                if _look_at_one(store, state, show):
                    return
        except KtjobError as error:
            patience.failed(error)
            time.sleep(_DRAW_SECONDS)


def _look_at_one(store: Store, state: StateDir, show: Callable[[Store | None], bool]) -> bool:
    """The same while the store is there. Whether `show` has returned True."""
    from ktclient.records import access

    seen_to = time.monotonic()
    while not store.is_gone:
        if time.monotonic() - seen_to > _SEE_TO_SECONDS:
            access.recover_and_wake(store, state)
            seen_to = time.monotonic()
        if show(store):
            return True
        time.sleep(_DRAW_SECONDS)
    return False
