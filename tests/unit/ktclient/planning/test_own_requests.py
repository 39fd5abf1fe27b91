"""Whose prompt a server still reads: from attempts as the store has them, running or ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from jobs import clock
from jobs.model import Attempt, Identity
from ktclient.planning import own_requests
from ktclient.planning.own_requests import OwnWork, in_prefill

NOW = "2026-11-29T13:48:58.000Z"


def at(seconds: float) -> str:
    """So many seconds before NOW."""
    return clock.of(clock.moment(NOW) - timedelta(seconds=seconds))


RUNNING = Attempt(
    job_id="m7j8v4br",
    number=1,
    rid="r" * 32,
    worker=Identity("boot", 2415, 1),
    started_at=at(18),
    ended_at=None,
    phase="prefill",
    phase_at=at(12),
    done=8_192,
    total=24_506,
    unit="tokens",
    figures={"predicted_seconds": 17.4, "eta_seconds": 8.8, "eta_at": at(9)},
)
"""The attempt of the recording (kj.txt), nine seconds after its last word."""
CANCELLED = replace(RUNNING, ended_at=at(4), outcome="CANCELLED", cause="cancelled")


def test_a_ghost_of_ours_is_known_by_what_was_left_of_it() -> None:
    """The recording: cancelled in prefill, and the next job's figure called it others."""
    work = in_prefill([replace(CANCELLED, figures={"eta_seconds": 20, "eta_at": at(9)})], NOW)
    (one,) = work.requests
    assert (one.job_id, one.ended, one.left) == ("m7j8v4br", 4.0, 11.0)
    assert one.tokens == round((24_506 - 8_192) * 11 / 20), "what is read since is not left"
    assert work.reason() == (
        "the server was still computing your job m7j8v4br, which ended 4 s before this was sent"
    )
    assert work.until() == "about 11 s until your job m7j8v4br (ended 4 s before) has been read"


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({"figures": {"eta_seconds": 12, "eta_at": at(9)}}, 3.0),
        ({"figures": {"eta_seconds": 8.8, "eta_at": at(9)}}, 0.0),  # overdue, but still likely
        ({"figures": {"eta_seconds": None, "eta_at": at(9), "predicted_seconds": 30}}, 12.0),
        ({"figures": {}}, None),
    ],
)
def test_how_long_a_ghost_lasts(changes: dict[str, object], left: float | None) -> None:
    """By its last estimate, else by what was predicted, else unknown."""
    (one,) = in_prefill([replace(CANCELLED, **changes)], NOW).requests  # type: ignore[arg-type]
    assert one.left == left


@pytest.mark.parametrize(
    "changes",
    [
        {"phase": "decode"},  # an abort ends that
        {"phase": "sending"},
        {"phase": "waiting for the last attempt to end on the server"},
        {"cause": "server_died"},
        {"cause": "refused"},
        {"figures": {"eta_seconds": 8.8, "eta_at": at(9 + 20)}},  # over for long
        {"figures": {}, "ended_at": at(61)},
        # In the server's queue when it was cancelled: dropped there.
        {"phase": "waiting", "phase_at": at(8), "figures": {"ahead_seconds": 30.0}},
    ],
)
def test_what_is_no_ghost(changes: dict[str, object]) -> None:
    """What the server does not compute explains nothing."""
    given = replace(CANCELLED, **changes)  # type: ignore[arg-type]
    assert in_prefill([given], NOW) == OwnWork()


def test_requests_are_read_one_after_another() -> None:
    """Each time includes what is before it, so the last one's is the whole wait."""
    second = replace(
        RUNNING, job_id="later", phase="waiting", done=None, total=None,
        figures={"predicted_seconds": 40.0}, phase_at=at(10),
    )  # fmt: skip
    work = in_prefill([RUNNING, second], NOW)
    assert work.seconds == 30.0 and work.until().startswith("about 30 s until your job later and 1")
    assert (
        work.reason() == "the server was reading your job later, and 1 more job when this was sent"
    )
    ended = in_prefill([CANCELLED, second], NOW)
    assert ended.running().requests == (ended.requests[1],)
    unknown = in_prefill([RUNNING, replace(second, figures={})], NOW)
    assert unknown.seconds is None and unknown.until().startswith("an unknown time until")
    assert OwnWork().seconds == 0.0 and OwnWork().tokens == 0


def test_a_job_of_another_key_has_no_name() -> None:
    """How many jobs there are may be known, which may not."""
    work = in_prefill([replace(RUNNING, job_id="")], NOW)
    assert work.reason() == "the server was reading another job when this was sent"
    assert own_requests.may_compute(replace(CANCELLED, job_id=""))
