"""The events of a response: their order, their numbers, and what becomes of attempts that died."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from jobs.model import Job, Outcome, Piece, Status
from jobs.store.http.values import ProgressMark
from ktclient.answers import thoughts
from ktclient.gateway.responses import response
from ktclient.gateway.responses.events import Ending, Event, Transcript

open_types = pytest.importorskip("openresponses_types.types", reason="it needs Python 3.11")

SPEC = {"task": {"kind": "request", "text": ""}, "server": "http://s", "max_tokens": 9}
JOB = Job(
    id="abcdefgh",
    pool="p",
    weight=1,
    title="t",
    spec=json.dumps({**SPEC, "model": "m"}),
    document="",
    status=Status.QUEUED,
    outcome=None,
    cause=None,
    message=None,
    attempt=0,
    max_attempts=2,
    cancel_requested_at=None,
    created_at="2026-11-30T01:02:03.004Z",
    started_at=None,
    finished_at=None,
)
USAGE = response.usage({"prompt_tokens": 5, "completion_tokens": 3, "cached_tokens": 1})
COMPLETED = Ending("completed", {"usage": USAGE, "completed_at": 1}, is_success=True)
CUT = Ending("incomplete", {"incomplete_details": {"reason": "max_output_tokens"}}, is_success=True)
FAILED = Ending("failed", {"error": {"code": "server_error", "message": "m"}}, is_success=False)
CANCELLED = Ending("cancelled", {}, is_success=False)
STRICT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
OPEN = {
    next(iter(found.model_fields["type"].annotation)).value: found
    for found in vars(open_types).values()
    if isinstance(found, type) and found.__name__.endswith("StreamingEvent")
}
"""The events of Open Responses, by their type."""


def new(*, is_plain: bool = False, holds: bool = False) -> Transcript:
    head = response.head(JOB, None, {})
    return Transcript(type(head)(head.job_id, head.response, is_plain, holds))


def answer(text: str, seq: int = 1) -> Piece:
    return Piece(seq, "answer", text)


def call(arguments: str, name: str = "f", call_id: str | None = "call_1") -> Piece:
    function = {"name": name, "arguments": arguments}
    line = json.dumps([{"index": 0, "id": call_id, "function": function}])
    return Piece(1, "tool_calls", line + "\n")


def types(events: list[Event]) -> list[str]:
    return [event.type.removeprefix("response.") for event in events]


def mark(number: int, attempt: int = 1, after: int = 0) -> ProgressMark:
    return ProgressMark(number, attempt, after, "2026-11-30T01:02:04.000Z", {"phase": "prefill"})


def test_the_order_that_all_clients_take() -> None:
    one = new()
    one.mark(mark(1, attempt=0))
    one.begin_attempt(1)
    one.mark(mark(2))
    one.piece(Piece(1, "reasoning", "Hm."))
    one.piece(answer("We", 2))
    one.piece(answer("ll.", 3))
    one.end(COMPLETED)
    events = one.take()
    text = ["output_item.added", "content_part.added"]
    thoughts = ["reasoning_text.delta", "reasoning_text.done"]
    done = ["content_part.done", "output_item.done"]
    assert types(events) == [
        *("created", "queued", "queued", "in_progress", "in_progress", *text, *thoughts, *done),
        *(*text, "output_text.delta", "output_text.delta", "output_text.done", *done, "completed"),
    ]
    assert [event.number for event in events] == list(range(len(events)))
    assert events[2].data["response"]["ktjob"] == {"job": JOB.id, "phase": "prefill"}
    final = events[-1].data["response"]
    assert final["output"][1]["content"][0]["text"] == "Well."
    assert one.take() == [] and one.is_over


def test_an_attempt_that_died_leaves_empty_items() -> None:
    """`output_text` is the answer of the last attempt, and no index is used twice."""
    one = new()
    one.begin_attempt(1)
    one.piece(answer("The first"))
    one.begin_attempt(2)
    one.piece(answer("The second"))
    one.end(COMPLETED)
    events = one.take()
    final = Response.model_validate(events[-1].data["response"])
    assert final.output_text == "The second"
    first, _ = final.output
    assert (first.status, first.content) == ("incomplete", [])  # type: ignore[union-attr]
    assert [event.data["output_index"] for event in events if "item.added" in event.type] == [0, 1]
    closed = next(event for event in events if event.type.endswith("output_item.done"))
    assert closed.data["item"]["status"] == "incomplete"
    assert closed.data["item"]["content"][0]["text"] == "The first"
    assert closed.number < next(
        event.number for event in events if event.data.get("response", {}).get("output")
    )


def test_of_a_job_that_failed_the_last_text_is_shown() -> None:
    one = new()
    one.begin_attempt(1)
    one.piece(answer("Half"))
    one.begin_attempt(2)
    one.end(FAILED)
    final = one.take()[-1]
    assert final.type == "response.failed"
    assert final.data["response"]["output"][0]["content"][0]["text"] == "Half"


def test_a_cancelled_one_ends_as_incomplete() -> None:
    """Clients know no other event for it."""
    one = new()
    one.end(CANCELLED)
    final = one.take()[-1]
    assert final.type == "response.incomplete"
    assert final.data["response"]["status"] == "cancelled"


def test_calls_are_said_when_the_attempt_has_succeeded() -> None:
    """A client executes a call as soon as it is said."""
    one = new()
    one.begin_attempt(1)
    one.piece(call('{"a":'))
    one.begin_attempt(2)
    one.piece(call('{"a": '))
    one.piece(call("1}", name="", call_id=None))
    assert not any("function" in name for name in types(one.take()))
    one.end(COMPLETED)
    events = one.take()
    assert types(events) == [
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.done"),
        *("output_item.done", "completed"),
    ]
    item = events[-1].data["response"]["output"][0]
    assert (item["name"], item["arguments"], item["call_id"]) == ("f", '{"a": 1}', "call_1")
    assert (item["status"], events[0].data["item"]["arguments"]) == ("completed", "")


def test_calls_of_an_attempt_that_failed_are_not_said() -> None:
    one = new()
    one.begin_attempt(1)
    one.piece(call("{}"))
    one.end(FAILED)
    assert one.take()[-1].data["response"]["output"] == []


def test_each_call_has_an_id_of_its_own() -> None:
    one = new()
    one.begin_attempt(1)
    calls = [{"index": n, "function": {"name": "f", "arguments": "{}"}} for n in range(2)]
    one.piece(Piece(1, "tool_calls", "\n".join(json.dumps([call]) for call in calls)))
    one.end(COMPLETED)
    output = one.take()[-1].data["response"]["output"]
    assert [item["call_id"] for item in output] == ["call_abcdefgh_0", "call_abcdefgh_1"]


def test_thoughts_that_began_in_the_prompt_are_no_answer() -> None:
    """Nothing is recalled in a stream: the item is closed, and said again as thoughts."""
    one = new()
    one.begin_attempt(1)
    for seq, text in enumerate(("I think", " so\n</think>\n", "Yes."), 1):
        one.piece(answer(text, seq))
    one.end(COMPLETED)
    final = Response.model_validate(one.take()[-1].data["response"])
    assert final.output_text == "Yes."
    void, thoughts, _ = final.output
    assert (void.type, void.status, thoughts.type) == ("message", "incomplete", "reasoning")
    assert thoughts.content and thoughts.content[0].text == "I think so\n"  # type: ignore[union-attr]


def test_held_thoughts_are_no_message_at_all() -> None:
    one = new(holds=True)
    one.begin_attempt(1)
    for seq, text in enumerate(("I think", " so\n</think>\n", "Yes."), 1):
        one.piece(answer(text, seq))
    one.end(COMPLETED)
    output = one.take()[-1].data["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "message"]


def test_what_was_cut_off_in_thoughts_is_no_answer() -> None:
    for holds in (False, True):
        one = new(holds=holds)
        one.begin_attempt(1)
        one.piece(answer("I think"))
        one.end(Ending("incomplete", {}, is_success=False, is_all_thought=True))
        final = Response.model_validate(one.take()[-1].data["response"])
        assert final.output_text == ""
        assert final.output[-1].type == "reasoning"


def test_blanks_open_no_item() -> None:
    one = new()
    one.begin_attempt(1)
    one.piece(answer("\n\n"))
    one.piece(call("{}"))
    one.end(COMPLETED)
    output = one.take()[-1].data["response"]["output"]
    assert [item["type"] for item in output] == ["function_call"]


def test_lines_of_a_batch_are_not_divided() -> None:
    one = new(is_plain=True)
    one.begin_attempt(1)
    one.piece(answer("<think>a</think>b\n"))
    one.end(COMPLETED)
    output = one.take()[-1].data["response"]["output"]
    assert output[0]["content"][0]["text"] == "<think>a</think>b\n"


_TEXTS = st.sampled_from(
    ["a", "Well. ", "\n", "<think>", "</think>", "\n</think>\n", "é", "<thi", "nk>", "b" * 300]
)
_PIECES = st.tuples(st.sampled_from(["answer", "answer", "reasoning", "tool_calls"]), _TEXTS)
_ATTEMPTS = st.lists(st.lists(st.one_of(_PIECES, st.just("mark"))), max_size=3)
_ENDINGS = st.sampled_from([COMPLETED, CUT, FAILED, CANCELLED])


def _begun(attempts: list[list[Any]], *, holds: bool) -> Transcript:
    one, number = new(holds=holds), 0
    for attempt, happened in enumerate(attempts, 1):
        one.begin_attempt(attempt)
        for seq, what in enumerate(happened, 1):
            if what == "mark":
                one.mark(mark(number := number + 1, attempt, seq))
            elif what[0] == "tool_calls":
                one.piece(call(what[1], call_id=None))
            else:
                one.piece(Piece(seq, *what))
    return one


def _played(attempts: list[list[Any]], ending: Ending, *, holds: bool) -> list[Event]:
    one = _begun(attempts, holds=holds)
    one.end(ending)
    return one.take()


@settings(max_examples=50)
@given(_ATTEMPTS, _ENDINGS, st.booleans())
def test_whatever_happened_the_events_are_those_of_a_response(
    attempts: list[list[Any]], ending: Ending, holds: bool
) -> None:
    """Numbers from 0; each item opened once, at its index, and closed; strict types of openai and
    of Open Responses; all texts together are what came in the end."""
    events = _played(attempts, ending, holds=holds)
    assert [event.data["sequence_number"] for event in events] == list(range(len(events)))
    opened: dict[str, int] = {}
    closed: set[str] = set()
    for event in events:
        STRICT.validate_python(event.data, strict=False)
        if event.type in OPEN:
            OPEN[event.type].model_validate(event.data)
        if event.type == "response.output_item.added":
            assert event.data["output_index"] == len(opened)
            opened[event.data["item"]["id"]] = event.data["output_index"]
        elif event.type == "response.output_item.done":
            assert event.data["item"]["id"] not in closed
            closed.add(event.data["item"]["id"])
        elif "item_id" in event.data:
            assert opened[event.data["item_id"]] == event.data["output_index"]
            assert event.data["item_id"] not in closed
    assert set(opened) == closed
    final = events[-1].data["response"]
    assert [item["id"] for item in final["output"]] == list(opened)
    open_types.ResponseResource.model_validate(final)
    if ending in (COMPLETED, CUT):
        _check_text(Response.model_validate(final).output_text, attempts)


def _check_text(text: str, attempts: list[list[Any]]) -> None:
    """The last attempt's content without its thoughts, up to blanks around them."""
    last = attempts[-1] if attempts else []
    pieces = [Piece(1, *what) for what in last if what != "mark" and what[0] != "tool_calls"]
    expected = thoughts.divide(pieces).answer
    assert "".join(text.split()) == "".join(expected.split())


