"""What would be lost if a server were stopped."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from jobs.model import Status
from jobs.store.state_dir import StateDir
from ktclient.config.settings import EMBEDDED
from ktclient.records import access, kinds
from server_bundle.launch import http_probe, registry

LOADS_SECONDS = 30.0
"""/v1/loads of sglang-kt answers between two chunks of a prefill (0.2 to 26 s, recorded)."""
_METRIC = re.compile(r"^sglang:(num_running_reqs|num_queue_reqs|num_used_tokens)\{[^}]*\} (\S+)$")
_LLAMA_CPP = re.compile(r"^llamacpp:requests_(processing|deferred) (\d{1,9})$", re.M | re.ASCII)


@dataclass(frozen=True)
class Load:
    """What a server does now. None: not reported."""

    running: int | None
    queued: int | None
    used_tokens: int | None
    is_busy: bool


def running_jobs(state: StateDir, server: str) -> list[str]:
    """The ids of running jobs whose request is on this server: a URL, or `embedded`."""
    if not state.has_database():
        return []
    with access.open_recovered(state) as store:
        running = store.in_status(Status.RUNNING)
    asking = [
        job for job in running if job.pool != kinds.POOL
    ]  # conductors send no request; their parts do
    return [job.id for job in asking if _is_on(str(json.loads(job.spec)["server"]), server)]


def _is_on(one: str, server: str) -> bool:
    if EMBEDDED in (one, server):
        return one == server
    return registry.is_same_place(one, server)


def current(url: str, key: str | None) -> Load | None:
    """From /metrics, which costs the server nothing. sglang-kt leaves its last figures there when
    it becomes idle (recorded), so figures other than 0 are checked at /v1/loads, which answers at
    the end of a chunk: a server that does not answer in time is busy."""
    counted = _of_metrics(url, key)
    if counted is not None and not counted.is_busy:
        return counted
    answer = http_probe.get(f"{url}/v1/loads?include=core", key, seconds=LOADS_SECONDS)
    if answer is None or answer.status != 200:
        return counted
    try:
        ranks = answer.json()["loads"]
        running, queued, used = (
            sum(int(rank[name]) for rank in ranks)
            for name in ("num_running_reqs", "num_waiting_reqs", "num_used_tokens")
        )
    except (KeyError, TypeError, ValueError):
        return counted
    return Load(running, queued, used, bool(running or queued or used))


def _of_metrics(url: str, key: str | None) -> Load | None:
    answer = http_probe.get(f"{url}/metrics", key)  # llama.cpp asks for its key here too
    if answer is None or answer.status != 200:
        return None
    found: dict[str, float] = {}
    text = answer.body.decode(errors="replace")
    if slots := dict(_LLAMA_CPP.findall(text)):
        running, queued = (int(slots.get(name, 0)) for name in ("processing", "deferred"))
        return Load(running, queued, None, bool(running or queued))
    for line in text.splitlines():
        if match := _METRIC.match(line):
            found[match[1]] = max(found.get(match[1], 0.0), float(match[2]))
    if not found:
        return None
    running, queued, used = (
        int(found.get(name, 0))
        for name in ("num_running_reqs", "num_queue_reqs", "num_used_tokens")
    )
    return Load(running, queued, used, bool(running or queued or used))
