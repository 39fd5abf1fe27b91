"""llama.cpp's server, embedded or external.

No figure of it says whether its slots share one KV cache (llama-server's default, each with the
whole window) or have one each: so all requests together get no more than one slot's window
(`submission/capacity.py`).
"""

from __future__ import annotations

from dataclasses import replace

import httpx2

from ktclient.request.json_numbers import count_of
from ktclient.servers.dialects.dialect import ServerFacts

NAME = "llama.cpp"


class LlamaCpp:
    """Dialect of llama.cpp's HTTP server."""

    name = NAME
    pulse_path = "/health"

    def extras(self, rid: str) -> dict[str, object]:
        """Requests prefill progress inside the stream."""
        return {"return_progress": True}

    def count(self, http: httpx2.Client, url: str, model: str, message: str) -> int | None:
        """Exact: the rendered chat template through the server's own tokenizer."""
        messages = [{"role": "user", "content": message}]
        rendered = http.post(f"{url}/apply-template", json={"messages": messages})
        if rendered.status_code != 200:
            return None
        body = {"content": rendered.json()["prompt"], "add_special": True, "parse_special": True}
        counted = http.post(f"{url}/tokenize", json=body)
        return len(counted.json()["tokens"]) if counted.status_code == 200 else None

    def survey(self, http: httpx2.Client, facts: ServerFacts, patience: float) -> ServerFacts:
        """/props has the window of one slot, which may be a share of the context, and the number of
        slots. Each slot keeps its last prompt, so it has a prefix cache. A server that sleeps
        (--sleep-idle-seconds) runs nothing, and would load its model to answer /slots."""
        known = replace(facts, has_prefix_cache=True, progress="stream")
        props = http.get(f"{facts.url}/props", timeout=patience)
        if props.status_code != 200:  # --no-props, or a router
            return known
        found = props.json()
        settings = found.get("default_generation_settings") or {}
        known = replace(
            known,
            window=count_of(settings.get("n_ctx")) or facts.window,
            max_running=count_of(found.get("total_slots")),
            is_asleep=_is_asleep(found),
        )
        running = 0 if known.is_asleep else _running_or_none(http, facts.url)
        return replace(known, is_busy=None if running is None else running > 0, running=running)

    def is_silent(self, http: httpx2.Client, url: str) -> bool | None:
        """Whether every slot is idle, as those of a sleeping server are. Poll it only every few
        seconds: polled ten times a second, it no longer noticed that a client had disconnected."""
        props = http.get(f"{url}/props")
        if props.status_code == 200 and _is_asleep(props.json()):
            return True
        running = _running(http, url)
        return None if running is None else running == 0

    def abort(self, http: httpx2.Client, url: str, rid: str) -> bool:
        """Always False: it has no abort, but stops within a batch after the connection is
        closed."""
        return False


def _is_asleep(props: object) -> bool:
    return isinstance(props, dict) and props.get("is_sleeping") is True


def _running_or_none(http: httpx2.Client, url: str) -> int | None:
    """As `_running`; whatever is wrong with /slots, what /props has said is kept."""
    try:
        return _running(http, url)
    except (httpx2.HTTPError, ValueError, TypeError, RecursionError):
        return None


def _running(http: httpx2.Client, url: str) -> int | None:
    """The number of busy slots; None if unknown. The queue is not reported. Before November 2024,
    and in forks, a slot has a `state` instead: 0 is idle."""
    slots = http.get(f"{url}/slots")
    if slots.status_code != 200:
        return None
    found = slots.json()
    states = [_is_busy(slot) for slot in found] if isinstance(found, list) else []
    if not states or None in states:
        return None
    return sum(map(bool, states))


def _is_busy(slot: object) -> bool | None:
    """Whether a slot works; None if it does not say."""
    found = slot if isinstance(slot, dict) else {}
    for name in ("is_processing", "state"):
        told = found.get(name)
        if isinstance(told, (bool, int)):
            return bool(told)
    return None
