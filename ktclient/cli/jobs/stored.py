"""What a command says once jobs are stored."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from jobs.errors import KtjobError
from ktclient.cli.render import output, terminal_text


def print_naming(text: str, ids: Sequence[str]) -> None:
    """Print what says which jobs were stored; where that is not possible, name them on stderr."""
    with name_if_interrupted() as name:
        for job_id in ids:
            name(job_id)
        output.print_data(text)


@contextlib.contextmanager
def name_if_interrupted() -> Iterator[Callable[[str], None]]:
    """Ctrl-C, or a runner that does not start, after the job was stored: say which it is, so that
    nobody submits it again and pays twice."""
    stored: list[str] = []
    try:
        yield stored.append
    except (KeyboardInterrupt, KtjobError, OSError):  # OSError: the id could not be printed
        for job_id in stored:
            output.note(
                f"job {job_id} is stored and will run all the same; "
                f"if you do not want it: ktjob cancel {job_id}"
            )
        raise


def warn_of_logout() -> None:
    """One line for whoever is about to log out in good faith: about the runner that lives."""
    from jobs.processes import identity
    from jobs.system import logout
    from ktclient.config import settings as config

    runner = identity.holder(config.load().state.runner_lock)
    threat = logout.threat(runner.pid) if runner is not None else None
    if threat is not None and threat.is_certain:
        found = terminal_text.one_line(threat.found)
        output.note(
            f"WARNING: logging out can kill this job's runner: {found}. Cure: {threat.cure}"
        )
