"""What is said of a server that works already."""

from __future__ import annotations

import pytest

from ktclient.planning.queue_ahead import Ahead, Head

READS = Head("aaaa", is_answering=False, eta=720.0)


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (Ahead(), []),
        (Ahead(is_busy=False, running=0, waiting=0), []),
        (Ahead(is_busy=True), ["serves others now; the time"]),
        (Ahead(True, 0, 0), ["serves others now: it reads a prompt; the time"]),
        (Ahead(True, 2, 3), ["serves others now: 2 running, 3 waiting; the time"]),
        (Ahead(True, 1), ["serves others now: 1 running; the time"]),
        (Ahead(True, 1, 0, 1, 0, READS), ["1 job of yours at work there: aaaa still reads for"]),
        (Ahead(None, None, None, 1, 0, READS), ["about 12 min"]),
        (Ahead(True, 1, 2, 1, 0, READS), ["serves others now: 1 running, 2 waiting", "aaaa"]),
        (
            Ahead(jobs_running=2, jobs_waiting=1, head=Head("aaaa", False, None)),
            ["2 jobs of yours at work there: how long aaaa still reads is unknown, 1 job of yours"],
        ),
        (
            Ahead(jobs_running=1, head=Head("aaaa", True, None)),
            ["1 job of yours at work there: aaaa writes its answer"],
        ),
        (Ahead(jobs_waiting=2), ["2 jobs of yours wait before this one"]),
        (Ahead(jobs_waiting=100), ["at least 100 jobs of yours wait before this one"]),
    ],
)
def test_the_words(ahead: Ahead, words: list[str]) -> None:
    """What is unknown is not told; what is ours is not called others'."""
    told = ahead.lines()
    assert len(told) == len(words)
    for line, part in zip(told, words, strict=True):
        assert part in line
