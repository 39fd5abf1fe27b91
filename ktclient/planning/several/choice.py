"""Which server gets a request that may have any of them (`--server any`).

The rule, in this order; of two that are equal, the first in the configuration:

1. Prompt and answer fit into its window and its pool. If they fit nowhere, the largest.
2. It has the text in its cache, or will have: the last job that started there, one that runs, or
   one that waits there has the same document or beginning, or one of the last eight prompts that it
   answered begins as half of this one. Only for prompts of `LONG_TOKENS` or more: to read a
   shorter one again takes less time than to wait.
3. It could start the request now.
4. The tokens of the jobs that run or wait there are the fewest.

The rule knows what the servers said at one moment, and what the store says. Equal states give equal
choices. Servers that serve the same model, and that the request fits, are named in the job: they
take it if this one accepts no request (`ktclient/worker/server.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from jobs.errors import StoreUnusable
from jobs.model import Capacity, Job, Status
from jobs.store.store import Store
from ktclient.config.settings import EMBEDDED, Settings
from ktclient.errors import ConnectionRefused
from ktclient.planning import beginning, read_prompts
from ktclient.planning.several import reports
from ktclient.planning.several.reports import ServerReport
from ktclient.servers import listening

LONG_TOKENS = 2_000
"""As many as make a chat of the gateway no longer short (`chat_request.SHORT_TOKENS`)."""


@dataclass(frozen=True)
class Line:
    """ktjob's own work on a server. `weight`: tokens of its jobs that run or wait; `documents`:
    SHA-256 of what it has read, or will have read."""

    jobs: int = 0
    weight: int = 0
    documents: frozenset[str] = frozenset()
    capacity: Capacity | None = None

    def with_job(self, weight: int, document: str) -> Line:
        """The same with one more."""
        keeps = self.capacity is None or self.capacity.affinity
        documents = self.documents | ({document} if keeps else set())
        return replace(self, jobs=self.jobs + 1, weight=self.weight + weight, documents=documents)


@dataclass(frozen=True)
class Need:
    """What is to be sent: tokens of prompt and answer; its document's SHA-256, or the name of what
    it begins with; and the URLs of servers that have read most of it."""

    prompt: int
    answer: int
    document: str
    read_at: frozenset[str] = frozenset()

    def is_read(self, one: ServerReport, line: Line) -> bool:
        """Whether a server has read it, or will have, and that counts."""
        is_there = self.document in line.documents or one.url in self.read_at
        return is_there and self.prompt >= LONG_TOKENS

    @property
    def weight(self) -> int:
        return self.prompt + self.answer


@dataclass(frozen=True)
class Choice:
    """The server, as `--server` takes it; why, for people; and the URLs of those that may take the
    job instead."""

    server: str
    why: str
    others: tuple[str, ...]


@dataclass
class Several:
    """The servers and the work that they have, while requests are given to them."""

    servers: Sequence[ServerReport]
    lines: dict[str, Line] = field(default_factory=dict)

    def take(self, need: Need, model: str | None) -> Choice:
        """The server for one request, which counts as its work from then on. Raises
        `ConnectionRefused` if none can be used."""
        usable = [one for one in self.servers if one.is_usable and serves(one, model)]
        if not usable:
            has = "" if model is None else f" that lists the model {model!r}"
            raise ConnectionRefused(
                f"no server{has} can be used now; the embedded one is none of `any`. See why with: "
                "ktjob servers"
            )
        ranked = sorted(usable, key=lambda one: rank(one, need, self._line(one)))
        best = ranked[0]
        why = f"--server any: {_why(best, need, self._line(best), len(usable))}"
        wanted = model or best.model
        away = [one for one in self.servers if not one.is_usable]
        others = [
            one.url
            for one in (*ranked[1:], *away)
            if serves(one, wanted) and _lacks(one, need, wanted) == 0
        ]
        self.lines[best.url] = self._line(best).with_job(need.weight, need.document)
        return Choice(best.name or best.url, why, tuple(others))

    def _line(self, one: ServerReport) -> Line:
        return self.lines.get(one.url, Line())


def read(settings: Settings) -> Several:
    """All servers that a request may get by `--server any`, asked now. The embedded one is none of
    them: it is for trying things out. Nor is one that is paused, while another is not."""
    return among(reports.read(settings), settings)


def among(found: Sequence[ServerReport], settings: Settings) -> Several:
    """The same of servers that were asked before, with the work that they have now."""
    found = [one for one in found if one.url != EMBEDDED]
    unpaused = [one for one in found if not one.own.is_paused]
    return Several(unpaused or found, _lines(settings))


def read_at(several: Several, text: str, begins: str, settings: Settings) -> frozenset[str]:
    """The servers that have answered a prompt which begins as at least half of `text`."""
    try:
        store = Store.open_if_any(settings.state)
        if store is None:
            return frozenset()
        with store:
            return frozenset(
                one.url for one in several.servers if _has_read(store, one, text, begins)
            )
    except StoreUnusable:
        return frozenset()


def _has_read(store: Store, one: ServerReport, text: str, begins: str) -> bool:
    run = listening.run_of(one.url)
    reads = read_prompts.recall(store, one.url, one.model or "", run)
    return any(2 * read.shared(text, begins) >= len(text) > 0 for read in reads)


def sha256(text: str) -> str:
    """The name of a document in the store."""
    return hashlib.sha256(text.encode()).hexdigest()


def rank(one: ServerReport, need: Need, line: Line) -> tuple[int, bool, bool, int]:
    """The smaller, the better; see the rule above."""
    return (
        _lacks(one, need, one.model),
        not need.is_read(one, line),
        not _is_free(one, need, line),
        line.weight,
    )


def _lacks(one: ServerReport, need: Need, model: str | None) -> int:
    """How many tokens of room it lacks for the request; 0 if it fits, as far as is known."""
    windows = {each.id: each.window for each in one.models}
    window = windows.get(model or "") or one.window
    limits = [size for size in (window, one.pool) if size is not None]
    return max(0, need.weight - min(limits)) if limits else 0


def _is_free(one: ServerReport, need: Need, line: Line) -> bool:
    if one.state not in (reports.READY, reports.BUSY, reports.ASLEEP) or one.waiting:
        return False
    if line.jobs == 0:
        return one.state != reports.BUSY
    size = line.capacity or Capacity(slots=1)
    slots = size.slots is None or line.jobs < size.slots
    return slots and (size.tokens is None or line.weight + need.weight <= size.tokens)


def _why(one: ServerReport, need: Need, line: Line, among: int) -> str:
    if among == 1:
        return "the only one that can be used now"
    if need.is_read(one, line):
        return "it has read this document, or will have"
    return "it is free" if _is_free(one, need, line) else "the least work waits there"


def serves(one: ServerReport, model: str | None) -> bool:
    """Whether it lists a model, now or before. A configured name need not be listed."""
    return model is None or model == one.model or any(each.id == model for each in one.models)


def _lines(settings: Settings) -> dict[str, Line]:
    try:
        store = Store.open_if_any(settings.state)
        if store is None:
            return {}
        with store:
            jobs = [*store.in_status(Status.RUNNING), *store.next_in_line()]
            sizes, warmth = store.capacities(), store.warmth()
            last = {pool: warm.document for pool, warm in warmth.items()}
            weights = {pool: store.open_weight(pool) for pool in sizes}
            return {pool: _line(pool, jobs, weights, sizes, last) for pool in sizes}
    except StoreUnusable:
        return {}


def _line(
    pool: str,
    jobs: Sequence[Job],
    weights: Mapping[str, int],
    sizes: Mapping[str, Capacity],
    last: Mapping[str, str],
) -> Line:
    mine = [job for job in jobs if job.pool == pool]
    documents: set[str] = set()
    if sizes[pool].affinity:  # it keeps what it reads
        documents = {job.document for job in mine} | {beginning.of_job(job) for job in mine}
        documents = (documents | {last.get(pool, "")}) - {""}
    return Line(len(mine), weights[pool], frozenset(documents), sizes[pool])
