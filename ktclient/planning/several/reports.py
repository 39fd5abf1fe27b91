"""What each server says of itself now: all of them are asked at the same time, within a limit.

A server that is dead, slow or behind a name that cannot be resolved delays none of the others: what
it has not said after `MOST_SECONDS` is left out of its report.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from jobs.errors import KtjobError, StoreUnusable
from jobs.model import Capacity, Job, Status
from jobs.store.store import Store
from ktclient import urls
from ktclient.config.settings import EMBEDDED, Settings
from ktclient.errors import (
    BadInput,
    HostUnreachable,
    Redirected,
    ReplyTooLarge,
    ServerSilent,
    ServerUnreachable,
    WrongAddress,
)
from ktclient.planning import calibration
from ktclient.records import kinds
from ktclient.servers import memory, probe, selection, starting, survey
from ktclient.servers.dialects import live_load
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.dialects.live_load import LiveLoad
from ktclient.servers.models import Listed
from ktclient.wording import spoken

MOST_SECONDS = 6.0
"""How long all servers together are waited for."""
STEP_SECONDS = 5.0
"""How long each step of asking for models may take: connecting, and each wait for an answer."""
SURVEY_SECONDS = 3.0
"""How long a server may take to report its window and pool, if they are not remembered."""

READY, BUSY, ASLEEP, STARTING = "ready", "busy", "asleep", "starting"
NOT_STARTED, REFUSED, SILENT, AWAY = "not started", "refused", "silent", "away"
USABLE = (READY, BUSY, ASLEEP, STARTING, NOT_STARTED)
"""States in which a job may be submitted for the server."""

_OTHER_SERVICE = (WrongAddress, ReplyTooLarge, Redirected)
CONFIGURED, FOUND, OWN = "configured", "found", "own"
"""Where a server is known from: the configuration, a well-known port, or ktserver's records."""


@dataclass(frozen=True)
class OwnLoad:
    """What ktjob itself has on a server: jobs, and the KV tokens that it reserves for those that
    run."""

    running: int = 0
    waiting: int = 0
    reserved: int = 0
    is_paused: bool = False
    slots: int | None = None
    """How many jobs may run there simultaneously; None: no limit, or not known yet."""


@dataclass(frozen=True)
class ServerModel:
    """A model that a server lists. `window`: tokens; None if it does not say."""

    id: str
    window: int | None = None


@dataclass(frozen=True)
class ServerReport:
    """One server. Tokens; None is unknown."""

    name: str | None
    """As `--server` takes it; None: the server that is selected where none is named, which has no
    name."""
    url: str
    """Its root, or `embedded`."""
    source: str
    """`CONFIGURED`, `FOUND`, `OWN`, or `EMBEDDED`."""
    is_default: bool = False
    state: str = AWAY
    reason: str | None = None
    """Why it cannot be used now, in words."""
    engine: str | None = None
    model: str | None = None
    """The one that a job gets if it names none."""
    models: tuple[ServerModel, ...] = ()
    """All for chats that it lists, or last listed."""
    window: int | None = None
    pool: int | None = None
    used: int | None = None
    """Tokens of the pool in use, by all clients."""
    running: int | None = None
    """Requests of all clients."""
    waiting: int | None = None
    own: OwnLoad = field(default_factory=OwnLoad)
    prefill_speed: float | None = None
    """Tokens per second of the last prefill that ktjob saw there."""

    @property
    def is_usable(self) -> bool:
        return self.state in USABLE

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name or self.url.partition("://")[2] or self.url


