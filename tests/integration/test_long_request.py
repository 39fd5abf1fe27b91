"""One long request against the scripted server: what is sent, what comes back, what goes wrong."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang

from jobs import errors as jobs_errors
from ktclient import errors
from ktclient.request import stream
from ktclient.request.events import Completed, Quiet, Sent, Text
from ktclient.request.stream import LongRequest, StreamEvent
from ktclient.servers import probe, queries

pytestmark = pytest.mark.each_python


def ask(server: FakeServer, deadline: float = 30.0, message: str = "text") -> list[StreamEvent]:
    """All events of one request, without the ticks."""
    with contextlib.closing(stream.stream(request_for(server, message), deadline)) as events:
        return [event for event in events if not isinstance(event, Quiet)]


def request_for(server: FakeServer, message: str = "text") -> LongRequest:
    facts = probe.probe(server.url, None)
    rid = "0123456789abcdef0123456789abcdef"
    return LongRequest(
        server.url, facts.model, message, 64, rid, queries.request_fields(facts, rid)
    )


@pytest.mark.parametrize("flavour", ["kt", "upstream"])
def test_a_whole_answer_arrives_in_order(tmp_path: Path, flavour: str) -> None:
    """Sent, the text, the end with the server's own token counts."""
    with fake_sglang(tmp_path, "--flavour", flavour, "--answer", "It is a story.") as server:
        first, *texts, last = ask(server)
        assert isinstance(first, Sent)
        assert "".join(t.text for t in texts if isinstance(t, Text)) == "It is a story."
        assert isinstance(last, Completed)
        assert last.finish_reason == "stop"
        assert last.prompt_tokens is not None and last.completion_tokens is not None


def test_the_request_names_itself_and_says_what_it_wants(tmp_path: Path) -> None:
    """rid for aborts, max_tokens always, thinking off explicitly, streamed with usage."""
    with fake_sglang(tmp_path) as server:
        ask(server, message="长文" * 10)
        (body,) = server.requests()
    assert body["rid"] == "0123456789abcdef0123456789abcdef"
    assert body["max_tokens"] == 64
    assert body["chat_template_kwargs"] == {"thinking": False}
    assert body["stream"] is True and body["stream_options"] == {"include_usage": True}
    assert body["messages"] == [{"role": "user", "content": "长文" * 10}]


def test_whole_messages_and_fields_of_others_go_as_they_are(tmp_path: Path) -> None:
    """Several turns, parts, and fields that are not known here."""
    messages = (
        {"role": "system", "content": "Be brief.", "name": "boss"},
        {"role": "user", "content": [{"type": "text", "text": "Hi", "x": 1}]},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "More"},
    )
    with fake_sglang(tmp_path) as server:
        extras = {"top_k": 4, "tools": [{"type": "function"}], "temperature": 0.5}
        request = LongRequest(server.url, "m", "", 64, "0" * 32, extras, messages=messages)
        with contextlib.closing(stream.stream(request, 30.0)) as events:
            assert isinstance(list(events)[-1], Completed)
        (body,) = server.requests()
    assert body["messages"] == list(messages)
    assert {name: body[name] for name in extras} == extras
    assert body["stream"] is True and body["max_tokens"] == 64


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("error_in_stream", errors.RequestFailed),
        ("abort_midway", errors.AbortedByServer),
        ("empty_stream", errors.EmptyStream),
        ("cut_midway", errors.StreamCut),
        ("reset_in_prefill", errors.StreamCut),
        ("die_in_prefill", errors.StreamCut),
        ("http_400_flat", errors.ServerRefused),
        ("http_400_nested", errors.ServerRefused),
        ("http_401", errors.Unauthorized),
        ("http_404", errors.WrongAddress),
        ("http_429", errors.RateLimited),
        ("http_503_starting", errors.ServerBusy),
        ("http_503_queue_full", errors.ServerBusy),
        ("http_500_text", errors.ServerBroke),
        ("html_502", errors.UpstreamDown),
    ],
)
def test_each_fault_is_told_apart_and_never_retried(
    tmp_path: Path, fault: str, expected: type[jobs_errors.KtjobError]
) -> None:
    """One request, one error with words in it: a silent retry would be a second prefill."""
    with fake_sglang(tmp_path, "--fault", fault) as server:
        with pytest.raises(expected) as caught:
            ask(server)
        assert len(server.requests()) == 1
    assert len(str(caught.value)) > 20


def test_a_prompt_beyond_the_pool_is_told_as_such(tmp_path: Path) -> None:
    """HTTP 200 with an error inside looks like success to a careless client."""
    with (
        fake_sglang(tmp_path, "--flavour", "upstream", "--pool", "100") as server,
        pytest.raises(errors.DoesNotFit, match="exceeds the maximum allowed length"),
    ):
        ask(server, message="x" * 4000)


def test_sglang_kt_drops_that_message_so_the_abort_says_what_it_may_mean(tmp_path: Path) -> None:
    """Its stream ends with finish_reason "abort" and nothing else (as the scheduler aborts it)."""
    with (
        fake_sglang(tmp_path, "--flavour", "kt", "--pool", "100") as server,
        pytest.raises(errors.AbortedByServer, match="KV pool"),
    ):
        ask(server, message="x" * 4000)


def test_the_deadline_ends_a_request_and_the_connection(tmp_path: Path) -> None:
    """It is the only timer, and the server is let go."""
    with fake_sglang(tmp_path, "--prefill-seconds", "60") as server:
        with pytest.raises(errors.DeadlineExceeded, match="--timeout"):
            ask(server, deadline=0.5)
        server.wait_for_event("disconnect")


def test_leaving_the_loop_hangs_up(tmp_path: Path) -> None:
    """Closing the iterator is enough, also in the middle of the silence."""
    with fake_sglang(tmp_path, "--prefill-seconds", "60") as server:
        events = stream.stream(request_for(server), 60)
        assert any(isinstance(event, Sent) for event in events)
        events.close()
        server.wait_for_event("disconnect")


def test_a_server_that_is_not_there_was_never_asked(tmp_path: Path) -> None:
    """A retry would be free: the error says so."""
    with fake_sglang(tmp_path) as server:
        request = request_for(server)
    with pytest.raises(errors.ServerUnreachable, match="nothing listens there"):
        list(stream.stream(request, 5))
