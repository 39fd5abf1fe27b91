"""The facts of a server: remembered ones at once, and asked for where that costs little."""

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
"""What a server may take to answer when its facts are known: an idle one needs milliseconds."""


def survey(server: str, probed: ServerFacts, settings: Settings, patience: float) -> ServerFacts:
    """For a command: what is remembered and holds, else what the server tells within `patience`
    seconds. It is also asked when much is known, but briefly, and not while a job of ours keeps it
    busy. Creates no store; one that is there remembers the answer."""
    run = listening.run_of(probed.url)
    known, is_ours = _load(settings.state, server, probed, run)
    if is_sure(known) and is_ours:
        return _best(probed, known)
    with contextlib.suppress(OSError):  # where questions are counted
        settings.state.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = Inquiry(settings.state, probed, settings.key_for(server), run, known).ask(patience)
    if found is not None:
        _remember(settings.state, server, found, run)
    return combined(probed, known, found)


def _load(
    state: StateDir, server: str, probed: ServerFacts, run: str | None
) -> tuple[Known | None, bool]:
    """What is remembered, and whether a job of ours runs there. A store that cannot be used knows
    nothing: whoever needs it for more will say so."""
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
    """Whom to ask, and what is known of it."""

    state: StateDir
    probed: ServerFacts
    api_key: str | None
    run: str | None
    known: Known | None

    def ask(self, patience: float, *, is_patient: bool = False) -> ServerFacts | None:
        """What it says now; None when it is not to be asked."""
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
    """The answer; where there was none, what is remembered, with what the silence says."""
    if found is not None and found.progress is not None:
        return found
    best = _best(probed, known)
    return best if found is None else replace(best, is_busy=found.is_busy)


def _best(probed: ServerFacts, known: Known | None) -> ServerFacts:
    """What is only old is better than nothing; what was refuted is not."""
    return probed if known is None or known.is_refuted else known.facts
