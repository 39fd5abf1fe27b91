"""What the page changes about the queue and about jobs that wait: the rules are those of `ktjob
pause`, `hold`, `priority`, `edit` and `rerun`. In threads: each may wait for the disk, or ask a
server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobs.errors import IllegalTransition, KtjobError
from jobs.model import Job, Status
from jobs.store import rerun as reruns
from jobs.store.http.store import HttpStore
from ktclient.config.settings import Settings
from ktclient.errors import BadInput
from ktclient.gateway.context import Caller
from ktclient.gateway.page import actions, servers, submit
from ktclient.records import access, kinds
from ktclient.submission import queue_control, renewal
from ktclient.submission.changes import Changes

HIGHEST_OF_KEYS = 0
"""The highest priority that a key without admin's rights may give: that of all other jobs, or one
key would put its jobs before those of others."""

Refusals = dict[str, str]
_FIELDS: Mapping[str, tuple[type, ...]] = {
    "question": (str,),
    "max_tokens": (int,),
    "timeout": (int, float),
    "server": (str,),
    "model": (str,),
    "thinking": (bool,),
    "effort": (str,),
    "label": (str,),
    "at": (str,),
}


def pause(settings: Settings, server: str | None) -> None:
    """Let no job start, or none of a server. Raises `BadInput`."""
    queue_control.pause(settings, _known(server, settings))


def resume(settings: Settings, server: str | None) -> None:
    """End that pause."""
    queue_control.resume(settings, _known(server, settings))


def _known(server: str | None, settings: Settings) -> str | None:
    """Only a server of the configuration, or one that has jobs."""
    if server is None or server in servers.names(settings):
        return server
    with HttpStore.open(settings.state) as store:
        if server in store.capacities() or any(one.pool == server for one in store.pauses()):
            return server
    raise BadInput(f"there is no server {server!r} in the configuration, and no job for it")


def prioritize(jobs: Sequence[Job], priority: int | None, settings: Settings) -> Refusals:
    """Set the priority of waiting jobs; None: before all others. Returns why some were refused."""
    return queue_control.prioritize(settings, _ids(jobs), priority)


def hold(jobs: Sequence[Job], settings: Settings, caller: Caller) -> Refusals:
    return queue_control.hold(settings, _ids(jobs))


def release(jobs: Sequence[Job], settings: Settings, caller: Caller) -> Refusals:
    return queue_control.release(settings, _ids(jobs))


def cancel(jobs: Sequence[Job], settings: Settings, caller: Caller) -> Refusals:
    """Request cancellation of all of them in one transaction."""
    with HttpStore.open(settings.state) as store:
        now = store.request_cancels(_ids(jobs))
    if any(job.status is not Status.FINISHED for job in now):
        access.ensure_runner(settings.state)  # it watches over the cancels
    return {}


def retry(jobs: Sequence[Job], settings: Settings, caller: Caller) -> Refusals:
    """Retry each of them, or none if one cannot be."""
    for job in jobs:
        reruns.require_unsuccessful(job)
        kinds.require_own(job)
    refused = {}
    for job in jobs:
        try:
            actions.retry(job, settings, caller)
        except (IllegalTransition, BadInput) as error:
            refused[job.id] = str(error)
    return refused


def delete(jobs: Sequence[Job], settings: Settings, caller: Caller) -> Refusals:
    """Delete the jobs that have ended."""
    refused = {}
    for job in jobs:
        try:
            actions.delete(job, settings)
        except KtjobError as error:
            refused[job.id] = str(error)
    return refused


Change = Callable[[Sequence[Job], Settings, Caller], Refusals]
CHANGES: Mapping[str, Change] = {
    "cancel": cancel,
    "retry": retry,
    "hold": hold,
    "release": release,
    "delete": delete,
}
"""What is done to several jobs, by its name in the request."""


def concerned(what: str, jobs: Sequence[Job]) -> list[Job]:
    """Those of a group's jobs that a change is meant for, as the commands choose them."""
    rules: Mapping[str, Callable[[Job], bool]] = {
        "cancel": lambda job: job.status is not Status.FINISHED,
        "retry": lambda job: job.status is Status.FINISHED and job.state != "SUCCEEDED",
        "hold": lambda job: job.status is Status.QUEUED,
        "release": lambda job: job.held_at is not None and job.status is not Status.FINISHED,
        "delete": lambda job: job.status is Status.FINISHED,
    }
    return [job for job in jobs if rules[what](job)]


def changes(fields: Mapping[str, Any], settings: Settings) -> Changes:
    """What is not as in the stored job. Raises `BadInput` for a field that is none of these or of
    another type, and for a server that is not in the configuration."""
    for name, value in fields.items():
        types = _FIELDS.get(name)
        is_number = isinstance(value, bool) and types != (bool,)  # True is an int
        if types is None or not isinstance(value, types) or is_number:
            raise BadInput(f"{name!r} is no field of this request, or of the wrong type")
    found = dict(fields)
    found["server"] = submit.known_server(found.get("server"), settings)
    return Changes(**found)


def edit(job: Job, wanted: Changes, settings: Settings) -> None:
    """Change a job that waits. Raises what `renewal.edit` raises."""
    renewal.edit([job.id], wanted, settings)


def rerun(job: Job, wanted: Changes, settings: Settings, caller: Caller) -> str:
    """The id of a new job like this one. Raises what `renewal.rerun` raises."""
    request = submit.request_of(caller)
    (done,) = renewal.rerun([job.id], wanted, settings, request=request)
    return done.id


def _ids(jobs: Sequence[Job]) -> list[str]:
    return [job.id for job in jobs]
