"""The two lines that a working server writes: one for each chunk, one for every 40th token.

Formats of sglang-kt 0.6.2 to 0.7.2 (observability/scheduler_metrics_mixin.py:160), sglang 0.5.11 to
0.5.17 (`#pending-token`, and `cuda graph` before the throughput; managers/scheduler_components/
metrics_reporter.py:530) and 0.4 ("Prefill batch. ", with a cache hit rate).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from server_bundle.logs import fields
from server_bundle.logs.line import Line

_HEAD = re.compile(r"(Prefill|Decode) batch(?: \[\d+\])?[.,] ", re.ASCII)
"""SGLANG_LOG_FORWARD_ITERS adds the number in brackets. "Prefill rank batch" is another line, which
some versions write for every rank in addition."""
_OTHER_PREFIX = re.compile(r"[^\"'{}=]{1,100}?[\]:|-] (?=(?:Prefill|Decode) batch)")
"""A prefix of a custom logging configuration. A logged prompt cannot match: it is in quotes."""
_GRAPHS = ("cuda graph", "cpu graph", "npu graph")


@dataclass(frozen=True)
class PrefillBatch:
    """A chunk. Counts are of tokens or requests, `usage` is a share of the KV pool (the full one
    where there are two), throughput is in tokens per second. None: not in this version's line."""

    new_tokens: int
    """Computed in this chunk; for DeepSeek V4 rounded up to whole pages of 256."""
    new_seqs: int | None = None
    cached_tokens: int | None = None
    running: int | None = None
    queued: int | None = None
    pending_tokens: int | None = None
    """Tokens still to be prefilled, of all requests (from sglang 0.5.11 on)."""
    usage: float | None = None
    swa_usage: float | None = None
    mamba_usage: float | None = None
    input_throughput: float | None = None
    """Unreliable: sglang-kt divides the previous chunk's tokens by this chunk's time
    (scheduler_metrics_mixin.py:168), upstream divides this chunk's (metrics_reporter.py:545)."""
    uses_graph: bool | None = None

    @property
    def is_done(self) -> bool:
        """Whether the chunk had been computed when the line was written. Versions without a
        throughput write it before the computation (sglang 0.5.4 scheduler_metrics_mixin.py:90)."""
        return self.input_throughput is not None


@dataclass(frozen=True)
class DecodeBatch:
    """The state after some dozens of steps; `running` requests, `tokens` of the pool in use."""

    running: int
    queued: int | None = None
    tokens: int | None = None
    swa_tokens: int | None = None
    usage: float | None = None
    swa_usage: float | None = None
    mamba_usage: float | None = None
    gen_throughput: float | None = None
    accept_length: float | None = None
    accept_rate: float | None = None
    uses_graph: bool | None = None


def read(line: Line) -> PrefillBatch | DecodeBatch | None:
    """The batch in a line; None for any other line, or one without its main count."""
    text = line.text
    if not line.is_stamped and (other := _OTHER_PREFIX.match(text)):
        text = text[other.end() :]
    head = _HEAD.match(text)
    if head is None:
        return None
    found = fields.read(text[head.end() :])
    return _prefill(found) if head[1] == "Prefill" else _decode(found)


def _prefill(found: dict[str, str]) -> PrefillBatch | None:
    new = fields.count(found, "new-token")
    if new is None:
        return None
    return PrefillBatch(
        new_tokens=new,
        new_seqs=fields.count(found, "new-seq"),
        cached_tokens=fields.count(found, "cached-token"),
        running=fields.count(found, "running-req"),
        queued=fields.count(found, "queue-req"),
        pending_tokens=fields.count(found, "pending-token"),
        usage=fields.number(found, "full token usage", "token usage"),
        swa_usage=fields.number(found, "swa token usage"),
        mamba_usage=fields.number(found, "mamba usage"),
        input_throughput=fields.number(found, "input throughput (token/s)"),
        uses_graph=_graph(found),
    )


def _decode(found: dict[str, str]) -> DecodeBatch | None:
    running = fields.count(found, "running-req")
    if running is None:
        return None
    return DecodeBatch(
        running=running,
        queued=fields.count(found, "queue-req"),
        tokens=fields.count(found, "full token", "token"),
        swa_tokens=fields.count(found, "swa token"),
        usage=fields.number(found, "full token usage", "token usage"),
        swa_usage=fields.number(found, "swa token usage"),
        mamba_usage=fields.number(found, "mamba usage"),
        gen_throughput=fields.number(found, "gen throughput (token/s)"),
        accept_length=fields.number(found, "accept len"),
        accept_rate=fields.number(found, "accept rate"),
        uses_graph=_graph(found),
    )


def _graph(found: dict[str, str]) -> bool | None:
    value = next((found[name] for name in _GRAPHS if name in found), None)
    return {"True": True, "False": False}.get(value or "")
