"""Which jobs may start: capacity, order, passing without delaying, and no starvation."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.model import Capacity, Job, Status, Warmth
from jobs.runner.admission import MOST_PASSES, choose

_seq = itertools.count(1)


def job(
    name: str,
    weight: int = 1,
    pool: str = "gpu",
    *,
    priority: int = 0,
    document: str = "",
    spec: str = "{}",
) -> Job:
    seq = next(_seq)
    return Job(
        id=name,
        pool=pool,
        weight=weight,
        title=name,
        spec=spec,
        document=document or f"{seq:064}",
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
        priority=priority,
        seq=seq,
    )


def names(jobs: list[Job]) -> list[str]:
    return [one.id for one in jobs]


def gpu(tokens: int | None = None, slots: int | None = None, affinity: bool = False) -> Caps:
    return {"gpu": Capacity(tokens, slots, affinity)}


Caps = Mapping[str, Capacity]


def test_no_pool_holds_more_than_its_capacity() -> None:
    """What runs counts as well as what is about to start."""
    running, queued = [job("r", 1)], [job("a", 2), job("b", 2), job("c", 2)]
    assert names(choose(queued, running, gpu(5))) == ["a", "b"]
    assert names(choose(queued, running, gpu(5, slots=2))) == ["a"]
    assert names(choose(queued, running, gpu(slots=2))) == ["a"]
    assert names(choose(queued, running, gpu())) == ["a", "b", "c"]


def test_a_heavy_job_is_not_delayed_by_light_ones() -> None:
    """It would need the whole pool, or the room that the light one takes: that one waits."""
    running = [job("r", 2)]
    assert names(choose([job("whole", 5), job("light", 1)], running, gpu(5))) == []
    assert names(choose([job("giant", 9), job("light", 1)], running, gpu(5))) == []
    assert names(choose([job("heavy", 4), job("light", 2)], running, gpu(5))) == []


def test_a_light_job_passes_a_heavy_one_that_it_cannot_delay() -> None:
    """Two books of 600 do not go beside one another in 965, and small ones go beside either."""
    running = [job("first", 600)]
    queued = [job("second", 600), *(job(f"s{n}", 20) for n in range(20))]
    chosen = names(choose(queued, running, gpu(965)))
    assert chosen == [f"s{n}" for n in range(18)]


def test_a_job_that_passes_leaves_room_for_every_order_of_ends() -> None:
    """The heavy job fits as soon as "a" has ended, while "b" still runs: nobody may pass into the
    room that both would leave."""
    running = [job("a", 5), job("b", 1)]
    assert names(choose([job("heavy", 8), job("light", 2)], running, gpu(10))) == []
    assert names(choose([job("heavy", 8), job("light", 1)], running, gpu(10))) == ["light"]


def test_higher_priority_goes_first_and_age_decides_among_equals() -> None:
    """Also where the more important one is younger."""
    queued = [job("a"), job("b", priority=5), job("c", priority=5)]
    assert names(choose(queued, [], gpu(slots=2))) == ["b", "c"]


def test_pools_do_not_block_each_other() -> None:
    """A full server is no reason to leave another idle."""
    queued = [job("a"), job("b", pool="other")]
    capacities = {**gpu(1), "other": Capacity(1)}
    assert names(choose(queued, [job("r")], capacities)) == ["b"]


def test_a_job_heavier_than_its_pool_runs_alone() -> None:
    """It would otherwise wait for ever."""
    assert names(choose([job("giant", 9), job("b")], [], gpu(5))) == ["giant"]


def test_an_unknown_pool_runs_one_at_a_time() -> None:
    """The careful guess."""
    assert names(choose([job("a"), job("b")], [], {})) == ["a"]


def test_jobs_on_one_document_run_one_after_another() -> None:
    """Where the second profits from the first, it waits for it, and others go meanwhile."""
    queued = [job("d2", document="D"), job("e", document="E")]
    running = [job("d1", document="D")]
    assert names(choose(queued, running, gpu(10, affinity=True))) == ["e"]
    assert names(choose(queued, running, gpu(10))) == ["d2", "e"]


def test_the_next_question_on_a_document_goes_first_among_equals() -> None:
    """Until too many have passed; and never before a higher priority."""
    queued = [job("e", document="E"), job("d", document="D")]
    one = gpu(slots=1, affinity=True)
    assert names(choose(queued, [], one, {"gpu": Warmth("D", 0)})) == ["d"]
    assert names(choose(queued, [], one, {"gpu": Warmth("D", MOST_PASSES)})) == ["e"]
    urgent = [*queued, job("u", priority=1)]
    assert names(choose(urgent, [], one, {"gpu": Warmth("D", 0)})) == ["u"]


def test_a_document_behind_another_beginning_is_another_reading() -> None:
    """With a different effort or system prompt the server reads it again: such jobs are neither
    held for each other nor preferred, and what begins alike is, whatever its document is called."""
    queued = [
        job("e", document="E"),
        job("high", document="D", spec="high"),
        job("low", document="D", spec="low"),
        job("f", document="F", spec="chat"),
    ]

    def begins(spec: str, document: str) -> str:
        return spec if spec == "chat" else spec + document

    one = gpu(slots=1, affinity=True)
    for spec, document, first in [
        ("low", "D", "low"),
        ("high", "D", "high"),
        ("max", "D", "e"),
        ("chat", "another", "f"),
    ]:
        warm = {"gpu": Warmth(document, 0, spec)}
        assert names(choose(queued, [], one, warm, begins)) == [first]
    reads = [job("reads", document="D", spec="high")]
    assert names(choose(queued, reads, gpu(slots=9, affinity=True), {}, begins)) == [
        "e",
        "low",
        "f",
    ]
    chat = [job("chat", document="G", spec="chat")]
    chosen = names(choose(queued, chat, gpu(slots=9, affinity=True), {}, begins))
    assert chosen == ["e", "high", "low", "f"], "chats with one beginning may run together"


Request = tuple[int, int, int, int]
REQUESTS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(1, 12), st.integers(1, 9), st.integers(0, 2)),
    max_size=14,
)
"""Ticks since the one before, weight, duration, document."""


def simulate(
    requests: list[Request],
    admit: Callable[[list[Job], list[Job], list[Job]], list[Job]],
    capacity: Capacity,
) -> dict[int, int]:
    """When each request starts, by its number, with whatever is admitted at each tick."""
    arrivals = list(itertools.accumulate(one[0] for one in requests))
    line = [job(str(n), r[1], document=f"doc{r[3]}") for n, r in enumerate(requests)]
    starts: dict[int, int] = {}
    begun: list[Job] = []
    for now in range(sum(r[0] + r[2] for r in requests) + 1):
        running = [one for one in begun if now < starts[int(one.id)] + requests[int(one.id)][2]]
        queued = [one for one in line if one not in begun and arrivals[int(one.id)] <= now]
        new = admit(queued, running, begun)
        begun += new
        starts.update({int(one.id): now for one in new})
        together = [*running, *new]
        if len(together) > 1:
            assert sum(one.weight for one in together) <= (capacity.tokens or 10**9)
            assert len(together) <= (capacity.slots or 10**9)
        if capacity.affinity:
            assert len({one.document for one in together}) == len(together)
    assert len(starts) == len(requests), "somebody never started"
    return starts


def strictly_in_turn(queued: list[Job], running: list[Job], capacity: Capacity) -> list[Job]:
    """Nobody ever passes anybody."""
    new: list[Job] = []
    for one in queued:
        if choose([one], [*running, *new], {"gpu": capacity}) != [one]:
            break
        new.append(one)
    return new


@settings(max_examples=300, deadline=None)
@given(REQUESTS, st.integers(1, 16), st.none() | st.integers(1, 4))
def test_passing_delays_nobody(requests: list[Request], tokens: int, slots: int | None) -> None:
    """Whatever arrives when and takes how long: no job starts later than where nobody passes."""
    capacity = Capacity(tokens, slots)
    passing = simulate(requests, lambda q, r, _: choose(q, r, {"gpu": capacity}), capacity)
    in_turn = simulate(requests, lambda q, r, _: strictly_in_turn(q, r, capacity), capacity)
    assert all(passing[number] <= in_turn[number] for number in passing)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(1, 12), st.integers(1, 4), st.integers(0, 2)),
        max_size=30,
    ),
    st.sampled_from([1, 3]),
)
def test_affinity_starves_nobody(requests: list[Request], slots: int) -> None:
    """Never two on one document; one slot: nobody is passed by more than MOST_PASSES."""
    _check_passes(requests, slots)


def test_a_stream_of_questions_on_one_document_lets_another_in() -> None:
    """The longest run of passes that there can be."""
    stream = [(0, 1, 1, 0), (0, 1, 1, 1), *((0, 1, 1, 0) for _ in range(40))]
    assert _check_passes(stream, slots=1)[1] == 1 + MOST_PASSES


def _check_passes(requests: list[Request], slots: int) -> dict[int, int]:
    capacity = Capacity(16, slots, affinity=True)

    def admit(queued: list[Job], running: list[Job], begun: list[Job]) -> list[Job]:
        passes = sum(one.seq > queued[0].seq for one in begun) if queued else 0
        warmth = {"gpu": Warmth(begun[-1].document, passes)} if begun else {}
        return choose(queued, running, {"gpu": capacity}, warmth)

    starts = simulate(requests, admit, capacity)
    for number, start in starts.items():
        passed = sum(at < start for other, at in starts.items() if other > number)
        assert slots > 1 or passed <= MOST_PASSES
    return starts
