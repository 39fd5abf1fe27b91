"""What a caller of the client sees, whoever serves."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx2
import pytest
from support.patience import HANG_SECONDS

from conformance.conftest import Server
from jobs import errors as jobs_errors
from ktclient import errors
from ktclient.request import stream
from ktclient.request.events import Completed, Sent, Text
from ktclient.request.stream import LongRequest, StreamEvent
from ktclient.servers import probe, queries
from ktclient.servers.dialects.sglang import Sglang

SECONDS = HANG_SECONDS
LOOK_SECONDS = 0.1
LLAMA_LOOK_SECONDS = 1.0
"""llama.cpp no longer noticed lost clients when it was asked ten times a second."""
ANSWER = 8


def request_to(server: Server, message: str, max_tokens: int = ANSWER) -> LongRequest:
    rid = secrets.token_hex(16)
    extras = queries.request_fields(server.facts, rid)
    url, model = server.facts.url, server.facts.model
    return LongRequest(url, model, message, max_tokens, rid, extras, server.key)


def whole(request: LongRequest) -> tuple[str, Completed]:
    """The text, and how it ended. Raises what the client raises."""
    with contextlib.closing(stream.stream(request, SECONDS)) as events:
        seen = list(events)
    assert sum(isinstance(event, Sent) for event in seen) == 1
    assert isinstance(seen[-1], Completed)
    return "".join(event.text for event in seen if isinstance(event, Text)), seen[-1]


def is_silent(server: Server) -> bool | None:
    return queries.is_idle(server.facts, server.key)


def wait_for(server: Server, wanted: bool) -> None:
    """Until the server says that it computes something, or nothing."""
    give_up = time.monotonic() + SECONDS
    while (said := is_silent(server)) is not wanted:
        assert said is not None, "it cannot say"
        assert time.monotonic() < give_up, f"silent: {said}"
        time.sleep(LOOK_SECONDS if server.is_sglang else LLAMA_LOOK_SECONDS)


def test_a_whole_answer_is_streamed_with_its_usage(server: Server) -> None:
    text, end = whole(request_to(server, "Say something about ferries."))
    assert text
    assert end.finish_reason in ("stop", "length")
    assert end.completion_tokens is not None and 0 < end.completion_tokens <= ANSWER
    assert end.prompt_tokens is not None and end.prompt_tokens > 0


def test_the_probe_knows_it_and_its_count_is_enough(server: Server) -> None:
    """A count may be some tokens too high, never too low: what fits must really fit."""
    facts = probe.probe(server.facts.url, server.key)
    assert facts == server.facts
    assert facts.dialect == ("sglang" if server.is_sglang else "llama.cpp")
    assert facts.window is not None and facts.window >= 8192
    message = server.prompt(170)
    counted = queries.count(facts, server.key, message)
    _, end = whole(request_to(server, message, 1))
    assert counted is not None and end.prompt_tokens is not None
    assert 0 <= counted - end.prompt_tokens <= 20


def test_a_wrong_path_is_told_from_a_wrong_server(server: Server) -> None:
    elsewhere = f"{server.facts.url}/elsewhere"
    with pytest.raises(errors.WrongAddress):
        probe.probe(elsewhere, server.key)
    with pytest.raises(errors.WrongAddress):
        whole(replace(request_to(server, "text"), url=elsewhere))


def test_another_model_name_is_answered_all_the_same(server: Server) -> None:
    """None of them checks it (recorded of both sglangs): a name proves nothing."""
    text, _ = whole(replace(request_to(server, "text"), model="somebody-else"))
    assert text


def test_a_wrong_key_is_refused_before_anything_is_computed(sglang: Server) -> None:
    for key in (None, "sk-wrong"):
        with pytest.raises(errors.Unauthorized):
            probe.probe(sglang.facts.url, key)
        with pytest.raises(errors.Unauthorized):
            whole(replace(request_to(sglang, "text"), api_key=key))
    assert is_silent(replace(sglang, key="sk-wrong")) is None


def test_a_prompt_beyond_the_window_does_not_fit(server: Server) -> None:
    assert server.facts.window is not None
    with pytest.raises(errors.DoesNotFit):
        whole(request_to(server, server.prompt(server.facts.window * 3 // 2)))


def test_prompt_and_answer_beyond_the_window_do_not_fit(sglang: Server) -> None:
    assert sglang.facts.window is not None
    with pytest.raises(errors.DoesNotFit):
        whole(request_to(sglang, "text", sglang.facts.window))


def test_a_prompt_beyond_the_pool_is_no_answer(sglang: Server) -> None:
    """kt drops the words, so that only the abort is left; upstream says it inside of HTTP 200."""
    assert sglang.pool is not None
    expected = errors.AbortedByServer if sglang.has_ghosts else errors.DoesNotFit
    with pytest.raises(expected, match=r"KV pool|maximum allowed length"):
        whole(request_to(sglang, sglang.prompt(sglang.pool * 11 // 10)))
    wait_for(sglang, True)


def test_two_at_once_are_both_answered(server: Server) -> None:
    messages = (server.prompt(400), "And a short one.")
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda m: whole(request_to(server, m)), messages))
    assert all(text and end.completion_tokens for text, end in answers)


class Reading:
    """A long request read in a thread, to be aborted from here."""

    def __init__(self, server: Server) -> None:
        self.request = request_to(server, server.prompt(server.long))
        self.error: BaseException | None = None
        self.seen: list[StreamEvent] = []
        self._events = stream.stream(self.request, SECONDS)
        self._is_wanted = True
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for event in self._events:
                self.seen.append(event)
                if not self._is_wanted:
                    break
        except jobs_errors.KtjobError as error:
            self.error = error
        finally:
            self._events.close()

    def hang_up(self) -> None:
        self._is_wanted = False
        self.ended()

    def ended(self) -> None:
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()


def test_hanging_up_in_a_prefill_is_followed_until_silence(server: Server) -> None:
    """The socket is closed; kt computes on (a ghost), and the client can tell. Then it is silent,
    and takes the next request."""
    reading = Reading(server)
    wait_for(server, False)
    reading.hang_up()
    assert reading.error is None
    assert not any(isinstance(event, Text | Completed) for event in reading.seen)
    if server.has_ghosts:
        assert is_silent(server) is False
    wait_for(server, True)
    assert whole(request_to(server, "And now?"))[0]


def test_an_abort_in_a_prefill_ends_the_stream(sglang: Server) -> None:
    """By rid. kt's stream ends only with the whole prefill, upstream's at once; both as aborted."""
    reading = Reading(sglang)
    wait_for(sglang, False)
    assert queries.abort(sglang.facts, sglang.key, reading.request.rid)
    if sglang.has_ghosts:
        assert is_silent(sglang) is False
    reading.ended()
    assert isinstance(reading.error, errors.AbortedByServer)
    # kt says one word more before it ends (recorded, sglang-kt-0.7.2-cpu/abort.jsonl).
    words = sum(isinstance(event, Text) for event in reading.seen)
    assert words == (1 if sglang.has_ghosts else 0)
    wait_for(sglang, True)


def test_an_abort_of_nobody_changes_nothing(sglang: Server) -> None:
    assert queries.abort(sglang.facts, sglang.key, secrets.token_hex(16))
    assert whole(request_to(sglang, "Still there?"))[0]


def test_an_abort_without_a_name_is_not_sent(sglang: Server) -> None:
    """An empty rid is the beginning of every rid: it would abort everybody's requests."""
    reading = Reading(sglang)
    wait_for(sglang, False)
    assert not queries.abort(sglang.facts, sglang.key, "")
    time.sleep(LOOK_SECONDS)
    assert reading.error is None and is_silent(sglang) is False
    reading.hang_up()
    wait_for(sglang, True)


def test_one_question_at_a_time_reaches_the_scheduler() -> None:
    """sglang-kt queues /v1/loads, and a queued one costs a chunk: two threads take turns."""
    lock, load = threading.Lock(), {"num_running_reqs": 0, "num_waiting_reqs": 0}
    overlaps = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        overlaps.append((request.url.path, not lock.acquire(blocking=False)))
        time.sleep(0.05)
        lock.release()
        return httpx2.Response(200, json={"loads": [{**load, "num_used_tokens": 0}]})

    asked = httpx2.Client(transport=httpx2.MockTransport(answer))
    with asked, ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda _: Sglang().is_silent(asked, "http://test"), range(4)))
    assert said == [True] * 4
    assert [path for path, _ in overlaps].count("/v1/loads") == 4
    assert not any(found for _, found in overlaps)
