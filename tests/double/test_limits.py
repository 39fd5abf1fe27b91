"""The KV pool, the queue and the end: what a scheduler does when something does not fit.

By reading of sglang-kt 0.7.2 and of facts in its threads; what was seen says so.
"""

from __future__ import annotations

import http.client
import json
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from fake_sglang.asking import FLAVOURS, QUICK, Reply, ask, chat, chat_body, connect, load, read
from fake_sglang.pace import Rate
from fake_sglang.process import FakeServer, fake_sglang

Until = Callable[..., object]
WORDS = ("--answer", " ".join(["word"] * 2000))
TOKENS = ("--tokens-per-char", "1", "--prefill-seconds", "0.01")
SMALL = (*TOKENS, *WORDS, "--token-seconds", "0.0005", "--pool", "1000", "--page", "1")


def send(server: FakeServer, tokens: int, rid: str, limit: int) -> http.client.HTTPConnection:
    connection = connect(server)
    body = json.dumps(chat_body("x" * tokens, rid=rid, max_tokens=limit))
    connection.request("POST", "/v1/chat/completions", body)
    return connection


def test_a_rate_grows_linearly_in_seconds_per_token() -> None:
    """The guide's 600K: 24 minutes; and a rate is checked."""
    rate = Rate.parse("590:320@600000")
    assert 22 * 60 < rate.seconds(0, 600_000) < 25 * 60
    assert rate.seconds(0, 10) == pytest.approx(10 / 590, rel=0.01)
    assert rate.seconds(599_990, 600_000) == pytest.approx(10 / 320, rel=0.01)
    assert Rate.parse("100").seconds(0, 50) == 0.5


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_one_with_the_fewest_words_is_retracted_and_read_again(
    tmp_path: Path, flavour: str
) -> None:
    log = tmp_path / "log"
    options = ("--flavour", flavour, *SMALL, "--log", str(log))
    with fake_sglang(tmp_path, *options) as server:
        with closing(send(server, 300, "a", 500)) as first:
            server.wait_for_event("first_token", rid="a")
            with closing(send(server, 100, "b", 500)) as second:
                assert read(first.getresponse()).reason == "length"
                reply = read(second.getresponse())
        assert (reply.reason, reply.said.count("word")) == ("length", 500)
        retracted = server.wait_for_event("retracted")
        assert retracted["rid"] == "b"
        starts = server.events("prefill_started", rid="b")
        assert len(starts) == 2
        finished = server.wait_for_event("finished", rid="b")
        assert finished["prefilled"] == 100 + retracted["said"]
    assert "KV cache pool is full. Retract requests. #retracted_reqs: 1, " in log.read_text()


def test_one_that_outgrows_the_pool_kills_the_fork(tmp_path: Path) -> None:
    """Let in because only 200 tokens of its answer were asked for: SGLANG_CLIP_MAX_NEW_TOKENS."""
    log = tmp_path / "log"
    with fake_sglang(tmp_path, *SMALL, "--clip", "200", "--log", str(log)) as server:
        with pytest.raises(http.client.IncompleteRead):
            chat(server, "x" * 700, max_tokens=1500)
        assert server.process.wait() == 1
    assert "Out of memory even after retracting all other requests" in log.read_text()
    with fake_sglang(tmp_path, "--flavour", "upstream", *SMALL, "--clip", "200") as server:
        assert chat(server, "x" * 700, max_tokens=1500).reason == "abort"
        assert chat(server, "x").reason == "length"


def test_a_wedge_blocks_all_behind_it(tmp_path: Path, until: Until) -> None:
    """A prompt between the two rules; upstream lets it in."""
    options = (*TOKENS, "--pool", "1000", "--health-timeout", "0.3")
    with fake_sglang(tmp_path, *options) as server, closing(send(server, 900, "big", 50)):
        until(lambda: load(server)["num_waiting_reqs"] == 1)  # or the small one may be first
        with closing(send(server, 5, "small", 5)):
            until(lambda: load(server)["num_waiting_reqs"] == 2)
            assert ask(server, "/health").status == 503
            assert not server.events("prefill_started")
    with fake_sglang(tmp_path, "--flavour", "upstream", *options) as server:
        assert chat(server, "x" * 900, max_tokens=50).reason in ("stop", "length")


