"""The servers as the page shows them: whether they answer, and what is in use of their KV pools."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from jobs.model import Capacity, Job, Status
from jobs.store.http.store import HttpStore
from ktclient import urls
from ktclient.config.settings import EMBEDDED, Settings
from ktclient.errors import BadInput, BadSetting
from ktclient.planning.several import reports
from ktclient.records import kinds
from ktclient.servers.dialects import live_load
from ktclient.servers.dialects.live_load import LiveLoad

_MOST = 12
"""Servers that are shown."""

Record = dict[str, object]


@dataclass(frozen=True)
class Ours:
    """What ktjob itself runs on a server: jobs, and the KV tokens that it reserves for them."""

    running: int = 0
    waiting: int = 0
    reserved: int = 0
    pool: int | None = None


def names(settings: Settings) -> dict[str, str]:
    """The configured servers, by URL: their names; the default one has none."""
    found = {}
    default = settings.meant(None)
    if default is not None and default.url is not None:
        found[_root(default.url)] = default.name or ""
    for name, server in settings.servers.items():
        found.setdefault(_root(server.url or ""), name)
    return found


def _root(url: str) -> str:
    if url == EMBEDDED:
        return url
    try:
        return urls.root_of(url)
    except BadInput:
        return url


def ours(store: HttpStore) -> dict[str, Ours]:
    """By server."""
    running = [job for job in store.in_status(Status.RUNNING) if job.pool != kinds.POOL]
    waiting = [pool for _, pool in store.order_of_queue(5000) if pool != kinds.POOL]
    sizes = store.capacities()
    pools = {*(job.pool for job in running), *waiting}
    return {pool: _of(pool, running, waiting, sizes.get(pool)) for pool in pools}


def _of(pool: str, running: Iterable[Job], waiting: list[str], size: Capacity | None) -> Ours:
    mine = [job for job in running if job.pool == pool]
    tokens = None if size is None else size.tokens
    return Ours(len(mine), waiting.count(pool), sum(job.weight for job in mine), tokens)


def read(settings: Settings, own: dict[str, Ours]) -> list[Record]:
    """All servers: the configured ones, and those of open jobs. Asks each for its load, all at the
    same time, for a few seconds at most."""
    named = names(settings)
    shown = list(dict.fromkeys([*named, *own]))[:_MOST]
    with ThreadPoolExecutor(_MOST, "load") as threads:
        loads = threads.map(lambda url: _load(settings, url), shown)
        return [
            {
                "url": url,
                "name": named.get(url, ""),
                "load": None if load is None else asdict(load),
                "ours": asdict(own.get(url, Ours())),
            }
            for url, load in zip(shown, loads, strict=True)
        ]


def _load(settings: Settings, url: str) -> LiveLoad | None:
    if url == EMBEDDED:  # started when it is needed
        return None
    try:
        return live_load.read(url, settings.key_for(url))
    except BadSetting:
        return LiveLoad(is_up=False)


def reported(settings: Settings) -> list[Record]:
    """What `ktjob servers --json` says of each. Asks all of them, for six seconds at most."""
    return [asdict(one) for one in reports.read(settings)]
