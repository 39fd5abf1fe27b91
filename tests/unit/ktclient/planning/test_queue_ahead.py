"""What is said of a server that works already."""

from __future__ import annotations

import pytest

from ktclient.planning.own_requests import OwnRequest, OwnWork
from ktclient.planning.queue_ahead import Position, QueueAhead

GHOST = OwnWork((OwnRequest("bbbb", ended=4.0, left=11.0),))
READS = Position("aaaa", is_answering=False, eta=720.0)


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (QueueAhead(), []),
        (QueueAhead(is_busy=False, running=0, waiting=0), []),
        (QueueAhead(is_busy=True), ["server busy (the estimate"]),
        (QueueAhead(True, 0, 0), ["server busy: prefill of a prompt (the estimate"]),
        (QueueAhead(True, 2, 3), ["server busy: 2 requests running, 3 waiting (the estimate"]),
        (QueueAhead(True, 1), ["server busy: 1 request running (the estimate"]),
        (
            QueueAhead(True, 1, 0, 1, 0, READS),
            ["1 of your jobs is running there: aaaa finishes prefill in"],
        ),
        (QueueAhead(None, None, None, 1, 0, READS), ["about 12 min"]),
        (
            QueueAhead(True, 1, 2, 1, 0, READS),
            ["server busy: 1 request running, 2 waiting", "aaaa"],
        ),
        (
            QueueAhead(jobs_running=2, jobs_waiting=1, head=Position("aaaa", False, None)),
            [
                "2 of your jobs are running there: the remaining prefill time of aaaa is unknown; "
                "1 of your jobs"
            ],
        ),
        (
            QueueAhead(jobs_running=1, head=Position("aaaa", True, None)),
            ["1 of your jobs is running there: aaaa is generating its answer"],
        ),
        (
            QueueAhead(True, 0, 0, own=GHOST),
            [
                "the server is still computing your job bbbb, which ended 4 s ago, for about 11 s "
                "more"
            ],
        ),
        (QueueAhead(own=GHOST), ["may still compute your job bbbb, which ended 4 s ago"]),
        (QueueAhead(False, 0, 0, own=GHOST), []),
        (
            QueueAhead(True, 1, 0, own=GHOST),
            ["still computing your job bbbb", "server busy: 1 request running"],
        ),
        (QueueAhead(jobs_waiting=2), ["2 of your jobs wait before this one"]),
        (QueueAhead(jobs_waiting=100), ["at least 100 of your jobs wait before this one"]),
    ],
)
def test_the_words(ahead: QueueAhead, words: list[str]) -> None:
    """What is unknown is not told; what is ours is not called others'."""
    told = ahead.lines()
    assert len(told) == len(words)
    for line, part in zip(told, words, strict=True):
        assert part in line
