"""Remember what servers reported about themselves, per server and model: a busy one answers late.

Remembered facts are used immediately unless there is a doubt. They are doubted, and the server is
queried again, if another model or window answers under that name, if another process listens
there, if the server refused what they allow, and if they are old.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Protocol

from jobs import clock
from ktclient.servers.dialects.dialect import ServerFacts

LASTS_SECONDS = 3600.0
"""How long facts last if it is unknown whether the server was restarted since."""
LASTS_SAME_RUN_SECONDS = 86_400.0
"""How long facts last if the server's listening socket is still the same."""
_PASSING = ("is_busy", "running", "waiting", "is_asleep", "models")
"""True only for a moment, or said by each probe: never stored."""
_OURS = ("url", "model", "dialect", "is_embedded", *_PASSING)
"""Fields for which a probe is more reliable."""


@dataclass(frozen=True)
class Known:
    """Facts as reported at a time (UTC). `doubt`: why they may no longer be true; then they are
    only a last resort. `is_refuted`: they are wrong, and must not be used at all."""

    facts: ServerFacts
    told_at: str
    doubt: str | None = None
    is_refuted: bool = False


def save(memory: Memory, server: str, facts: ServerFacts, run: str | None) -> None:
    """Store the result of a survey, unless it is empty. `run` comes from `listening.run_of`."""
    if facts.progress is None:
        return
    kept = {name: value for name, value in asdict(facts).items() if name not in _PASSING}
    note: dict[str, object] = {"facts": kept, "told_at": clock.now(), "run": run}
    memory.remember(server, _name(facts.model), note)


def invalidate(memory: Memory, server: str, model: str, why: str) -> None:
    """Mark the remembered facts as wrong: the server contradicted them."""
    note = memory.recall(server, _name(model))
    if note is not None:
        memory.remember(server, _name(model), {**note, "refuted": why})


def load(memory: Memory, server: str, probed: ServerFacts, run: str | None) -> Known | None:
    """What the server and model that were just probed reported before, and whether it still holds;
    None if nothing is remembered."""
    note = memory.recall(server, _name(probed.model))
    facts = _facts_of(note)
    if note is None or facts is None:
        return None
    told_at, told_run = str(note.get("told_at")), note.get("run")
    refuted = _refutation(facts, probed, note.get("refuted"), told_run, run)
    if refuted is not None:
        return Known(facts, told_at, refuted, is_refuted=True)
    lasts = LASTS_SAME_RUN_SECONDS if run is not None and run == told_run else LASTS_SECONDS
    age = _age(told_at)
    doubt = None if age is not None and 0 <= age <= lasts else f"reported at {told_at}"
    return Known(_joined(probed, facts), told_at, doubt)


def facts_known(memory: Memory, server: str, model: str) -> ServerFacts | None:
    """What this server last reported under this model name, if nothing has refuted it since; does
    not query the server. None if nothing is remembered."""
    note = memory.recall(server, _name(model))
    return None if note is None or note.get("refuted") else _facts_of(note)


def all_known(memory: LongMemory, server: str) -> list[ServerFacts]:
    """What this server last reported of each model that nothing has refuted since, the newest
    first; does not query the server."""
    notes = memory.recall_all(server, _name("")).values()
    found = [_facts_of(note) for note in notes if not note.get("refuted")]
    return [facts for facts in found if facts is not None]


def _refutation(
    facts: ServerFacts, probed: ServerFacts, refuted: object, told_run: object, run: str | None
) -> str | None:
    if refuted:
        return str(refuted)
    if probed.dialect != facts.dialect:
        return f"it was {facts.dialect} and is {probed.dialect}"
    # llama.cpp's window of a slot may be smaller than the window that a probe reports.
    if probed.dialect in ("sglang", "vllm") and probed.window != facts.window:
        return f"its window was {facts.window} and is {probed.window}"
    if run is not None and told_run is not None and run != told_run:
        return "another process listens there"
    return None


def _joined(probed: ServerFacts, facts: ServerFacts) -> ServerFacts:
    """The remembered facts, with the probe's name and address."""
    return replace(facts, **{name: getattr(probed, name) for name in _OURS})


def _facts_of(note: dict[str, Any] | None) -> ServerFacts | None:
    """Unreadable data counts as none. A later version may know fewer fields."""
    kept = (note or {}).get("facts")
    if not isinstance(kept, dict):
        return None
    names = {field.name for field in fields(ServerFacts)}
    try:
        return ServerFacts(**{name: value for name, value in kept.items() if name in names})
    except TypeError:
        return None


def _age(told_at: str) -> float | None:
    """Age in seconds; negative if the clock was set back."""
    try:
        return clock.seconds_between(told_at, clock.now())
    except ValueError:
        return None


def _name(model: str) -> str:
    return f"facts of {model}"


class Memory(Protocol):
    """Where facts about a pool (a server) are stored: the store, or an attempt's view of it."""

    def remember(self, pool: str, name: str, value: dict[str, object]) -> None: ...

    def recall(self, pool: str, name: str) -> dict[str, object] | None: ...


class LongMemory(Protocol):
    """The store: it can list what it remembers of a server."""

    def recall_all(self, pool: str, prefix: str) -> dict[str, dict[str, object]]: ...
