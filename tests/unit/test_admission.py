"""Which jobs may start: capacity, order, and no starvation."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.admission import choose
from jobs.model import Job, Status


def job(name: str, weight: int = 1, pool: str = "gpu") -> Job:
    return Job(
        id=name,
        pool=pool,
        weight=weight,
        title=name,
        spec="{}",
        document="0" * 64,
        status=Status.QUEUED,
        outcome=None,
        cause=None,
        message=None,
        attempt=0,
        max_attempts=1,
        cancel_requested_at=None,
        created_at="",
        started_at=None,
        finished_at=None,
    )


def names(jobs: list[Job]) -> list[str]:
    return [one.id for one in jobs]


def test_no_pool_holds_more_than_its_capacity() -> None:
    """What runs counts as well as what is about to start."""
    queued = [job("a", 2), job("b", 2), job("c", 2)]
    assert names(choose(queued, [job("r", 1)], {"gpu": 5})) == ["a", "b"]


def test_a_heavy_job_is_not_overtaken_by_light_ones() -> None:
    """First come, first served: light jobs behind it wait, so it cannot starve."""
    queued = [job("heavy", 5), job("light", 1)]
    assert names(choose(queued, [job("r", 1)], {"gpu": 5})) == []


def test_pools_do_not_block_each_other() -> None:
    """A full server is no reason to leave another idle."""
    queued = [job("a"), job("b", pool="other")]
    assert names(choose(queued, [job("r")], {"gpu": 1, "other": 1})) == ["b"]


def test_a_job_heavier_than_its_pool_runs_alone() -> None:
    """It would otherwise wait for ever."""
    queued = [job("giant", 9), job("b")]
    assert names(choose(queued, [], {"gpu": 5})) == ["giant"]


def test_an_unknown_pool_runs_one_at_a_time() -> None:
    """The careful guess."""
    assert names(choose([job("a"), job("b")], [], {})) == ["a"]


POOLS = ("a", "b", "unknown")
LINES = st.lists(st.tuples(st.sampled_from(POOLS), st.integers(1, 12)), max_size=14)
CAPACITIES = st.fixed_dictionaries({"a": st.integers(1, 10), "b": st.integers(1, 10)})


def line(name: str, kinds: list[tuple[str, int]]) -> list[Job]:
    return [job(f"{name}{n}", weight, pool) for n, (pool, weight) in enumerate(kinds)]


@settings(max_examples=150, deadline=None)
@given(LINES, LINES, CAPACITIES)
def test_whatever_waits_no_pool_is_overfilled_and_nobody_overtakes(
    waiting: list[tuple[str, int]], busy: list[tuple[str, int]], capacities: dict[str, int]
) -> None:
    """More than its capacity is in a pool only as one job alone, or was there before; in each pool
    the oldest go first; and an empty pool never stays empty."""
    queued, running = line("q", waiting), line("r", busy)
    chosen = choose(queued, running, capacities)
    assert len({one.id for one in chosen}) == len(chosen)
    for pool in POOLS:
        here = [one for one in queued if one.pool == pool]
        started = [one for one in chosen if one.pool == pool]
        there = [one for one in running if one.pool == pool]
        assert started == here[: len(started)]
        if started and len(started) + len(there) > 1:
            assert sum(one.weight for one in [*there, *started]) <= capacities.get(pool, 1)
        assert started or there or not here


@settings(max_examples=60, deadline=None)
@given(LINES, CAPACITIES, st.data())
def test_everybody_in_line_starts_in_turn(
    waiting: list[tuple[str, int]], capacities: dict[str, int], data: st.DataObject
) -> None:
    """Whatever ends first and whoever comes after: light jobs that arrive for ever do not keep a
    heavy one waiting, and each pool starts its jobs in order."""
    queued, running, started = line("q", waiting), list[Job](), list[Job]()
    for round_number in range(3 * len(waiting) + 3):
        new = choose(queued, running, capacities)
        started += new
        running += new
        queued = [one for one in queued if one not in new]
        queued += [job(f"late{round_number}{pool}", 1, pool) for pool in POOLS]
        if running:
            running.remove(data.draw(st.sampled_from(running)))
        for pool in POOLS:  # time passes: the pools that nobody drew empty too
            done = next((one for one in running if one.pool == pool), None)
            if done:
                running.remove(done)
    first = {one.id for one in line("q", waiting)}
    assert first <= {one.id for one in started}
    for pool in POOLS:
        order = [one.id for one in started if one.pool == pool and one.id in first]
        assert order == [one.id for one in line("q", waiting) if one.pool == pool]
