"""What is said of a server that works already."""

from __future__ import annotations

import pytest

from ktclient.planning.queue_ahead import Position, QueueAhead

READS = Position("aaaa", is_answering=False, eta=720.0)


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (QueueAhead(), []),
        (QueueAhead(is_busy=False, running=0, waiting=0), []),
        (QueueAhead(is_busy=True), ["serves others now; the time"]),
        (QueueAhead(True, 0, 0), ["serves others now: it reads a prompt; the time"]),
        (QueueAhead(True, 2, 3), ["serves others now: 2 running, 3 waiting; the time"]),
        (QueueAhead(True, 1), ["serves others now: 1 running; the time"]),
        (
            QueueAhead(True, 1, 0, 1, 0, READS),
            ["1 job of yours at work there: aaaa still reads for"],
        ),
        (QueueAhead(None, None, None, 1, 0, READS), ["about 12 min"]),
        (QueueAhead(True, 1, 2, 1, 0, READS), ["serves others now: 1 running, 2 waiting", "aaaa"]),
        (
            QueueAhead(jobs_running=2, jobs_waiting=1, head=Position("aaaa", False, None)),
            ["2 jobs of yours at work there: how long aaaa still reads is unknown, 1 job of yours"],
        ),
        (
            QueueAhead(jobs_running=1, head=Position("aaaa", True, None)),
            ["1 job of yours at work there: aaaa writes its answer"],
        ),
        (QueueAhead(jobs_waiting=2), ["2 jobs of yours wait before this one"]),
        (QueueAhead(jobs_waiting=100), ["at least 100 jobs of yours wait before this one"]),
    ],
)
def test_the_words(ahead: QueueAhead, words: list[str]) -> None:
    """What is unknown is not told; what is ours is not called others'."""
    told = ahead.lines()
    assert len(told) == len(words)
    for line, part in zip(told, words, strict=True):
        assert part in line
