"""What Prometheus reads: the store's sums as of now, and what this process counted.

Names follow prometheus.io/docs/practices/naming. What is read from the store survives restarts; it
is a gauge where deleted jobs make it smaller. `prometheus_client` is imported by the first scrape,
not by every start of the gateway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jobs.quick_dataclass import record
from jobs.store.http.store import HttpStore
from jobs.store.http.sums import PoolLoad, RecentTimes, Tokens

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.metrics_core import Metric

QUANTILES = (0.5, 0.9, 0.99)
_LEAST_NAMES = ("QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "LOST")
_SURFACES = ("chat", "responses", "batches", "command")


@record(frozen=True)
class Counted:
    """What the process knows and the store does not."""

    requests: Mapping[tuple[str, str, int], int]
    """HTTP requests by method, path template and status."""
    open_requests: int
    streams: int
    """Clients that wait for a job now."""
    version: str


@record(frozen=True)
class Stored:
    """What is read from the store, at one time."""

    jobs: Mapping[tuple[str, str], int]
    submitted: int
    loads: Sequence[PoolLoad]
    tokens: Sequence[Tokens]
    times: RecentTimes


def read(store: HttpStore) -> Stored:
    """All sums. Raises `StoreUnusable`."""
    return Stored(
        store.jobs_by_state(),
        store.submitted_ever(),
        store.pool_loads(),
        store.tokens(),
        store.recent_times(),
    )


def exposition(store: HttpStore, counted: Counted) -> tuple[bytes, str]:
    """The text of a scrape, and its content type. In a thread. Raises `StoreUnusable`."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_LATEST

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(read(store), counted))
    ProcessCollector(registry=registry)
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Collector:
    """One scrape's figures in the form that `prometheus_client` takes."""

    def __init__(self, stored: Stored, counted: Counted) -> None:
        self._stored = stored
        self._counted = counted

    def describe(self) -> list[Any]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from _of_jobs(self._stored)
        yield from _of_pools(self._stored.loads)
        yield from _of_tokens(self._stored.tokens)
        yield from _of_times(self._stored.times)
        yield from _of_process(self._counted)


def _gauge(name: str, words: str, labels: Sequence[str] = ()) -> GaugeMetricFamily:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(name, words, labels=labels)


def _of_jobs(stored: Stored) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily

    jobs = _gauge("ktjob_jobs", "Jobs in the store by surface and state.", ("surface", "state"))
    # A series that is there before its first job can be alerted on.
    zeros = {(surface, state): 0 for surface in _SURFACES for state in _LEAST_NAMES}
    for (surface, state), number in sorted({**zeros, **stored.jobs}.items()):
        jobs.add_metric((surface, state.lower()), number)
    yield jobs
    yield CounterMetricFamily(
        "ktjob_jobs_submitted",
        "Jobs and parts of jobs ever submitted to this state directory.",
        value=stored.submitted,
    )


def _of_pools(loads: Sequence[PoolLoad]) -> Iterator[Metric]:
    queued = _gauge("ktjob_queued_jobs", "Jobs that wait for their turn.", ("server",))
    running = _gauge("ktjob_running_jobs", "Jobs that have a worker.", ("server",))
    reserved = _gauge(
        "ktjob_kv_pool_reserved_tokens",
        "Tokens of the server's KV pool that running jobs reserve.",
        ("server",),
    )
    capacity = _gauge(
        "ktjob_kv_pool_capacity_tokens",
        "Tokens that jobs may reserve on the server, as last reported.",
        ("server",),
    )
    for load in loads:
        queued.add_metric((load.pool,), load.queued)
        running.add_metric((load.pool,), load.running)
        reserved.add_metric((load.pool,), load.reserved)
        capacity.add_metric((load.pool,), load.capacity)
    yield from (queued, running, reserved, capacity)


def _of_tokens(tokens: Sequence[Tokens]) -> Iterator[Metric]:
    family = _gauge(
        "ktjob_stored_tokens",
        "Tokens of the jobs in the store: prefilled, found in a prefix cache, decoded.",
        ("surface", "kind"),
    )
    for one in tokens:
        family.add_metric((one.surface, "prefilled"), one.prompt - one.cached)
        family.add_metric((one.surface, "cached"), one.cached)
        family.add_metric((one.surface, "decoded"), one.completion)
    yield family


def _of_times(times: RecentTimes) -> Iterator[Metric]:
    for name, words, seconds in (
        ("queue_wait", "from its submit to its start", times.queue_wait),
        ("first_token", "from its request to the first token", times.first_token),
    ):
        family = _gauge(
            f"ktjob_recent_{name}_seconds",
            f"How long one of the newest jobs took {words}.",
            ("quantile",),
        )
        ordered = sorted(seconds)
        for quantile in QUANTILES if ordered else ():
            family.add_metric((str(quantile),), ordered[int(quantile * (len(ordered) - 1))])
        yield family


def _of_process(counted: Counted) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily

    requests = CounterMetricFamily(
        "ktjob_http_requests",
        "HTTP requests answered since this process started; status 0: no headers were sent.",
        labels=("method", "route", "status"),
    )
    for (method, route, status), number in sorted(counted.requests.items()):
        requests.add_metric((method, route, str(status)), number)
    yield requests
    open_now = _gauge("ktjob_http_open_requests", "HTTP requests that are open now.")
    open_now.add_metric((), counted.open_requests)
    yield open_now
    streams = _gauge("ktjob_open_streams", "Clients that wait for a job now.")
    streams.add_metric((), counted.streams)
    yield streams
    build = _gauge("ktjob_build_info", "The version of ktjob.", ("version",))
    build.add_metric((counted.version,), 1)
    yield build