def test_health_is_answered_between_chunks_and_false_after_its_limit(tmp_path: Path) -> None:
    log = tmp_path / "log"
    options = (*TOKENS, "--chunk", "100", "--health-timeout", "0.4", "--log", str(log))
    with fake_sglang(tmp_path, *options, "--prefill-seconds", "1.5") as server:
        with closing(send(server, 100, "one-chunk", 5)) as connection:
            server.wait_for_event("prefill_started")
            assert ask(server, "/health").status == 503  # one chunk of 1.5 s
            connection.getresponse().read()
        with closing(send(server, 1000, "ten-chunks", 5)) as connection:
            server.wait_for_event("prefill_started", rid="ten-chunks")
            assert ask(server, "/health").status == 200
            assert not server.events("prefill_ended", rid="ten-chunks")
    assert "Health check failed. Server couldn't get a response" in log.read_text()


def test_the_fork_answers_one_question_a_chunk_also_for_those_who_left(tmp_path: Path) -> None:
    """tokenizer_communicator_mixin.py:129 of sglang-kt 0.7.2: abandoned questions queue."""
    options = (*TOKENS, "--chunk", "100", "--prefill-seconds", "3")
    used = []
    with fake_sglang(tmp_path, *options) as server, closing(send(server, 1000, "long", 5)):
        server.wait_for_event("prefill_started")
        left = [connect(server) for _ in range(3)]
        for connection in left:
            connection.request("GET", "/v1/loads")
            connection.close()
        used = [load(server)["num_used_tokens"] for _ in range(2)]
    assert used[0] < used[1]


def assert_refused(reply: Reply, flavour: str, words: str) -> None:
    """In a stream: kt's has not a byte, upstream's is an error inside of HTTP 200."""
    assert reply.status == 200
    if flavour == "kt":
        assert reply.text == ""
    else:
        assert [c["error"]["message"] for c in reply.chunks if "error" in c] == [words]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_full_queue(tmp_path: Path, flavour: str, until: Until) -> None:
    options = ("--flavour", flavour, *TOKENS, "--prefill-seconds", "60", "--max-queued", "1")
    with (
        fake_sglang(tmp_path, *options, "--instant-loads", "--metrics") as server,
        closing(send(server, 100, "a", 5)),
    ):
        server.wait_for_event("prefill_started")
        with closing(send(server, 100, "b", 5)):
            until(lambda: load(server)["num_waiting_reqs"] == 1)
            plain = chat(server, stream=False)
            streamed = chat(server)
    assert (plain.status, plain.json["message"]) == (503, "The request queue is full.")
    assert_refused(streamed, flavour, "The request queue is full.")


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_wait_too_long(tmp_path: Path, flavour: str) -> None:
    options = ("--flavour", flavour, *TOKENS, "--prefill-seconds", "10", "--chunk", "1")
    with (
        fake_sglang(tmp_path, *options, "--waiting-timeout", "0.2", "--metrics") as server,
        closing(send(server, 100, "a", 5)),
    ):
        server.wait_for_event("prefill_started", rid="a")
        late = chat(server, rid="b")
    assert_refused(late, flavour, "Request waiting timeout reached.")


def test_the_asker_notices_a_running_timeout(tmp_path: Path) -> None:
    options = (*TOKENS, *WORDS, "--token-seconds", "0.01", "--running-timeout", "0.2")
    with fake_sglang(tmp_path, *options) as server:
        reply = chat(server, stream=False, max_tokens=2000)
        assert (reply.status, reply.json["type"]) == (503, "503")
        assert reply.json["message"] == "Request running timeout reached."


