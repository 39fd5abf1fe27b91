"""What a command says once jobs are stored."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from jobs.errors import KtjobError, StoreUnusable
from ktclient.cli import command_settings
from ktclient.cli.render import output, terminal_text


def print_naming(text: str, ids: Sequence[str]) -> None:
    """Print the ids of stored jobs on stdout; if that fails, name them on stderr."""
    with name_if_interrupted() as name:
        for job_id in ids:
            name(job_id)
        output.print_data(text)


@contextlib.contextmanager
def name_if_interrupted() -> Iterator[Callable[[str], None]]:
    """If Ctrl-C or an error comes after a job was stored, print its id.

    Otherwise the user would submit it again and pay for two prefills. Yields a function that takes
    the id of each stored job.
    """
    stored: list[str] = []
    try:
        yield stored.append
    except (KeyboardInterrupt, KtjobError, OSError):  # OSError: the id could not be printed
        for job_id in stored:
            output.note(
                f"job {job_id} is stored and will run anyway; to cancel it: ktjob cancel {job_id}"
            )
        raise


def say_blocked(ids: Sequence[str]) -> None:
    """Print what keeps stored jobs from starting before somebody changes it, if anything does. The
    jobs are stored: that the store cannot be read just now is no failure of the command."""
    from ktclient.records import access, snapshot, tally

    try:
        with access.open_recovered(command_settings.state()) as store:
            jobs = snapshot.of_jobs(store, store.jobs_of(ids))
    except StoreUnusable:
        return
    if why := tally.blocked(jobs):
        output.note(f"  PAUSED     {terminal_text.one_line(why)}")


def say_next(ids: Sequence[str]) -> None:
    """Print the commands for what was stored, and the group of several."""
    if len(ids) == 1:
        output.note(f"  next       ktjob wait {ids[0]}, then ktjob result {ids[0]}")
    elif group := group_of(ids):
        output.note(f"  group      {group}: {len(ids):,} jobs, one line in ktjob status")
        output.note(f"  next       ktjob wait {group}, then ktjob result {group} -o answers.md")


def group_of(ids: Sequence[str]) -> str | None:
    """The group of jobs that were stored together; None if the store cannot be read just now."""
    from ktclient.api.selection import Selection

    with contextlib.suppress(StoreUnusable):
        return Selection.of_ids(ids).group
    return None


def warn_of_logout() -> None:
    """Print a warning if a logout can kill the runner that is alive now."""
    from jobs.processes import identity
    from jobs.system import logout

    runner = identity.holder(command_settings.state().runner_lock)
    threat = logout.threat(runner.pid) if runner is not None else None
    if threat is not None and threat.is_certain:
        found = terminal_text.one_line(threat.found)
        output.note(f"WARNING: logging out can kill this job's runner: {found}. Fix: {threat.cure}")
