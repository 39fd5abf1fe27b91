"""A request for a batch becomes a job.

The job is stored with the file as it was uploaded, before the answer: its conductor checks the
lines. So the answer comes at once, and a kill of the gateway meanwhile loses nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jobs.model import Job, NewJob, NewRequest
from jobs.store.http.store import HttpStore
from jobs.store.http.values import File
from jobs.store.state_dir import StateDir
from ktclient import urls
from ktclient.batch import file as batch_file
from ktclient.batch.file import Problem
from ktclient.batch.spec import BatchSpec
from ktclient.config.servers import ANY
from ktclient.config.settings import Settings
from ktclient.errors import ConnectionRefused, HostUnreachable, ServerSilent, UpstreamDown
from ktclient.gateway.accept import Incoming
from ktclient.gateway.batches import lines
from ktclient.gateway.context import Caller
from ktclient.gateway.files import file_object, storage
from ktclient.gateway.models import Models
from ktclient.gateway.responses.sources import StoreSources
from ktclient.gateway.routing import model_names
from ktclient.gateway.wire import requests
from ktclient.gateway.wire.errors import ApiError
from ktclient.planning.options import MAX_ATTEMPTS
from ktclient.planning.several import choice
from ktclient.records import access, kinds
from ktclient.servers import selection
from ktclient.submission import lent_keys
from ktclient.wording import quote

SURFACE = "batches"
WINDOW = "24h"
_AWAY = (ConnectionRefused, HostUnreachable, ServerSilent, UpstreamDown)
_MOST_PAIRS, _MOST_KEY, _MOST_VALUE = 16, 64, 512
"""Of metadata, as OpenAI has it."""


@dataclass(frozen=True)
class Wanted:
    """A valid request for a batch."""

    input_file_id: str
    endpoint: str
    metadata: dict[str, str] | None
    output_seconds: int | None
    """How long the results are kept, from the end of the batch."""

    def to_fields(self, filename: str) -> dict[str, object]:
        """What is stored with the job."""
        return {
            "input_file_id": self.input_file_id,
            "endpoint": self.endpoint,
            "completion_window": WINDOW,
            "metadata": self.metadata,
            "output_seconds": self.output_seconds,
            "filename": filename,
        }


def submit(
    incoming: Incoming, digest: str, settings: Settings, *, models: Models, max_tokens: int | None
) -> Job:
    """Check the request and store its job, in a thread; the lines are checked later. All of them go
    to the server that the first one's model names. `max_tokens`: of an answer where its line sets
    no limit; None: by the server's window.

    Raises `ApiError`, `NoServer` and its leaves, and `StoreUnusable`; nothing is stored then."""
    wanted = read(requests.fields_of(incoming.raw))
    file, body, refused = _input(settings.state, incoming.caller, wanted)
    named, model = model_names.route(models, settings, lines.first_model(body))
    others: tuple[str, ...] = ()
    if named == ANY:
        chosen = choice.read(settings).take(choice.Need(0, 0, ""), model)
        named, others = chosen.server, chosen.others
    server = _server(settings, named)
    request = NewRequest(
        owner=incoming.caller.owner,
        surface=SURFACE,
        digest=digest,
        fields=wanted.to_fields(file.filename),
    )
    new = NewJob(
        pool=kinds.POOL,
        spec=replace(
            _spec(server, settings),
            others=others,
            others_serve=model,
            max_tokens=max_tokens or 0,
            refused=tuple(refused),
        ).to_json(),
        document=body,
        title=file.filename,
        max_attempts=kinds.ATTEMPTS,
        submit_key=incoming.submit_key,
        request=request,
    )
    with HttpStore.open(settings.state) as store, lent_keys.lending(settings, server):
        job = store.submit_all([new], {kinds.POOL: kinds.CAPACITY})[0]
    access.ensure_runner(settings.state)
    return job


def _server(settings: Settings, named: str | None) -> str:
    """The root URL of the server. A configured one may be away: the check of the lines waits."""
    try:
        return selection.choose(settings, named, None).server
    except _AWAY:
        meant = settings.meant(named)
        if meant is None or meant.url is None:
            raise
        return urls.root_of(meant.url)


def _input(
    state: StateDir, caller: Caller, wanted: Wanted
) -> tuple[File, bytes, Sequence[Problem]]:
    """The file, its requests as those of /v1/chat/completions, and those that cannot be."""
    with HttpStore.open(state) as store:
        try:
            file = storage.find(store, caller, wanted.input_file_id)
        except ApiError as error:
            raise replace(error, param="input_file_id") from error
    if file.purpose != "batch":
        words = f"the file {file.id} has the purpose {file.purpose}; upload it with purpose batch"
        raise ApiError(400, words, param="input_file_id", code="invalid_purpose")
    if file.bytes > batch_file.MOST_BYTES:
        words = f"the file has {file.bytes:,} bytes, and {batch_file.MOST_BYTES:,} is the maximum"
        raise ApiError(400, words, param="input_file_id", code="file_too_large")
    try:
        body = storage.path_of(state, file).read_bytes()
    except OSError as error:
        words = f"the bytes of {file.id} cannot be read: {error.strerror}. Upload it again"
        raise ApiError(500, words, "server_error", "file_missing") from error
    return file, *lines.as_chats(body, wanted.endpoint, StoreSources(state, caller))


def _spec(server: str, settings: Settings) -> BatchSpec:
    """What the conductor needs to check the lines; it fills in the rest."""
    return BatchSpec(
        results=f"batch {secrets.token_hex(8)}",
        errors=None,
        mode=0o600,
        lines=0,
        digest="",
        server=server,
        model=None,
        max_tokens=0,
        timeout=0.0,
        max_attempts=MAX_ATTEMPTS,
        has_key=settings.has_key_for(server),
        is_held=True,
        is_checked=False,
    )


def read(given: Mapping[str, Any]) -> Wanted:
    """A valid request. Raises `ApiError`."""
    file_id = given.get("input_file_id")
    if not isinstance(file_id, str) or not file_id:
        raise _invalid("input_file_id", "is missing, or no text")
    if given.get("endpoint") not in lines.ENDPOINTS:
        known = " or ".join(lines.ENDPOINTS)
        raise _invalid("endpoint", f"is {_shown(given.get('endpoint'))}; it must be {known}")
    if given.get("completion_window") != WINDOW:
        window = _shown(given.get("completion_window"))
        raise _invalid("completion_window", f"is {window}; it must be {WINDOW}")
    seconds = file_object.lifetime(given.get("output_expires_after"), "output_expires_after")
    return Wanted(file_id, given["endpoint"], metadata(given.get("metadata")), seconds)


def metadata(given: object) -> dict[str, str] | None:
    """Valid metadata, or None. Raises `ApiError`."""
    if given is None:
        return None
    if not isinstance(given, dict) or len(given) > _MOST_PAIRS:
        raise _invalid("metadata", f"must be an object with at most {_MOST_PAIRS} texts")
    for key, text in given.items():
        if not isinstance(text, str) or len(key) > _MOST_KEY or len(text) > _MOST_VALUE:
            words = f"must have keys of at most {_MOST_KEY} characters, and texts of {_MOST_VALUE}"
            raise _invalid("metadata", f"{words}; {quote(key[:_MOST_KEY])} has not")
    return given


def _shown(given: object) -> str:
    return "missing" if given is None else quote(json.dumps(given)[:100])


def _invalid(param: str, words: str) -> ApiError:
    return ApiError(400, f"{param} {words}", param=param, code="invalid_value")
