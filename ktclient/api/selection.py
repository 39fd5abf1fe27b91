"""Several jobs together: selected by id or filter, waited for and cancelled in one step."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs import durations
from ktclient import hidden, times, wording
from ktclient.api.job import Changed, Job, changes_of, patiently, unsuccessful
from ktclient.config import settings as config
from ktclient.errors import NotFinished
from ktclient.records import access, selector, snapshot, tally, written_files
from ktclient.records.snapshot import Snapshot
from ktclient.records.written_files import Output

if TYPE_CHECKING:
    from typing_extensions import Unpack

_LOOK_SECONDS = 0.2
_REST = 4
"""Times the duration of a look is the least time until the next one, where many jobs wait."""


class Selection(list[Job]):
    """Jobs in order, as a list; its methods act on all of them in one step."""

    def __init__(self, jobs: Iterable[Job] = (), settings: config.Settings | None = None) -> None:
        super().__init__(jobs)
        self._settings = settings
        self._state = settings.state if settings else config.state_dir()

    @classmethod
    def of_ids(cls, ids: Iterable[str], settings: config.Settings | None = None) -> Selection:
        """The jobs with these ids, which are known to exist."""
        return cls((Job.known(job_id, settings) for job_id in ids), settings)

    @property
    def ids(self) -> list[str]:
        return [job.id for job in self]

    @property
    def group(self) -> str | None:
        """The id of their group; None if they were not submitted together."""
        found = {one.group for one in self.statuses()}
        return found.pop() if len(found) == 1 else None

    def statuses(self) -> list[Snapshot]:
        """The current status of each job, in order. Raises `NoSuchJob` if one was deleted."""
        return self._statuses(self.ids)

    def cancel(self) -> list[Snapshot]:
        """Request cancellation of all jobs in one transaction; returns their status. Queued ones
        end immediately, running ones usually within a second or two: `wait` for them. No effect on
        those that have ended."""
        if not self:
            return []
        with access.open_recovered(self._state) as store:
            now = snapshot.of_jobs(store, store.request_cancels(self.ids))
            is_original = store.original is None
        if is_original and any(not one.is_finished for one in now):
            access.ensure_runner(self._state)  # it watches over the cancels
        return now

    def hold(self) -> dict[str, str]:
        """Keep the queued jobs from starting until `release`, in one transaction. Returns why some
        were refused, by id: those whose requests were sent, and those that have ended."""
        from ktclient.submission import queue_control

        settings = self._settings or config.load()
        return queue_control.hold(settings, self.ids) if self else {}

    def release(self) -> dict[str, str]:
        """Let held jobs start, in one transaction. Returns why some were refused, by id."""
        from ktclient.submission import queue_control

        settings = self._settings or config.load()
        return queue_control.release(settings, self.ids) if self else {}

    def prioritize(self, priority: int | None = None) -> dict[str, str]:
        """Set the priority of queued jobs, in one transaction; None: before all others that wait,
        in this order. Returns why some were refused, by id."""
        from ktclient.submission import queue_control

        settings = self._settings or config.load()
        return queue_control.prioritize(settings, self.ids, priority) if self else {}

    def edit(self, **changes: Unpack[Changed]) -> list[Snapshot]:
        """Change queued jobs in the same way, all or none, in one transaction. Otherwise as
        `Job.edit`."""
        from ktclient.submission import renewal

        settings = self._settings or config.load()
        if self:
            renewal.edit(self.ids, changes_of(changes), settings)
        return self.statuses()

    def rerun(self, **changes: Unpack[Changed]) -> Selection:
        """New jobs like these, whatever became of them, with these changes; several are a group.
        Otherwise as `Job.rerun`."""
        from ktclient.submission import renewal

        settings = self._settings or config.load()
        done = renewal.rerun(self.ids, changes_of(changes), settings) if self else []
        return Selection.of_ids((one.id for one in done), self._settings)

    def wait(self, timeout: float | None = None) -> Selection:
        """Return when all jobs have ended, in any state. Raises `NotFinished` after `timeout`
        seconds; the jobs keep running."""
        for _ in self.watch(timeout):
            continue
        return self

    def watch(self, timeout: float | None = None) -> Iterator[list[Snapshot]]:
        """Like `wait`, yielding the status of all jobs, in order, several times a second; the last
        one is the end. Raises `StoreCopied` for jobs that have not ended in a copy of a state
        directory."""
        give_up, known, is_checked = times.deadline(timeout), dict[str, Snapshot](), False
        while True:
            begun = time.monotonic()
            wanted = [one for one in self.ids if one not in known or not known[one].is_finished]
            found = patiently(functools.partial(self._statuses, wanted))
            known.update((one.id, one) for one in found)
            is_open = any(not one.is_finished for one in found)
            if is_open and not is_checked:
                patiently(lambda: access.require_running_here(self._state))
                is_checked = True
            yield [known[job_id] for job_id in self.ids]
            if not is_open:
                return
            if give_up is not None and time.monotonic() >= give_up:
                raise NotFinished(_not_finished(found, timeout))
            # SQLite has no event for another process's commit.
            time.sleep(max(_LOOK_SECONDS, _REST * (time.monotonic() - begun)))

    def results(self, timeout: float | None = None) -> list[str]:
        """Wait for all answers and return them in order. Raises like `Job.result`, for the first
        job that did not succeed; `NotFinished` after `timeout` seconds."""
        self.wait(timeout)
        return patiently(self._answers)

    def export(
        self,
        path: str | Path,
        form: str | None = None,
        *,
        with_documents: bool = False,
        with_thoughts: bool = False,
        force: bool = False,
    ) -> Path:
        """Write the jobs, which must have ended, to a file, whole or not at all. Returns its path.

        `form` is "md", "html", "csv", "json" or "jsonl"; by default, what the file's name ends
        with. The last two are read by `import_jobs`. A file that is there is replaced if ktjob
        wrote it and it was not changed since; `force` replaces any other.

        Raises `NotFinished`, `NoSuchJob`, and `BadInput` if the file would be lost or cannot be
        written.
        """
        from ktclient.exports import file
        from ktclient.exports.record import Contents

        name = str(path)
        chosen = file.format_of(name, form)
        with access.open_recovered(self._state) as store:
            jobs = store.jobs_of(self.ids)
            file.require_ended(jobs)
            contents = Contents(with_documents, with_thoughts)
            written_files.require_no_source(name, jobs)
            text = file.pieces(store, jobs, chosen, contents)
            file.write(self._state, Output(name, tuple(self.ids), force), text)
        return Path(name)

    def _answers(self) -> list[str]:
        found = []
        with access.open_recovered(self._state) as store:
            for job in store.jobs_of(self.ids):
                text = snapshot.answer(store, job)
                if job.state != "SUCCEEDED":
                    raise unsuccessful(job, text)
                found.append(text)
        return found

    def _statuses(self, ids: Sequence[str]) -> list[Snapshot]:
        if not ids:
            return []
        with access.open_recovered(self._state) as store:
            return snapshot.of_jobs(store, store.jobs_of(ids))


def _not_finished(found: Sequence[Snapshot], timeout: float | None) -> str:
    left = [one for one in found if not one.is_finished]
    limit = durations.exact(timeout or 0.0)
    if len(left) == 1:
        state = left[0].blocked or "it is still running"
        return f"job {left[0].id} has not finished within {limit} s; {state}"
    blocked = tally.blocked(left)
    why = f"; {blocked}" if blocked else ""
    return f"{wording.count(len(left), 'job')} have not finished within {limit} s{why}"


@hidden.InWords()
def select(  # noqa: PLR0913 - the words of every command
    *jobs: str,
    states: Sequence[str] = (),
    since: str | None = None,
    until: str | None = None,
    label: str | None = None,
    server: str | None = None,
    search: str | None = None,
    in_documents: bool = False,
    group: str | None = None,
    everything: bool = False,
) -> Selection:
    """The stored jobs that these words mean, as on the command line.

    `jobs` are ids, unique prefixes, "@last" (the newest), "@last-3" (three before it), ids of
    groups, and "@group" (the newest group). The
    filters are those of `ktjob list`: `states` ("failed", "ended" …), `since` and `until` ("2d",
    "yesterday", "2026-11-20"), `label` (with * and ?), `group`, `server` (a part of its URL) and
    `search` (words; with `in_documents`, in the texts of the documents too). With both, the named
    jobs that match; `everything` selects all jobs. Named
    jobs come in that order, others oldest first.

    Raises `NoSuchJob`, `AmbiguousId`, and `BadInput` for no word and no filter.
    """
    wanted = selector.parse(
        jobs,
        states=[states] if isinstance(states, str) else states,
        since=since,
        until=until,
        label=label,
        server=server,
        search=search,
        places="documents" if in_documents else None,
        group=group,
        is_all=everything,
    )
    with access.open_recovered(config.state_dir()) as store:
        return Selection.of_ids([job.id for job in selector.select(store, wanted).jobs])


@hidden.InWords()
def import_jobs(path: str | Path, *, incomplete: bool = False) -> Selection:
    """Store the jobs of a file that `Selection.export` or `ktjob export` wrote as JSON or JSON
    Lines, as ended jobs; none of them runs. Returns all jobs of the file as they are here.

    They keep their ids where these are free. Jobs that are here already are left as they are.
    `incomplete`: also what is left of a file that was cut.

    Raises `BadInput` for a file that is damaged or was not written by ktjob, and `StoreUnusable`;
    then nothing was imported.
    """
    from ktclient.exports import incoming

    stored = incoming.store(config.state_dir(), str(path), incomplete=incomplete)
    return Selection.of_ids(one.id for one in stored)