@pytest.mark.parametrize(("stream", "least"), [(True, 2.0), (False, 4.0)])
def test_a_cut_socket_is_noticed_late(tmp_path: Path, stream: bool, least: float) -> None:
    """2 s for a stream, 4 s else, on a clock four times as fast."""
    options = ("--flavour", "upstream", "--real-notice", "--speed", "4", "--prefill-seconds", "240")
    with fake_sglang(tmp_path, *options, "--chunk", "10") as server:
        connection = connect(server)
        body = json.dumps(chat_body("x" * 4000, stream=stream))
        connection.request("POST", "/v1/chat/completions", body)
        server.wait_for_event("prefill_started")
        connection.close()
        gone = server.wait_for_event("disconnect")["t"]
        assert server.wait_for_event("finished")["t"] - gone >= least / 4


@pytest.mark.parametrize(("ghost", "flavour"), [("off", "kt"), ("on", "upstream")])
def test_ghosts_can_be_chosen(tmp_path: Path, ghost: str, flavour: str) -> None:
    options = ("--flavour", flavour, "--ghost", ghost, *TOKENS, "--prefill-seconds", "1")
    with fake_sglang(tmp_path, *options, "--chunk", "10") as server:
        with closing(send(server, 500, "one", 5)):
            server.wait_for_event("prefill_started")
        finished = server.wait_for_event("finished")
    assert (finished["prefilled"] == 500) == (ghost == "on")


def test_a_drain_waits_and_is_unwell_meanwhile(tmp_path: Path, until: Until) -> None:
    log = tmp_path / "log"
    options = (*QUICK, "--prefill-seconds", "10", "--drain", "--speed", "10", "--log", str(log))
    with fake_sglang(tmp_path, *options) as server:
        with closing(send(server, 100, "one", 3)) as connection:
            server.wait_for_event("prefill_started")
            server.process.send_signal(signal.SIGTERM)
            until(lambda: ask(server, "/health").status == 503)
            assert read(connection.getresponse()).reason == "length"
        assert server.process.wait() == 0
    assert "remaining_rids=['one']" in log.read_text()


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_fork_never_drains_after_a_client_left_in_a_prefill(
    tmp_path: Path, flavour: str, until: Until
) -> None:
    """Seen of sglang-kt 0.7.2 on a CPU: 20 s after its ghosts had ended it still waited."""
    log = tmp_path / "log"
    # A second of prefill at this speed: the client has left long before its end.
    options = ("--flavour", flavour, *TOKENS, "--prefill-seconds", "20", "--drain")
    with fake_sglang(tmp_path, *options, "--speed", "20", "--log", str(log)) as server:
        with closing(send(server, 100, "one", 3)):
            server.wait_for_event("prefill_started")
        server.wait_for_event("finished")
        server.process.send_signal(signal.SIGTERM)
        if flavour == "kt":
            until(lambda: log.read_text().count("remaining_rids=['one']") >= 3)
            assert server.process.poll() is None
            server.process.kill()
        else:
            assert server.process.wait() == 0


def test_after_a_failed_health_check_nobody_is_waited_for(tmp_path: Path) -> None:
    options = (*TOKENS, "--prefill-seconds", "60", "--health-timeout", "0.2", "--drain")
    with fake_sglang(tmp_path, *options) as server, closing(send(server, 100, "one", 3)):
        server.wait_for_event("prefill_started")
        assert ask(server, "/health").status == 503
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait() == 0


def test_small_ones_share_a_chunk_at_a_rate(tmp_path: Path) -> None:
    """With --rate what is left of a chunk goes to the next in the queue."""
    options = ("--tokens-per-char", "1", "--rate", "2000", "--chunk", "1000", "--max-running", "8")
    with fake_sglang(tmp_path, *options) as server, closing(send(server, 1500, "long", 2)):
        server.wait_for_event("prefill_started", rid="long")
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda rid: chat(server, "x", rid=rid), ("s1", "s2")))
        ended = [server.wait_for_event("prefill_ended", rid=r)["t"] for r in ("s1", "s2")]
        assert abs(ended[0] - ended[1]) < 0.2
