"""A request becomes a job, or finds the job that it became before.

A client that lost its connection sends the same request again. It must not prefill twice: with an
Idempotency-Key it gets the job of that key; without one, a repetition that says so
(`x-stainless-retry-count`) gets the job of the same bytes that it has not been given yet, or whose
long answer was written a moment ago to a connection that may have been dead.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from jobs import clock
from jobs.errors import KtjobError
from jobs.model import Job, NewRequest, Outcome, Status
from jobs.store.http.store import HttpStore
from jobs.store.http.values import Request
from jobs.store.store import Store
from ktclient.config.servers import ANY
from ktclient.config.settings import Settings
from ktclient.errors import BadInput, DoesNotFit, ModelUnknown, ServerUnreachable
from ktclient.gateway import split_request
from ktclient.gateway.context import Caller, Gateway
from ktclient.gateway.routing import model_names
from ktclient.gateway.wire import errors
from ktclient.gateway.wire.errors import ApiError
from ktclient.planning.split_planner import Split
from ktclient.records import access
from ktclient.request.body import Body
from ktclient.submission import chat_request, enqueue, idempotency
from ktclient.submission.chat_request import ChatOptions, CheckedChat
from ktclient.wording import quote

REPEATED_SECONDS = 24 * 3600.0
"""How old a request may be that a repetition belongs to: longer than any prefill."""
LOST_SECONDS = 15 * 60.0
"""How long after its delivery an answer may turn out to be lost: it was written to a connection
whose client sleeps or is out of reach. Such a client notices after ten minutes, and repeats."""
CHEAP_SECONDS = 60.0
"""An answer that took less is made again instead: one may ask the same several times because one
wants several answers."""
_LOG = logging.getLogger("ktjob")
KEY, RETRIES = "idempotency-key", "x-stainless-retry-count"


@dataclass(frozen=True)
class Asked:
    """A body to be sent, and what is said and stored beside it."""

    body: Body
    options: ChatOptions
    fields: dict[str, object] = field(default_factory=dict)
    """What the answers repeat of the request; stored as JSON."""
    is_stored: bool = True
    fields_of: Callable[[CheckedChat], dict[str, object]] | None = field(default=None, repr=False)
    """What is stored besides, once the server and the model are known; in a thread."""


@dataclass(frozen=True)
class Incoming:
    """One request that is to become a job."""

    caller: Caller
    surface: str
    raw: bytes = field(repr=False)
    """Its body as it came."""
    headers: Mapping[str, str]
    parse: Callable[[bytes], Asked] = field(repr=False)
    """Reads the body, in a thread. Raises `ApiError`."""
    submit: Callable[[Incoming, str, Settings], Job] | None = field(default=None, repr=False)
    """Checks and stores the job of a request that is no chat, with its digest, in a thread; in
    place of `parse`."""

    @property
    def is_repeated(self) -> bool:
        """Whether the client says that it sent this before."""
        return self.headers.get(RETRIES, "0") not in ("", "0")

    @property
    def digest(self) -> str:
        """Of its bytes, and of what they were sent to."""
        return hashlib.sha256(self.surface.encode() + b"\0" + self.raw).hexdigest()

    @property
    def submit_key(self) -> str | None:
        """The job's submit key, if the client gave an idempotency key. Raises `ApiError`."""
        given = self.headers.get(KEY)
        if given is None:
            return None
        try:
            return f"http {self.caller.owner} {self.surface} {idempotency.check(given)}"
        except BadInput as error:
            raise ApiError(400, f"the header Idempotency-Key: {error}", param=KEY) from error


@dataclass(frozen=True)
class Accepted:
    """The job of a request, and whether this request made it."""

    job_id: str
    is_new: bool


def begin(gateway: Gateway, incoming: Incoming) -> asyncio.Task[Accepted]:
    """A task that ends with the job of a request. It goes on when its client goes: shield it. One
    that comes again meanwhile waits for it. It raises `ApiError`, `KtjobError`."""
    key = incoming.submit_key
    name = f"{incoming.caller.owner}\0{key or incoming.digest}"
    is_shared = key is not None or incoming.is_repeated
    before = gateway.accepting.get(name) if is_shared else None
    task = asyncio.create_task(_accept(gateway, incoming, before))
    gateway.accepting[name] = task
    task.add_done_callback(lambda done: _forget(gateway, name, done))
    return task


