"""The facts of a server: remembered ones immediately, queried where that costs little."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

from jobs.errors import StoreUnusable
from jobs.model import Status
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.config.settings import Settings
from ktclient.servers import listening, memory, queries, question_limit
from ktclient.servers.dialects import openai_compatible
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.memory import Known

BRIEF_SECONDS = 1.0
"""Time limit for a query if the facts are known: an idle server needs milliseconds."""


def survey(server: str, probed: ServerFacts, settings: Settings, patience: float) -> ServerFacts:
    """For a command: remembered facts that still hold, else what the server reports within
    `patience` seconds. The server is also queried if much is known, but briefly, and not while a
    job of this ktjob keeps it busy. Creates no store; an existing one remembers the answer."""
    run = listening.run_of(probed.url)
    known, is_ours = _load(settings.state, server, probed, run)
    if is_sure(known) and is_ours:
        return _best(probed, known)
    with contextlib.suppress(StoreUnusable):  # the folder in which queries are counted
        settings.state.make_root()
    found = Inquiry(settings.state, probed, settings.key_for(server), run, known).ask(patience)
    if found is not None:
        _remember(settings.state, server, found, run)
    return combined(probed, known, found)


def _load(
    state: StateDir, server: str, probed: ServerFacts, run: str | None
) -> tuple[Known | None, bool]:
    """The remembered facts, and whether one of ktjob's own jobs runs there. An unusable store knows
    nothing: code that needs it for more reports the error."""
    try:
        store = Store.open_if_any(state)
        if store is None:
            return None, False
        with store:
            running = store.in_status(Status.RUNNING)
            known = memory.load(store, server, probed, run)
            return known, any(job.pool == server for job in running)
    except StoreUnusable:
        return None, False


def _remember(state: StateDir, server: str, found: ServerFacts, run: str | None) -> None:
    with contextlib.suppress(StoreUnusable):
        store = Store.open_if_any(state)
        if store is not None:
            with store:
                memory.save(store, server, found, run)


def is_sure(known: Known | None) -> bool:
    return known is not None and known.doubt is None


@dataclass(frozen=True)
class Inquiry:
    """The server to query, and what is known of it."""

    state: StateDir
    probed: ServerFacts
    api_key: str | None
    run: str | None
    known: Known | None

    def ask(self, patience: float, *, is_patient: bool = False) -> ServerFacts | None:
        """The facts it reports now; None if it must not be queried now."""
        if self.probed.dialect == openai_compatible.NAME:
            return None
        if is_sure(self.known):
            patience, is_patient = min(patience, BRIEF_SECONDS), False

        def question() -> tuple[ServerFacts, bool]:
            found = queries.survey(self.probed, self.api_key, patience)
            was_left = bool(found.is_busy) and found.running is None
            return found, not was_left

        where = self.probed.url
        return question_limit.run_limited(
            self.state, where, self.run, question, is_patient=is_patient
        )


def combined(probed: ServerFacts, known: Known | None, found: ServerFacts | None) -> ServerFacts:
    """The answer; without one, the remembered facts, marked busy if the silence shows that."""
    if found is not None and found.progress is not None:
        return found
    best = _best(probed, known)
    return best if found is None else replace(best, is_busy=found.is_busy)


def _best(probed: ServerFacts, known: Known | None) -> ServerFacts:
    """Old facts are better than none; refuted ones are not."""
    return probed if known is None or known.is_refuted else known.facts