def read(settings: Settings, most_seconds: float = MOST_SECONDS) -> list[ServerReport]:
    """All servers that are configured or found, and those that ktserver runs, in that order; the
    default one first. Takes `most_seconds` at most. Creates no store."""
    known = _known(settings)
    found: dict[int, ServerReport] = {}
    done = threading.Semaphore(0)

    def ask(number: int, one: ServerReport) -> None:
        try:
            for report in _asked(settings, one):
                found[number] = report
        finally:
            done.release()

    for number, one in enumerate(known):
        # Not a pool: the interpreter would wait at its end for a thread that resolves a name.
        threading.Thread(target=ask, args=(number, one), daemon=True).start()
    give_up = time.monotonic() + most_seconds
    for _ in known:
        if not done.acquire(timeout=max(0.0, give_up - time.monotonic())):
            break
    late = f"it did not answer within {spoken(most_seconds)}"
    reports = [
        found.get(number, replace(one, state=SILENT, reason=late))
        for number, one in enumerate(known)
    ]
    searched = (FOUND, EMBEDDED)  # what is not there was not found
    shown = [one for one in reports if one.source not in searched or one.state != AWAY]
    return _with_own_work(settings, shown if settings.is_any else _with_default(shown))


def _with_default(reports: list[ServerReport]) -> list[ServerReport]:
    """Where none is configured, the first that was found is selected by default."""
    if any(one.is_default for one in reports):
        return reports
    unnamed = (one for one in reports if one.source in (FOUND, EMBEDDED) and one.is_usable)
    first = next(unnamed, None)
    return [replace(one, is_default=True) if one is first else one for one in reports]


def _known(settings: Settings) -> list[ServerReport]:
    """The servers, not asked yet."""
    is_configured = settings.meant(None) is not None
    found = []
    for number, place in enumerate(selection.places(settings)):
        is_default = is_configured and number == 0
        source = CONFIGURED
        if not is_default and place.url == EMBEDDED:
            source = EMBEDDED
        elif not is_configured and place.named == place.url:
            source = FOUND
        name = place.named
        if name is None and place.label in settings.servers:
            name = place.label
        found.append(ServerReport(name, _root(place.url), source, is_default=is_default))
    for url in starting.running(settings.state.servers).values():
        if not any(urls.is_same(one.url, url) for one in found):
            found.append(ServerReport(url, _root(url), OWN))
    if not any(one.url == EMBEDDED for one in found):
        found.append(ServerReport(EMBEDDED, EMBEDDED, EMBEDDED))
    return found


def _root(url: str) -> str:
    if url == EMBEDDED:
        return url
    try:
        return urls.root_of(url)
    except BadInput:  # of KTJOB_SERVER: the question will say it
        return urls.without_secrets(url)


def _asked(settings: Settings, one: ServerReport) -> Iterator[ServerReport]:
    """The report of one server, after each of its answers. Never raises."""
    if one.url == EMBEDDED:
        yield _of_embedded(settings, one)
        return
    try:
        root = selection.canonical_root(one.url)
        one = replace(one, url=root)
        key = settings.key_for(root)
        listed = probe.listed(root, key, STEP_SECONDS)
        wanted = settings.model_of(settings.of_url(root))
        facts = probe.of_listed(root, listed, wanted)
        yield _of_answers(one, facts, listed, LiveLoad(is_up=True))
        facts = survey.survey(root, facts, settings, SURVEY_SECONDS)
        yield _of_answers(one, facts, listed, LiveLoad(is_up=True))
        yield _of_answers(one, facts, listed, live_load.read(root, key))
    except ServerUnreachable as error:
        yield _of_absent(settings, one, error)
    except _OTHER_SERVICE as error:
        state = AWAY if one.source == FOUND else REFUSED
        yield replace(_remembered(settings, one), state=state, reason=str(error))
    except (KtjobError, OSError) as error:
        yield replace(_remembered(settings, one), state=REFUSED, reason=str(error))


def _of_embedded(settings: Settings, one: ServerReport) -> ServerReport:
    facts = selection.embedded_facts(settings)
    if facts is None:
        return replace(one, state=AWAY, reason="it is not installed")
    models = (ServerModel(facts.model, facts.window),)
    state = READY if facts.url else NOT_STARTED
    return replace(
        one,
        state=state,
        engine=facts.dialect,
        model=facts.model,
        models=models,
        window=facts.window,
    )


