"""Read a server's progress while it sends nothing: the prompt tokens that it has prefilled so far.

sglang reports it in two places. /metrics (with --enable-metrics) is answered immediately by the
HTTP process; it is one chunk late in sglang-kt, and in 0.5.23 counts a chunk that has only begun.
/v1/loads always exists, but waits for the end of a chunk, and sglang-kt answers one such query at a
time and keeps those whose client has gone (tokenizer_communicator_mixin.py:96): a running query is
waited for, never dropped.

From 0.5.23 on the HTTP process answers /v1/loads from shared memory in milliseconds, and two counts
in it are exact: when a chunk has been computed, `total_prefill_uncached_tokens` grows by its tokens
and `total_prefill_busy_us` by the time that it took (sglang scheduler.py:5171, load_snapshot.py:1).
`num_waiting_uncached_tokens` beside them is no exact rest: it is 0 in the last chunk, and what
waits is scaled by a hit rate (tests/data/sglang/loads-0.5.23.jsonl).

vLLM reports it in /metrics alone, as the share of its KV cache in use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from ktclient.errors import BadSetting
from ktclient.request import connection
from ktclient.request.json_numbers import sure_amount_of
from ktclient.servers.dialects import sglang, vllm
from ktclient.servers.dialects.dialect import ServerFacts

METRICS = "metrics"
LOADS = "loads"
COUNTER = "counter"
"""The exact counts of /v1/loads."""
EXACT_FROM = (0, 5, 23)
"""The first release of sglang of which it was measured. Those of 0.5.17 were two chunks behind, and
came at the end of a chunk (real/sglang-0.5.17-h100/long.jsonl)."""
_RELEASE = re.compile(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})")
_SAMPLE = re.compile(r"^sglang:(\w+)\{([^}\n]*)\} (\S+)$", re.MULTILINE)
_RANK = re.compile(r'dp_rank="(\d+)"')
_PREFILL = 'mode="prefill_compute"'


@dataclass(frozen=True)
class Reading:
    """One sample. `tokens`: a count of prefilled tokens that grows by a chunk at a time, from any
    start. `waiting`: requests in the queue. `is_busy`: whether it serves any client; None is
    unknown."""

    source: str
    tokens: int
    waiting: int
    is_busy: bool | None = None
    busy_seconds: float | None = None
    """For how long it has computed prefills, up to the end of the last chunk in `tokens`; grows
    from any start. None: it does not say."""
    held: int | None = None
    """KV tokens of its requests, with those that a prefix cache had for them and those of the chunk
    that it computes. None: it does not say."""


_NO_READING = (
    *(httpx2.HTTPError, OSError, BadSetting),
    *(ValueError, KeyError, TypeError, OverflowError),  # of a reply that is not what it should be
)
_Read = Callable[[httpx2.Client], "Reading | None"]


class Gauges:
    """Polls one server, by the best method that it offers. For one thread at a time."""

    def __init__(self, facts: ServerFacts, api_key: str | None) -> None:
        self._facts, self._api_key = facts, api_key
        self.source: str | None = None
        """Where the last reading came from."""

    @property
    def can_tell(self) -> bool:
        """Whether the server reports progress at all."""
        return self._facts.dialect in (sglang.NAME, vllm.NAME)

    @property
    def asks(self) -> bool:
        """Whether polling sends a query to the server: then one process polls for all."""
        return True

    def first(self) -> Reading | None:
        """The counter's value, and whether the server is idle. None if it reports nothing."""
        return self._ask(self._first)

    def next(self) -> Reading | None:
        """A later sample; None without an answer."""
        return self._ask(self._loads if self.source in (LOADS, COUNTER) else self._metrics)

    def go_on(self, source: str) -> None:
        """Instead of `first`, if another process has polled before: counts from two sources cannot
        be compared."""
        self.source = source

    def _ask(self, read: _Read) -> Reading | None:
        if not self.can_tell:
            return None
        try:
            with connection.short_client(self._api_key, self._facts.url) as client:
                found = read(client)
        except _NO_READING:
            return None
        self.source = found.source if found else self.source
        return found

    def _first(self, client: httpx2.Client) -> Reading | None:
        # kt leaves the lists in /metrics unchanged when it becomes idle (real/sglang-kt-0.7.2-cpu/
        # cut.jsonl), so only /v1/loads shows whether the server is idle.
        counted = self._metrics(client)
        if self._facts.dialect == vllm.NAME:
            return counted
        loads = self._loads(client)
        if counted is None or loads is None or loads.source == COUNTER:
            return loads or counted
        return Reading(METRICS, counted.tokens, loads.waiting, loads.is_busy)

    def _metrics(self, client: httpx2.Client) -> Reading | None:
        answer = client.get(f"{self._facts.url}/metrics")
        if answer.status_code != 200:
            return None
        is_vllm = self._facts.dialect == vllm.NAME
        return of_vllm(answer.text) if is_vllm else of_metrics(answer.text)

    def _loads(self, client: httpx2.Client) -> Reading | None:
        with sglang.one_question:
            url = f"{self._facts.url}/v1/loads?include=core"
            answer = client.get(url, timeout=sglang.LOADS_SECONDS)
        return of_loads(answer.json()) if answer.status_code == 200 else None


