"""Stopping a server, for `down` and `restart`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs import durations
from ktclient.cli import exit_codes
from ktclient.cli.render import output, progress_line, terminal_text, units
from ktclient.config.settings import EMBEDDED, Settings
from ktclient.errors import BadInput
from ktclient.records import server_load
from server_bundle.errors import ServerInUse

if TYPE_CHECKING:
    from server_bundle.launch.registry import Observed
    from server_bundle.launch.stop import Stopped


def drain_seconds(timeout: float | None) -> float:
    """Seconds to wait for running requests, by --timeout. Raises `BadInput`."""
    from server_bundle.launch import stop as launch_stop

    if timeout is None:
        return launch_stop.DRAIN_SECONDS
    if not 0 <= timeout < 1e6:
        raise BadInput(f"--timeout {timeout:g}: it must be 0 seconds or more")
    return timeout


def stop_embedded(settings: Settings, force: bool, dry_run: bool) -> int:
    """Stop the embedded server, if it is running. Returns the exit code. Raises `ServerInUse`."""
    from server_bundle.embedded import server as embedded

    running = embedded.status(settings.state.server)
    if running is None:
        output.note("no server started by ktserver is running")
        return exit_codes.SUCCEEDED
    jobs_that_lose(settings, EMBEDDED, EMBEDDED, force)
    if dry_run:
        output.note(f"would stop {running.url}")
        return exit_codes.SUCCEEDED
    stopped = embedded.down(settings.state.server)
    output.note(f"stopped {stopped.url}" if stopped else "the server had already stopped")
    return exit_codes.SUCCEEDED


def jobs_that_lose(settings: Settings, name: str, server: str, force: bool) -> list[str]:
    """The ids of running jobs that lose their request. Raises `ServerInUse` unless forced."""
    jobs = server_load.running_jobs(settings.state, server)
    if jobs and not force:
        named = f"jobs {', '.join(jobs)} are" if len(jobs) > 1 else f"job {jobs[0]} is"
        raise ServerInUse(
            f"{named} running on {name!r}; the prefill so far would be lost. "
            "Wait (ktjob wait), cancel (ktjob cancel), or use --force"
        )
    return jobs


def stop_server(
    settings: Settings, seen: Observed, seconds: float, force: bool, dry_run: bool
) -> tuple[int, Stopped | None]:
    """Stop a server, with `seconds` for its running requests. Returns the exit code, and how it
    ended if it was stopped now. Raises `ServerInUse`."""
    from server_bundle.launch import stop as launch_stop

    name, url = seen.server.name, seen.server.url
    if not seen.is_there:
        output.note(f"{name!r} is not running" + (f": {seen.why}" if seen.why else ""))
        return exit_codes.SUCCEEDED, None
    jobs = jobs_that_lose(settings, name, url, force) if seen.is_running else []
    if dry_run:
        pids = ", ".join(str(one.pid) for one in seen.server.members)
        output.note(
            f"would stop {name!r} at {url}: SIGTERM, up to {durations.exact(seconds)} s "
            f"for its requests, then SIGKILL for what is left of {pids}"
        )
        return exit_codes.SUCCEEDED, None
    try:
        with progress_line.line() as line:
            stopped = launch_stop.down(
                seen.files,
                seconds,
                lambda spent: line.start(
                    f"{name}: waiting for its requests  {units.duration(spent)} of "
                    f"{durations.exact(seconds)}s",
                    f"{spent // 30:.0f}",
                    None,
                    None,
                ),
            )
    except KeyboardInterrupt:
        output.note(f"{name!r} is still stopping; to stop it now: ktserver down {name} --timeout 0")
        return exit_codes.INTERRUPTED, None
    if stopped is None:
        output.note(f"{name!r} has just ended")
        return exit_codes.SUCCEEDED, None
    return _print_stopped(stopped, url, jobs), stopped


def _print_stopped(stopped: Stopped, url: str, jobs: list[str]) -> int:
    name, spent = stopped.server.name, units.duration(stopped.seconds)
    output.note(f"stopped {name!r} at {url} in {spent}")
    if stopped.killed:
        output.note(f"  processes that had to be killed: {stopped.killed}")
    if stopped.ended is not None and stopped.ended.lost:
        rids = ", ".join(terminal_text.one_line(rid) for rid in stopped.ended.lost)
        output.note(f"  requests that were lost, by their rid: {rids}")
    if jobs:
        output.note(f"  jobs that lost their request, if it had not ended: {', '.join(jobs)}")
    if stopped.immortal:
        pids = ", ".join(str(one.pid) for one in stopped.immortal)
        output.note(
            f"  processes {pids} cannot be killed: they are blocked in the kernel (driver or disk)"
        )
        return exit_codes.FAILED
    return exit_codes.SUCCEEDED
