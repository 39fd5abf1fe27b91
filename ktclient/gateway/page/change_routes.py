"""The routes behind the page's buttons: what they change of one job, of several, of the queue."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from jobs.errors import IllegalTransition
from jobs.model import Job
from jobs.store.http.store import HttpStore
from ktclient.gateway import visibility
from ktclient.gateway.context import Caller
from ktclient.gateway.page import actions, control, groups
from ktclient.gateway.page.own_requests import json_answer, own, visible
from ktclient.gateway.wire.errors import PERMISSION, ApiError
from ktclient.gateway.wire.requests import (
    caller_of,
    gateway_of,
    require_admin,
    short_fields_of,
)

MOST_AT_ONCE = 1000
"""Jobs that are named in one request."""

_T = TypeVar("_T")


def routes() -> list[BaseRoute]:
    """All of them are POST, and for the page's own requests only."""
    found = {
        "/page/jobs/{id}/cancel": _cancel,
        "/page/jobs/{id}/retry": _retry,
        "/page/jobs/{id}/ask": _ask,
        "/page/jobs/{id}/edit": _edit,
        "/page/jobs/{id}/rerun": _rerun,
        "/page/jobs/{id}/priority": _priority,
        "/page/jobs/{id}/delete": _delete,
        "/page/several/{what}": _several,
        "/page/pause": _pause,
        "/page/resume": _resume,
    }
    return [Route(path, own(handler), methods=["POST"]) for path, handler in found.items()]


async def _cancel(request: Request) -> Response:
    gateway, job = gateway_of(request), await visible(request)
    await gateway.threads.check(actions.cancel, job, gateway.settings)
    return json_answer({"id": job.id})


async def _retry(request: Request) -> Response:
    gateway, job = gateway_of(request), await visible(request)
    done = gateway.threads.check(actions.retry, job, gateway.settings, caller_of(request))
    return json_answer({"id": await _allowed(done)})


async def _ask(request: Request) -> Response:
    gateway, job = gateway_of(request), await visible(request)
    question = (await short_fields_of(request)).get("question")
    if not isinstance(question, str):
        raise ApiError(400, "question must be text", param="question")
    caller = caller_of(request)
    new = await gateway.threads.check(actions.ask, job, question, gateway.settings, caller)
    return json_answer({"id": new})


async def _delete(request: Request) -> Response:
    gateway, job = gateway_of(request), await visible(request)
    await _allowed(gateway.threads.check(actions.delete, job, gateway.settings))
    return json_answer({"id": job.id})


async def _edit(request: Request) -> Response:
    """Change a job that waits: the fields that are given, see `control.changes`."""
    gateway, job = gateway_of(request), await visible(request)
    wanted = control.changes(await short_fields_of(request), gateway.settings)
    await _allowed(gateway.threads.check(control.edit, job, wanted, gateway.settings))
    return json_answer({"id": job.id})


async def _rerun(request: Request) -> Response:
    """A new job like this one, with the same fields."""
    gateway, job = gateway_of(request), await visible(request)
    wanted = control.changes(await short_fields_of(request), gateway.settings)
    caller = caller_of(request)
    new = await gateway.threads.check(control.rerun, job, wanted, gateway.settings, caller)
    return json_answer({"id": new})


async def _priority(request: Request) -> Response:
    """{"priority": a whole number, or null: before all others}."""
    gateway, job = gateway_of(request), await visible(request)
    fields = await short_fields_of(request)
    priority = _whole_or_none(fields)
    is_too_high = priority is None or priority > control.HIGHEST_OF_KEYS
    if caller_of(request).sees is not None and is_too_high:
        words = (
            f"a key without admin's rights may give a priority of {control.HIGHEST_OF_KEYS} at "
            "most: others' jobs have it too"
        )
        raise ApiError(403, words, PERMISSION, "admin_key_needed", "priority")
    done = gateway.threads.check(control.prioritize, [job], priority, gateway.settings)
    if refused := await done:
        raise ApiError(409, refused[job.id], code="wrong_state")
    return json_answer({"id": job.id})


def _whole_or_none(fields: dict[str, Any]) -> int | None:
    found = fields.get("priority")
    is_whole = isinstance(found, int) and not isinstance(found, bool)
    if "priority" not in fields or not (found is None or is_whole):
        raise ApiError(400, "priority must be a whole number or null", param="priority")
    return found


async def _several(request: Request) -> Response:
    """Do the same to several jobs, {"ids": […]}, or to those of a group for which it is meant,
    {"group": id}. {"changed": how many, "refused": {id: why}}."""
    gateway, caller = gateway_of(request), caller_of(request)
    what = request.path_params["what"]
    if what not in control.CHANGES:
        raise ApiError(404, f"there is nothing called {what!r} here", code="not_found")
    fields = await short_fields_of(request)
    jobs = await gateway.threads.store(_meant, caller, fields, what)
    change = control.CHANGES[what]
    refused = await _allowed(gateway.threads.check(change, jobs, gateway.settings, caller))
    return json_answer({"changed": len(jobs) - len(refused), "refused": refused})


def _meant(store: HttpStore, caller: Caller, fields: dict[str, Any], what: str) -> Sequence[Job]:
    group, ids = fields.get("group"), fields.get("ids")
    if isinstance(group, str):
        return control.concerned(what, groups.jobs_of(store, caller, group))
    return named(store, caller, ids)


def named(store: HttpStore, caller: Caller, ids: object) -> list[Job]:
    """The jobs with these ids, each once. Raises `ApiError` 400, and 404 if the caller may not see
    one of them: then nothing is done to the others."""
    is_list = isinstance(ids, list) and all(isinstance(one, str) for one in ids)
    if not isinstance(ids, list) or not is_list or not 0 < len(ids) <= MOST_AT_ONCE:
        raise ApiError(400, f"ids must be a list of 1 to {MOST_AT_ONCE:,} ids", param="ids")
    return [visibility.find(store, caller, one, "").job for one in dict.fromkeys(ids)]


async def _pause(request: Request) -> Response:
    """{"server": URL}, or {} for the whole queue. For those who see all jobs: it stops them."""
    require_admin(request)
    gateway, server = gateway_of(request), _server_or_none(await short_fields_of(request))
    await gateway.threads.check(control.pause, gateway.settings, server)
    return json_answer({})


async def _resume(request: Request) -> Response:
    require_admin(request)
    gateway, server = gateway_of(request), _server_or_none(await short_fields_of(request))
    await gateway.threads.check(control.resume, gateway.settings, server)
    return json_answer({})


def _server_or_none(fields: dict[str, Any]) -> str | None:
    found = fields.get("server")
    if found is not None and not isinstance(found, str):
        raise ApiError(400, "server must be text", param="server")
    return found


async def _allowed(done: Awaitable[_T]) -> _T:
    """What a job's state forbids is the caller's error."""
    try:
        return await done
    except IllegalTransition as error:
        raise ApiError(409, str(error), code="wrong_state") from error
