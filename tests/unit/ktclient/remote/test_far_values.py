"""Values that another machine printed are taken only if they are what they should be."""

from __future__ import annotations

import pytest

from ktclient.errors import HostTrouble
from ktclient.records.kinds import PartsProgress
from ktclient.records.snapshot import Snapshot
from ktclient.remote import far_values

pytestmark = pytest.mark.each_python

WHOLE: dict[str, object] = {
    **dict.fromkeys(("id", "state", "title", "task", "server", "created_at"), "x"),
    **dict.fromkeys(("phase", "unit", "cause", "message", "started_at", "finished_at")),
    **dict.fromkeys(("done", "total", "phase_at", "tokens_per_second", "eta_seconds")),
    **dict.fromkeys(("max_tokens", "timeout", "attempt", "max_attempts"), 1),
    "cancel_requested": False,
    "is_estimate": True,
    "figures": {},
    "progress_source": None,
}
INNER = {"PartsProgress": PartsProgress}
WRONG: tuple[object, ...] = (None, "x", 1, 1.5, True, [], {}, ["x"], [1], [[1]], [True], ["x", 1])


def test_a_whole_record_is_taken() -> None:
    """Lists as tuples; fields of a newer ktjob are left out."""
    more = {"questions": ["a", "b"], "counted": [1, 2, 3], "newer": [[]], "needs": []}
    found = far_values.record_of(Snapshot, {**WHOLE, **more}, INNER)
    assert (found.questions, found.counted, found.needs) == (("a", "b"), (1, 2, 3), ())
    assert found.timeout == 1 and found.phase is None


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("id", ("x",)),
        ("message", (None, "x")),
        ("max_tokens", (1,)),
        ("done", (None, 1)),
        ("timeout", (1, 1.5)),
        ("eta_seconds", (None, 1, 1.5)),
        ("cancel_requested", (True,)),
        ("figures", ({},)),
        ("needs", ([], ["x"])),
        ("counted", (None, [], [1])),
    ],
)
def test_a_field_of_another_type_is_refused(name: str, right: tuple[object, ...]) -> None:
    """Each kind of field, with each kind of value."""
    for value in WRONG:
        is_right = any(repr(value) == repr(one) for one in right)
        if is_right:
            far_values.record_of(Snapshot, {**WHOLE, name: value}, INNER)
            continue
        with pytest.raises(HostTrouble, match=f"not a job .{name} is no"):
            far_values.record_of(Snapshot, {**WHOLE, name: value}, INNER)


def test_a_record_in_a_record_is_taken_or_refused() -> None:
    """The progress of all parts; of a machine whose ktjob does not know it, none."""
    whole = {**dict.fromkeys(("requests", "ended", "failed", "running", "queued"), 1)}
    whole |= {"tokens": 10, "tokens_read": 5, "seconds_left": None}
    found = far_values.record_of(Snapshot, {**WHOLE, "parts_progress": {**whole, "new": 1}}, INNER)
    assert found.parts_progress == PartsProgress(1, 1, 1, 1, 1, 10, 5, None)
    assert far_values.record_of(Snapshot, WHOLE, INNER).parts_progress is None
    for wrong in ("x", 1, [], {}, {**whole, "tokens": "10"}, {**whole, "ended": True}):
        with pytest.raises(HostTrouble, match="is not a job"):
            far_values.record_of(Snapshot, {**WHOLE, "parts_progress": wrong}, INNER)


def test_a_record_that_lacks_a_field_is_refused() -> None:
    """With its name."""
    with pytest.raises(HostTrouble, match="max_tokens"):
        far_values.record_of(Snapshot, {k: v for k, v in WHOLE.items() if k != "max_tokens"})


@pytest.mark.parametrize("text", ["", "\n", "-x\n", "a b/\n", "a" * 65, "a\x1b", "\u0661"])
def test_what_is_no_id_is_refused(text: str) -> None:
    """It would be an argument."""
    with pytest.raises(HostTrouble, match="no job's id"):
        far_values.ids(text)


def test_ids_are_taken() -> None:
    """One in a line."""
    assert far_values.ids("k7m2p9qx\nabc\n") == ["k7m2p9qx", "abc"]