def _forget(gateway: Gateway, name: str, done: asyncio.Task[Accepted]) -> None:
    if gateway.accepting.get(name) is done:
        del gateway.accepting[name]
    if not done.cancelled():
        done.exception()  # whoever waited has it, or nobody waits any more


async def _accept(
    gateway: Gateway, incoming: Incoming, before: asyncio.Task[Accepted] | None
) -> Accepted:
    if before is not None:
        await asyncio.wait([before])
    digest = await gateway.threads.check(lambda: incoming.digest)
    known = await gateway.threads.store(_known, incoming, digest, gateway.watch.is_watched)
    if known is not None:
        return Accepted(known.id, is_new=False)
    if incoming.submit is not None:
        job = await gateway.threads.check(incoming.submit, incoming, digest, gateway.settings)
    else:
        found = await gateway.threads.check(_checked_or_stored, incoming, digest, gateway)
        if isinstance(found, Job):
            return Accepted(found.id, is_new=True)
        job = await gateway.threads.store(_store, *found, gateway)
        # Its client gets the id meanwhile: a runner's start takes seconds on a busy machine.
        _waking.add(waking := asyncio.create_task(_wake_runner(gateway)))
        waking.add_done_callback(_waking.discard)
    return Accepted(job.id, is_new=True)


_waking: set[asyncio.Task[None]] = set()
"""A task that nobody holds may be collected before it ends."""


async def _wake_runner(gateway: Gateway) -> None:
    try:
        await gateway.threads.check(access.ensure_runner, gateway.settings.state)
    except KtjobError as error:
        _LOG.warning("a job is stored, but no runner could be started for now: %s", error)


def _known(
    store: HttpStore, incoming: Incoming, digest: str, is_watched: Callable[[str], bool]
) -> Job | None:
    """The job that this request became before."""
    if (key := incoming.submit_key) is not None:
        return _of_key(store, key, incoming, digest)
    if not incoming.is_repeated:
        return None
    since = clock.ago(REPEATED_SECONDS)
    before = store.requests_by_digest(incoming.caller.owner, digest, since)
    open_ones = [one for one in before if _is_open(store, one)]
    # Of several that are alike, one whose client is gone.
    alone = [one for one in open_ones if not is_watched(one.job_id)]
    lost = [one for one in before if _may_be_lost(store, one)]
    return next((store.job(one.job_id) for one in [*alone, *open_ones, *lost]), None)


def _is_open(store: HttpStore, request: Request) -> bool:
    job = store.job(request.job_id)
    return job.status is not Status.FINISHED or request.delivered_at is None


def _may_be_lost(store: HttpStore, request: Request) -> bool:
    """Whether an expensive answer was delivered, but may have reached nobody."""
    job, delivered = store.job(request.job_id), request.delivered_at
    if job.outcome is not Outcome.SUCCEEDED or request.surface not in _PROMPT:
        return False
    if not (delivered and job.started_at and job.finished_at):
        return False
    took = clock.seconds_between(job.started_at, job.finished_at)
    return took >= CHEAP_SECONDS and delivered >= clock.ago(LOST_SECONDS)


def _of_key(store: HttpStore, key: str, incoming: Incoming, digest: str) -> Job | None:
    job = store.by_key(key)
    if job is None:
        return None
    request = store.request(job.id)
    if request is None or request.digest != digest or request.deleted_at:
        raise ApiError(
            409,
            f"the Idempotency-Key {quote(incoming.headers[KEY])} belongs to another request. Use "
            "another key for this one",
            code="idempotency_key_reused",
            param=KEY,
        )
    return job