def of_metrics(text: str) -> Reading | None:
    """From the counter `sglang:realtime_tokens_total`; None if it is missing: nothing was prefilled
    yet, or the version does not have it. Ranks of one replica count the same tokens."""
    ranks: dict[str, int] = {}
    waiting, is_sglang = 0, False
    for name, labels, value in _SAMPLE.findall(text):
        is_sglang = True
        if name == "realtime_tokens_total" and _PREFILL in labels:
            rank = _RANK.search(labels)
            key = rank[1] if rank else ""
            ranks[key] = max(ranks.get(key, 0), sure_amount_of(int(float(value))))
        elif name == "num_queue_reqs":
            waiting = max(waiting, sure_amount_of(int(float(value))))
    if not is_sglang or not ranks:
        return None
    return Reading(METRICS, sum(ranks.values()), waiting)


def of_vllm(text: str) -> Reading | None:
    """From the KV tokens in use, which include those that the prefix cache had; None if the server
    does not say how many there are."""
    found = vllm.figures_of(text)
    if found is None or found.used is None:
        return None
    return Reading(METRICS, found.used, found.waiting, found.is_busy)


def of_loads(body: Mapping[str, Any]) -> Reading:
    """The exact counts, if it is known to have them; else from the tokens in use, which include the
    chunk that is being computed."""
    loads = body["loads"]
    used, waiting, running = (
        _sum(loads, name) for name in ("num_used_tokens", "num_waiting_reqs", "num_running_reqs")
    )
    is_busy = bool(used or waiting or running)
    if not _is_exact(body):
        return Reading(LOADS, used, waiting, is_busy)
    done, micros = (_sum(loads, name) for name in _EXACT)
    return Reading(COUNTER, done, waiting, is_busy, micros / 1e6, used)


_EXACT = ("total_prefill_uncached_tokens", "total_prefill_busy_us")


def _sum(loads: list[dict[str, int]], name: str) -> int:
    """Over the replicas, each of which reports once."""
    return sure_amount_of(sum(int(load[name]) for load in loads))


def _is_exact(body: Mapping[str, Any]) -> bool:
    """Whether this release counts exactly. A build that does not know its version (0.0.0.dev0, as
    sglang-kt) is not known to."""
    version, loads = body.get("version"), body["loads"]
    found = _RELEASE.match(version) if isinstance(version, str) else None
    is_new = found is not None and tuple(map(int, found.groups())) >= EXACT_FROM
    return is_new and bool(loads) and all(name in load for load in loads for name in _EXACT)
