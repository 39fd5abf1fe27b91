"""How much was prefilled, from lines that ranks repeat: each chunk once, and only when done."""

from __future__ import annotations

import random
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from server_bundle.logs import events
from server_bundle.logs.prefill_count import PrefillCount
from server_bundle.logs.ranks import FirstRanks

DATA = Path(__file__).parents[3] / "data" / "serverlog"


def test_the_recorded_prefill_is_counted_exactly() -> None:
    """40,983 tokens in eleven chunks, and before them 40,986 in as many and warm-ups of 22."""
    count = PrefillCount()
    told = [count.see(raw) for raw in (DATA / "kt-0.7.2-cpu.log").read_text().splitlines()]
    assert told.count(True) == 26
    assert count.tokens == (1 + 1 + 10 + 10) + (10 * 4096 + 26) + (10 * 4096 + 23)
    assert count.queued == 0


def test_the_prefill_of_two_ranks_is_counted_once() -> None:
    """On two H200: a warm-up of 5,562 tokens, a plain client's prompt, a job of 26,628. The log
    rounds the last chunk of each up to pages of 256."""
    count = PrefillCount()
    raw = (DATA / "kt-0.7.2-tp2-h200.log").read_text().splitlines()
    assert [count.see(line) for line in raw].count(True) == 11
    assert count.tokens == (4096 + 1536) + (4096 + 3584) + (6 * 4096 + 2304)


def ranked(rank: str, tokens: int, queued: int = 0) -> str:
    return (
        f"[2026-11-24 01:31:02 {rank}] Prefill batch, #new-seq: 1, #new-token: {tokens}, "
        f"#queue-req: {queued}, input throughput (token/s): 1.00"
    )


@given(st.integers(1, 4), st.integers(1, 3), st.randoms(use_true_random=False))
def test_ranks_that_repeat_a_chunk_count_once(
    ranks: int, replicas: int, rng: random.Random
) -> None:
    """In whatever order their lines come; replicas do work of their own."""
    chunks = [
        [ranked(f"DP{replica} TP{rank} EP{rank}", 4096 + replica) for _ in range(3)]
        for replica in range(replicas)
        for rank in range(ranks)
    ]
    mixed = [line for writer in chunks for line in writer]
    rng.shuffle(mixed)
    count, first = PrefillCount(), FirstRanks()
    for raw in mixed:
        count.see(raw)
    assert count.tokens == sum(3 * (4096 + replica) for replica in range(replicas))
    rest = [raw for raw in mixed if first.admits(events.read(raw)[0])]
    again = [raw for raw in rest if first.admits(events.read(raw)[0])]
    assert len(again) == 3 * replicas  # once the first ranks are known


def test_the_count_never_falls_when_a_rank_is_late() -> None:
    """Read from the middle on: rank 1's line of the first chunk, then both of the second."""
    count, seen = PrefillCount(), []
    for rank in ("TP1", "TP0", "TP1"):
        count.see(ranked(rank, 4096))
        seen.append(count.tokens)
    assert seen == [4096, 4096, 8192]


def test_a_chunk_that_was_only_begun_counts_when_the_next_line_comes() -> None:
    """Versions that tell no throughput write the line before the forward."""
    count = PrefillCount()
    old = "[2026-11-24 01:31:02] Prefill batch, #new-seq: 1, #new-token: 4096, #queue-req: 2, "
    count.see(old)
    assert (count.tokens, count.queued) == (0, 2)
    count.see(old)
    assert count.tokens == 4096
    count.see("[2026-11-24 01:31:09] Decode batch, #running-req: 1, #queue-req: 0")
    assert (count.tokens, count.queued) == (8192, 0)
