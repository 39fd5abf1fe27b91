"""What a server serves now, for people who look: from /metrics alone, which costs it nothing.

The scheduler is never asked (/server_info, /v1/loads, /health): it answers between two chunks, and
a page that looks every few seconds would fill its line of questions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx2

from ktclient.errors import BadSetting
from ktclient.request import connection

SECONDS = 3.0
_SAMPLE = re.compile(r"^(?:sglang|vllm|llamacpp):(\w+)(?:\{[^}\n]*\})? (\S+)$", re.MULTILINE)
_RUNNING = ("num_running_reqs", "num_requests_running", "requests_processing")
_WAITING = ("num_queue_reqs", "num_requests_waiting", "requests_deferred")
_USED, _SIZE = ("num_used_tokens",), ("max_total_num_tokens",)
_SHARE = ("token_usage", "kv_cache_usage_perc", "gpu_cache_usage_perc", "kv_cache_usage_ratio")
_NO_ANSWER = (httpx2.HTTPError, OSError, BadSetting, ValueError, OverflowError)


@dataclass(frozen=True)
class LiveLoad:
    """`is_up`: whether it answers HTTP. Requests of all clients, and KV tokens; None: it does not
    say. `share`: of the KV pool in use, from 0 to 1."""

    is_up: bool
    running: int | None = None
    waiting: int | None = None
    used_tokens: int | None = None
    pool_tokens: int | None = None
    share: float | None = None


def read(url: str, api_key: str | None) -> LiveLoad:
    """The load of the server at a root URL, within a few seconds."""
    try:
        with connection.short_client(api_key, url) as client:
            answer = client.get(f"{url}/metrics", timeout=SECONDS)
            if answer.status_code == 200:
                return of_metrics(answer.text)
            # Without /metrics, only whether it is there.
            listed = client.get(f"{url}/v1/models", timeout=SECONDS)
            return LiveLoad(is_up=listed.status_code < 500)
    except _NO_ANSWER:
        return LiveLoad(is_up=False)


def of_metrics(text: str) -> LiveLoad:
    """The load that a page of metrics reports. Ranks of one replica report the same requests."""
    found: dict[str, float] = {}
    for name, value in _SAMPLE.findall(text):
        found[name] = max(found.get(name, 0.0), float(value))
    share = _first(found, _SHARE)
    return LiveLoad(
        is_up=True,
        running=_whole(found, _RUNNING),
        waiting=_whole(found, _WAITING),
        used_tokens=_whole(found, _USED),
        pool_tokens=_whole(found, _SIZE),
        share=None if share is None else min(1.0, max(0.0, share)),
    )


def _first(found: dict[str, float], names: tuple[str, ...]) -> float | None:
    return next((found[name] for name in names if name in found), None)


def _whole(found: dict[str, float], names: tuple[str, ...]) -> int | None:
    value = _first(found, names)
    return None if value is None else int(value)
