"""What llama.cpp's server says of itself, in the shapes of its versions and forks."""

from __future__ import annotations

import pytest
from support.tiny_server import Tiny

from ktclient.servers import queries, turn_marks
from ktclient.servers.dialects.dialect import ServerFacts

PROPS: dict[str, object] = {"default_generation_settings": {"n_ctx": 4096}, "total_slots": 2}


def surveyed(tiny: Tiny) -> ServerFacts:
    return queries.survey(tiny.facts("llama.cpp"), None, 5.0)


@pytest.mark.parametrize(
    ("slots", "running"),
    [
        ([{"id": 0, "is_processing": False}, {"id": 1, "is_processing": True}], 1),
        ([{"id": 0, "state": 0}, {"id": 1, "state": 1}], 1),  # before November 2024
        ([{"id": 0, "state": 0, "task_id": -1, "n_ctx": 4096}], 0),
        ([{"id": 0, "state": 2, "is_processing": False}], 0),  # both, while it changed
    ],
)
def test_busy_slots_are_counted_in_old_and_new_shapes(
    tiny: Tiny, slots: object, running: int
) -> None:
    """`state` is 0 for an idle slot."""
    tiny.say("/props", PROPS)
    tiny.say("/slots", slots)
    found = surveyed(tiny)
    assert (found.running, found.is_busy) == (running, running > 0)
    assert queries.is_idle(tiny.facts("llama.cpp"), None) is (running == 0)


@pytest.mark.parametrize(
    "slots",
    [
        [{"id": 0}], [{"id": 0, "state": "idle"}], [{"id": 0, "state": None}], [], {}, None, 5,
        ["slot"], [None], {"slots": []}, {"error": {"code": 501}}, b"", b"<html>", b"[" * 9_999,
    ],
    ids=lambda slots: str(slots)[:20],
)  # fmt: skip
def test_whatever_slots_says_what_props_said_is_kept(tiny: Tiny, slots: object) -> None:
    """The window decides what fits; who else runs is only told."""
    tiny.say("/props", PROPS)
    tiny.say("/slots", slots)
    found = surveyed(tiny)
    assert (found.window, found.max_running) == (4096, 2)
    assert (found.running, found.is_busy) == (None, None)


def test_a_server_without_slots_is_asked_no_more(tiny: Tiny) -> None:
    """404, 501 or 403 of --no-slots."""
    tiny.say("/props", PROPS)
    assert (surveyed(tiny).window, surveyed(tiny).running) == (4096, None)


def test_one_that_sleeps_is_not_woken_by_a_look(tiny: Tiny) -> None:
    """/slots, /tokenize and /apply-template would load its model."""
    tiny.say("/props", {**PROPS, "is_sleeping": True, "chat_template": "{{ m }}"})
    tiny.say("/slots", [{"id": 0, "is_processing": True}])
    found = surveyed(tiny)
    assert found.is_asleep is True and (found.running, found.is_busy) == (0, False)
    assert found.window == 4096
    assert queries.is_idle(tiny.facts("llama.cpp"), None) is True
    told = turn_marks.ask(found, None)
    assert told is not None and not told.is_whole
    assert {path for path, _ in tiny.asked} == {"/props"}
    tiny.say("/props", {**PROPS, "is_sleeping": False})
    assert surveyed(tiny).running == 1