def _of_answers(
    one: ServerReport, facts: ServerFacts, listed: Sequence[Listed], load: LiveLoad
) -> ServerReport:
    models = tuple(ServerModel(each.name, probe.window_of(each.entry)) for each in listed)
    models = tuple(
        replace(each, window=facts.window) if each.id == facts.model else each for each in models
    )
    is_idle = facts.is_busy is False  # sglang-kt leaves its last figures in /metrics (recorded)
    running = facts.running if load.running is None or is_idle else load.running
    waiting = facts.waiting if load.waiting is None or is_idle else load.waiting
    pool = load.pool_tokens or facts.pool
    used = load.used_tokens
    if used is None and load.share is not None and pool is not None:
        used = round(load.share * pool)
    if used and is_idle and facts.has_prefix_cache is False:
        used = 0
    is_busy = bool(running or waiting) if running is not None else bool(facts.is_busy)
    return replace(
        one,
        state=ASLEEP if facts.is_asleep else BUSY if is_busy else READY,
        engine=facts.engine or facts.dialect,
        model=facts.model or None,
        models=models,
        window=facts.window,
        pool=pool,
        used=used,
        running=running,
        waiting=waiting,
    )


def _of_absent(settings: Settings, one: ServerReport, error: KtjobError) -> ServerReport:
    """One that does not answer: it may be starting."""
    coming = starting.at(settings.state.servers, one.url)
    if coming is None:
        is_silent = isinstance(error, (ServerSilent, HostUnreachable))
        state = SILENT if is_silent else AWAY
        return replace(_remembered(settings, one), state=state, reason=str(error))
    facts = coming.facts
    return replace(
        one,
        state=STARTING,
        reason=coming.why.partition(";")[0],
        engine=facts.dialect,
        model=facts.model,
        models=(ServerModel(facts.model, facts.window),),
        window=facts.window,
        pool=facts.pool,
    )


def _remembered(settings: Settings, one: ServerReport) -> ServerReport:
    """With the models that it listed last."""
    try:
        store = Store.open_if_any(settings.state)
        if store is None:
            return one
        with store:
            known = memory.all_known(store, one.url)
    except StoreUnusable:
        return one
    models = tuple(ServerModel(each.model, each.window) for each in known if each.model)
    return replace(one, models=models)


def _with_own_work(settings: Settings, reports: list[ServerReport]) -> list[ServerReport]:
    """With ktjob's own jobs there, and the speed that they saw. An unusable store knows nothing."""
    try:
        store = Store.open_if_any(settings.state)
        if store is None:
            return reports
        with store:
            running = [job for job in store.in_status(Status.RUNNING) if job.pool != kinds.POOL]
            waiting = store.count_waiting()
            paused = {pause.pool for pause in store.pauses()}
            sizes = store.capacities()
            found = []
            for one in reports:
                own = _own(one.url, running, waiting, paused, sizes.get(one.url))
                # sglang counts a request in prefill nowhere.
                state = BUSY if one.state == READY and own.running else one.state
                speed = _speed(store, one)
                found.append(replace(one, own=own, state=state, prefill_speed=speed))
            return found
    except StoreUnusable:
        return reports


def _own(
    url: str,
    running: Iterable[Job],
    waiting: Mapping[str, int],
    paused: set[str | None],
    size: Capacity | None,
) -> OwnLoad:
    mine = [job for job in running if job.pool == url]
    return OwnLoad(
        running=len(mine),
        waiting=waiting.get(url, 0),
        reserved=sum(job.weight for job in mine),
        is_paused=bool(paused & {url, None}),
        slots=None if size is None else size.slots,
    )


def _speed(store: Store, one: ServerReport) -> float | None:
    name = one.model or next((each.id for each in one.models), None)
    return None if name is None else calibration.last_speed(store, one.url, name)
