"""The dialect of vLLM's HTTP server, whose own process answers while the engine computes.

Seen of 0.32.0 on a CPU (tests/data/vllm): /metrics answers in milliseconds during a prefill, and of
its figures only the share of the KV cache in use moves then, a chunk at a time; the counters of
prompt tokens stand still until the first token (vllm #51261, #56923). A request whose client has
gone stops within a chunk, and the blocks that it had filled stay in the prefix cache: there is no
ghost prefill. Nothing of this was run on a GPU here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import httpx2

from ktclient.request.json_numbers import count_of, sure_amount_of
from ktclient.servers.dialects.dialect import ServerFacts

NAME = "vllm"
_SAMPLE = re.compile(r"^vllm:(\w+)\{([^}\n]*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"\n]*)"')
_USAGE = ("kv_cache_usage_perc", "gpu_cache_usage_perc")
"""The second is the name before 0.10."""


@dataclass(frozen=True)
class Figures:
    """What /metrics says, all engines of a data-parallel server together. `pool` and `used` are KV
    tokens, `page` a block; None: it does not say."""

    running: int
    waiting: int
    pool: int | None = None
    used: int | None = None
    page: int | None = None
    has_prefix_cache: bool | None = None
    is_asleep: bool | None = None

    @property
    def is_busy(self) -> bool:
        """A request in prefill counts as running, from the end of its first chunk."""
        return bool(self.running or self.waiting)


class Vllm:
    """Dialect of vLLM 0.10 and later; of a fork, as much as it answers."""

    name = NAME
    pulse_path = "/version"

    def extras(self, rid: str) -> dict[str, object]:
        """Nothing: it takes no abort by id unless started with --enable-scale-out, and versions
        before 0.7 refuse fields that they do not know."""
        return {}

    def count(self, http: httpx2.Client, url: str, model: str, message: str) -> int | None:
        """Exact: the chat template and the tokenizer of the server, which does not stall for it
        (800,000 tokens in 4 s; other queries took 0.1 s at most meanwhile)."""
        body = {"model": model, "messages": [{"role": "user", "content": message}]}
        answer = http.post(f"{url}/tokenize", json=body)
        if answer.status_code != 200 or "count" not in (found := answer.json()):
            return None
        return sure_amount_of(found["count"])

    def survey(self, http: httpx2.Client, facts: ServerFacts, patience: float) -> ServerFacts:
        """One query of /metrics, which costs the engine nothing. With --disable-log-stats it has no
        figures, and all stays unknown, as of any other server."""
        answer = http.get(f"{facts.url}/metrics", timeout=patience)
        found = figures_of(answer.text) if answer.status_code == 200 else None
        if found is None:
            return facts
        return replace(
            facts,
            pool=found.pool,
            page=found.page,
            has_prefix_cache=found.has_prefix_cache,
            progress="metrics",
            is_busy=found.is_busy,
            running=found.running,
            waiting=found.waiting,
        )

    def is_silent(self, http: httpx2.Client, url: str) -> bool | None:
        """Whether no request runs or waits."""
        answer = http.get(f"{url}/metrics")
        found = figures_of(answer.text) if answer.status_code == 200 else None
        return None if found is None else not found.is_busy

    def abort(self, http: httpx2.Client, url: str, rid: str) -> bool:
        """Always False: it stops when the connection is closed, also in a prefill."""
        return False


def figures_of(text: str) -> Figures | None:
    """From the text of /metrics; None if it has no counts of vLLM's requests. Raises `ValueError`
    for figures that are no counts. Pure."""
    rows = [_Row(name, dict(_LABEL.findall(labels)), value) for name, labels, value in _rows(text)]
    running = _requests(rows, "num_requests_running")
    if running is None:
        return None
    caches = [row.labels for row in rows if row.name == "cache_config_info"]
    pools = [_pool(labels) for labels in caches]
    pool = sum(one for one in pools if one) if pools and all(pools) else None
    awake = [row.value for row in rows if row.labels.get("sleep_state") == "awake"]
    return Figures(
        running,
        _requests(rows, "num_requests_waiting") or 0,
        pool,
        _used(rows, pool),
        _number(caches[0].get("block_size")) if caches else None,
        {"True": True, "False": False}.get(caches[0].get("enable_prefix_caching", ""))
        if caches
        else None,
        any(float(value) == 0 for value in awake) if awake else None,
    )


@dataclass(frozen=True)
class _Row:
    name: str
    labels: dict[str, str]
    value: str


def _rows(text: str) -> Iterator[tuple[str, str, str]]:
    kept = ("num_requests_running", "num_requests_waiting", "cache_config_info", *_USAGE)
    return (row for row in _SAMPLE.findall(text) if row[0] in (*kept, "engine_sleep_state"))


def _requests(rows: list[_Row], name: str) -> int | None:
    """The sum over the engines."""
    found = [sure_amount_of(int(float(row.value))) for row in rows if row.name == name]
    return sum(found) if found else None


def _used(rows: list[_Row], pool: int | None) -> int | None:
    """KV tokens of running requests: their share of the pool. Blocks that only the prefix cache
    holds count as free."""
    shares = [float(row.value) for row in rows if row.name in _USAGE]
    if not shares or pool is None:
        return None
    share = sum(shares) / len(shares)
    if not 0 <= share <= 1 or math.isnan(share):
        raise ValueError("not a share")
    return round(share * pool)


def _pool(labels: dict[str, str]) -> int | None:
    """KV tokens of one engine. `kv_cache_size_tokens` is vLLM's own figure, also for models whose
    layers keep different amounts; older versions say only blocks, which of such models is more
    than they hold."""
    told = _number(labels.get("kv_cache_size_tokens"))
    if told is not None:
        return told
    blocks, size = _number(labels.get("num_gpu_blocks")), _number(labels.get("block_size"))
    return blocks * size if blocks and size else None


def _number(text: str | None) -> int | None:
    """A label's number; "None" where vLLM does not know it."""
    return count_of(int(text)) if text and text.isascii() and text.isdigit() else None
