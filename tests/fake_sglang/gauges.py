"""What /metrics serves: the state that was last logged, and counters.

Recorded: gauges are one chunk behind /v1/loads, and on kt left standing when the server falls
idle (sglang-kt-0.7.2-cpu/cut.jsonl: 60,605 used tokens long after the end).
"""

from __future__ import annotations

from dataclasses import dataclass

from fake_sglang.options import Options


@dataclass(frozen=True)
class Load:
    """What /v1/loads tells."""

    running: int
    waiting: int
    used: int
    pending: int
    queued_tokens: int
    prefill_compute: int
    busy_us: int = 0


class Gauges:
    """The scheduler writes, /metrics reads; the caller holds the scheduler's lock."""

    def __init__(self, options: Options) -> None:
        self._pool = options.pool
        self._counts_begun = options.counts_chunks
        self._lists = (0, 0, 0)
        self._cached = 0
        self._steps = 0
        self.prefill_compute = 0
        self._begun = 0
        self.busy_us = 0
        self.prompts = 0
        self.aborted = 0
        self.retracted = 0

    def begins(self, tokens: int) -> None:
        """A chunk is put together."""
        self._begun += tokens

    def prefilled(self, tokens: int, cached: int) -> None:
        """A chunk has been computed, and so many tokens before it had not to be."""
        self.prefill_compute += tokens
        self._cached += cached

    def step(self) -> int:
        """A decode step more: how many there were."""
        self._steps += 1
        return self._steps

    def write(self, running: int, waiting: int, used: int) -> None:
        """The state is logged."""
        self._lists = (running, waiting, used)

    def read(self) -> dict[str, float]:
        """Name, or name:mode, and value; the order is that of the recording."""
        running, waiting, used = self._lists
        found: dict[str, float] = {
            "num_running_reqs": running,
            "num_queue_reqs": waiting,
            "num_used_tokens": used,
            "token_usage": used / self._pool,
            "max_total_num_tokens": self._pool,
            "gen_throughput": 0.0,
            "cache_hit_rate": 0.0,
            "realtime_tokens_total:prefill_compute": (
                self._begun if self._counts_begun else self.prefill_compute
            ),
            "realtime_tokens_total:decode": self._steps - self._steps % 40,
            "prompt_tokens_total": self.prompts,
            "num_aborted_requests_total": self.aborted,
            "num_retracted_requests_total": self.retracted,
        }
        if self._cached:
            found["realtime_tokens_total:prefill_cache"] = self._cached
        return found