@settings(max_examples=50)
@given(_ATTEMPTS, _ENDINGS, st.booleans(), st.data())
def test_a_beginning_has_the_first_events_of_the_whole(
    attempts: list[list[Any]], ending: Ending, holds: bool, data: st.DataObject
) -> None:
    """So a stream that comes back goes on where it was."""
    whole = _played(attempts, ending, holds=holds)
    if not attempts:
        return
    place = data.draw(st.integers(0, len(attempts) - 1))
    cut = data.draw(st.integers(0, len(attempts[place])))
    beginning = _begun([*attempts[:place], attempts[place][:cut]], holds=holds).take()
    assert whole[: len(beginning)] == beginning


@pytest.mark.parametrize("cause", ["server_died", "rate_limited"])
def test_the_error_has_our_cause_and_words(cause: str) -> None:
    ended = replace(
        JOB, status=Status.FINISHED, outcome=Outcome.FAILED, cause=cause, message="Do this"
    )
    one = new()
    one.end(response.ending(ended, None))
    found = Response.model_validate(one.take()[-1].data["response"])
    assert found.error is not None
    assert (found.error.type, found.error.message) == (cause, "Do this")
    codes = {"server_died": "server_error", "rate_limited": "rate_limit_exceeded"}
    assert found.error.code == codes[cause]
