"""Which models the servers serve, and which server a model's requests go to.

A server that is away keeps the models that it listed last. A list never waits for a slow server
longer than `ASK_SECONDS`, and asks each of them at most once every `FRESH_SECONDS`.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from jobs.errors import KtjobError, StoreUnusable
from jobs.store.store import Store
from ktclient.config.settings import EMBEDDED, Settings
from ktclient.servers import memory, probe, selection, starting
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.selection import Place

ASK_SECONDS = 1.5
"""How long a list waits for servers, all of which are asked simultaneously."""
STEP_SECONDS = 1.2
"""How long connecting to a server may take, and each wait for its answer."""
FRESH_SECONDS = 5.0
"""How long an answer is used without another question."""
TRUSTED_SECONDS = 60.0
"""How long an answer is used to decide where a request goes."""
_ASKERS = 8


@dataclass(frozen=True)
class Model:
    """One model of one server."""

    id: str
    server: str
    """What people call the server."""
    created: int = 0
    """Seconds since 1970, as the server says; 0 if it does not."""
    owned_by: str = "unknown"
    window: int | None = None
    """Tokens; None if unknown."""
    is_available: bool = True
    """Whether its server listed it just now."""


@dataclass(frozen=True)
class _Told:
    """What one server listed, and when it was asked last (monotonic)."""

    models: tuple[Model, ...]
    asked_at: float


class Models:
    """The models of all servers. Its methods may be called in any thread; they block for up to
    `ASK_SECONDS`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[str, _Told] = {}
        self._questions: dict[str, Future[_Told]] = {}
        self._askers = ThreadPoolExecutor(_ASKERS, "models")

    def listed(self, settings: Settings) -> tuple[Model, ...]:
        """All models, each name once: where several servers have it, of the server that its
        requests go to. Servers that do not answer: their last known models."""
        found: dict[str, Model] = {}
        for told in self._ask(settings, FRESH_SECONDS):
            for model in told.models:
                found.setdefault(model.id, model)
        return tuple(found.values())

    def server_of(self, settings: Settings, model: str | None) -> str | None:
        """Where requests for a model go, as `--server` takes it: the first server that lists it.
        None: to the server that is selected by default, which also decides about names that no
        server lists. With one server, nothing is asked."""
        places = selection.places(settings)
        if model is None or len(places) < 2:
            return None
        told = self._ask(settings, TRUSTED_SECONDS)
        has_it = (any(one.id == model for one in each.models) for each in told)
        return next((place.named for place, has in zip(places, has_it, strict=True) if has), None)

    def _ask(self, settings: Settings, lasts: float) -> list[_Told]:
        """What each server lists, in the order of `places`."""
        places = selection.places(settings)
        with self._lock:
            questions = [self._question(settings, place, lasts) for place in places]
        open_ones = [one for one in questions if one is not None]
        concurrent.futures.wait(open_ones, ASK_SECONDS)
        return [self._answer(settings, place) for place in places]

    def _question(self, settings: Settings, place: Place, lasts: float) -> Future[_Told] | None:
        """The question that is under way, or a new one; None if the last answer is fresh."""
        told, asked = self._told.get(place.url), self._questions.get(place.url)
        if told is not None and time.monotonic() - told.asked_at < lasts:
            return None
        if asked is None or asked.done():
            asked = self._askers.submit(self._learn, settings, place)
            self._questions[place.url] = asked
        return asked

    def _learn(self, settings: Settings, place: Place) -> _Told:
        found = _current(settings, place)
        before = self._told.get(place.url)
        known = before.models if before is not None else _remembered(settings, place)
        away = tuple(replace(one, is_available=False) for one in known)
        told = _Told(away if found is None else found, time.monotonic())
        self._told[place.url] = told
        return told

    def _answer(self, settings: Settings, place: Place) -> _Told:
        told = self._told.get(place.url)
        return told or _Told(_remembered(settings, place), 0.0)

    def close(self) -> None:
        """Wait for no answer any more."""
        self._askers.shutdown(wait=False, cancel_futures=True)


def _current(settings: Settings, place: Place) -> tuple[Model, ...] | None:
    """What the server lists now; None if it does not answer, or not as a server does."""
    if place.url == EMBEDDED:
        facts = selection.embedded_facts(settings)
        return () if facts is None else (_of_facts(facts, place),)
    try:
        root = selection.canonical_root(place.url)
        entries = probe.listed(root, settings.key_for(root), STEP_SECONDS)
    except KtjobError:
        return _of_starting(settings, place)
    found = [
        Model(
            id=one.name,
            server=place.label,
            created=_time_of(one.entry.get("created")),
            owned_by=str(one.entry.get("owned_by") or "unknown"),
            window=probe.window_of(one.entry),
        )
        for one in entries
    ]
    return _preferred_first(found, _preferred(settings, place), place)


def _time_of(said: object) -> int:
    return int(said) if isinstance(said, (int, float)) and 0 <= said < 1 << 53 else 0


def _preferred(settings: Settings, place: Place) -> str | None:
    """The model that is configured for a server."""
    if place.named is None:
        return settings.model
    return settings.of_url(place.url).model


def _preferred_first(
    found: Sequence[Model], preferred: str | None, place: Place
) -> tuple[Model, ...]:
    if preferred is None:
        return tuple(found)
    # A server need not list a name that it takes.
    of_it = [one for one in found if one.id == preferred] or [Model(preferred, place.label)]
    return (*of_it, *(one for one in found if one.id != preferred))


def _of_starting(settings: Settings, place: Place) -> tuple[Model, ...] | None:
    """The model of a server that ktserver is starting: jobs for it are accepted."""
    with contextlib.suppress(KtjobError, OSError):
        coming = starting.at(settings.state.servers, selection.canonical_root(place.url))
        if coming is not None:
            return (_of_facts(coming.facts, place),)
    return None


def _remembered(settings: Settings, place: Place) -> tuple[Model, ...]:
    """What the store knows of a server that does not answer."""
    try:
        store = Store.open_if_any(settings.state)
        if store is None:
            return ()
        with store:
            known = memory.all_known(store, selection.canonical_root(place.url))
    except (StoreUnusable, KtjobError):
        return ()
    found = [replace(_of_facts(one, place), is_available=False) for one in known if one.model]
    return _preferred_first(found, _preferred(settings, place), place) if found else ()


def _of_facts(facts: ServerFacts, place: Place) -> Model:
    return Model(facts.model, place.label, owned_by=facts.dialect, window=facts.window)
