"""What keeps queued jobs from starting, with the fix."""

from __future__ import annotations

from jobs import clock
from jobs.store.state_dir import StateDir


def of_runner(state: StateDir) -> str | None:
    """One that is stopped, or that cannot start jobs; None if it works, or there is none."""
    from jobs.runner import start

    trouble = start.runner_trouble(state)
    if trouble is not None:
        return (
            f"jobs wait: since {_local_time(trouble.since)} the runner (process "
            f"{trouble.pid}) can start neither them nor its successor, and keeps trying: "
            f"{trouble.reason}"
        )
    stopped = start.stopped_runner(state)
    if stopped is None:
        return None
    return (
        f"the runner (process {stopped.pid}) is stopped and starts no jobs; resume it with: "
        f"kill -CONT {stopped.pid}"
    )


def _local_time(utc: str) -> str:
    moment = clock.moment(utc).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")