def _checked_or_stored(
    incoming: Incoming, digest: str, gateway: Gateway
) -> tuple[CheckedChat, ChatOptions] | Job:
    """A request that can be stored; the job of one that is read in parts. In a thread."""
    asked, settings = incoming.parse(incoming.raw), gateway.settings
    request = NewRequest(
        owner=incoming.caller.owner,
        surface=incoming.surface,
        digest=digest,
        fields=asked.fields,
        is_stored=asked.is_stored,
    )
    name = asked.options.model or asked.body.model
    server, model = model_names.route(gateway.models, settings, name)
    options = replace(
        at_server(gateway, asked.body, asked.options, server, model),
        is_model_listed=True,
        is_quick=True,
        max_tokens=asked.options.max_tokens or gateway.limits.max_tokens,
        request=request,
        submit_key=incoming.submit_key,
    )
    split = split_request.wanted(incoming.headers)
    try:
        if split is not None:
            return _submit_in_parts(asked.body, options, split, settings)
        checked, options = _checked(asked.body.for_model(model), options, gateway, server)
        checked.forecast.verdict.require()
        if asked.fields_of is not None:
            request = replace(request, fields={**asked.fields, **asked.fields_of(checked)})
            options = replace(options, request=request)
        return checked, options
    except DoesNotFit as error:
        raise _too_long(error, asked.body, incoming) from error
    except ModelUnknown as error:
        raise replace(errors.of(error), param="model") from error
    except UnicodeEncodeError as error:
        raise _unstorable("a lone surrogate, which is no character") from error


def _store(store: HttpStore, checked: CheckedChat, options: ChatOptions, gateway: Gateway) -> Job:
    try:
        return chat_request.store(store, checked, options, gateway.settings)
    except UnicodeEncodeError as error:
        raise _unstorable("a lone surrogate, which is no character") from error
    except ValueError as error:
        raise _unstorable("a number that is too large") from error


def _unstorable(what: str) -> ApiError:
    return ApiError(400, f"the body contains {what}", code="invalid_json")


def _submit_in_parts(body: Body, options: ChatOptions, split: Split, settings: Settings) -> Job:
    document, submit = split_request.of(body, options, split)
    job_id, _ = enqueue.enqueue(document, submit, settings)[0]
    with Store.open_existing(settings.state) as store:
        return store.job(job_id)


def _too_long(error: DoesNotFit, body: Body, incoming: Incoming) -> ApiError:
    found = replace(errors.of(error), param=_PROMPT.get(incoming.surface))
    if split_request.HEADER not in incoming.headers and split_request.is_possible(body):
        words = f"Or let it be read in parts: send the header {split_request.HEADER}: auto"
        found = replace(found, message=f"{found.message} {words}")
    return found


def at_server(
    gateway: Gateway, body: Body, options: ChatOptions, server: str | None, model: str | None
) -> ChatOptions:
    """For this server and model; of any server, for the best one. Raises `ConnectionRefused` and
    `ModelUnknown`."""
    options = replace(options, server=server, model=model)
    if server != ANY:
        return options
    most = options.max_tokens or gateway.limits.max_tokens
    chosen = gateway.any_server.choose(gateway.settings, body, model, most)
    return replace(options, server=chosen.server, others=chosen.others)


def _checked(
    body: Body, options: ChatOptions, gateway: Gateway, server: str | None
) -> tuple[CheckedChat, ChatOptions]:
    """Checked against its server. Of any server, one that is gone by now is replaced by another."""
    try:
        return _check(body, options, gateway), options
    except ServerUnreachable:
        if server != ANY:
            raise
        gateway.any_server.drop()
        options = at_server(gateway, body, options, ANY, options.model)
        return _check(body, options, gateway), options


def _check(body: Body, options: ChatOptions, gateway: Gateway) -> CheckedChat:
    """Check a body against its server, which is asked only if that was not done a moment ago, or if
    what it said then does not allow the body."""
    key, settings = (options.server, options.model), gateway.settings
    known = gateway.targets.get(key)
    if known is not None:
        checked = chat_request.check(body, options, settings, known)
        if checked.forecast.verdict.fits:
            return checked
        gateway.targets.drop(key)
    checked = chat_request.check(body, options, settings)
    gateway.targets.keep(key, checked.known)
    return checked


_PROMPT = {"chat": "messages", "responses": "input"}
"""The field with the prompt, of each interface."""
