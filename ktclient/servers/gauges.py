"""Read a server's progress while it sends nothing: the prompt tokens that it has prefilled so far.

sglang reports it in two places. /metrics (with --enable-metrics) is answered immediately by the
HTTP process and is one chunk late. /v1/loads always exists, but waits for the end of a chunk, and
sglang-kt answers one such query at a time and keeps those whose client has gone
(tokenizer_communicator_mixin.py:96): a running query is waited for, never dropped.

vLLM reports it in /metrics alone, as the share of its KV cache in use.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import httpx2

from ktclient.errors import BadSetting
from ktclient.request import connection
from ktclient.request.json_numbers import sure_amount_of
from ktclient.servers.dialects import sglang, vllm
from ktclient.servers.dialects.dialect import ServerFacts

METRICS = "metrics"
LOADS = "loads"
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


_NO_READING = (
    *(httpx2.HTTPError, OSError, BadSetting),
    *(ValueError, KeyError, TypeError, OverflowError),  # of a reply that is not what it should be
)
_Read = Callable[[httpx2.Client], "Reading | None"]


class Gauges:
    """Polls one server, by the best method that it offers. For one thread at a time."""

    def __init__(self, facts: ServerFacts, api_key: str | None) -> None:
        self._facts, self._api_key = facts, api_key
        self._has_metrics = True
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
        return self._ask(self._metrics if self._has_metrics else self._loads)

    def go_on(self, source: str) -> None:
        """Instead of `first`, if another process has polled before: counts from two sources cannot
        be compared."""
        self._has_metrics = source == METRICS
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
        self._has_metrics = counted is not None
        loads = self._loads(client)
        if counted is None or loads is None:
            return counted or loads
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


def of_loads(body: dict[str, list[dict[str, int]]]) -> Reading:
    """From the tokens in use, which include the chunk that is being computed."""
    loads = body["loads"]
    used, waiting, running = (
        sure_amount_of(sum(int(load[name]) for load in loads))
        for name in ("num_used_tokens", "num_waiting_reqs", "num_running_reqs")
    )
    return Reading(LOADS, used, waiting, bool(used or waiting or running))
