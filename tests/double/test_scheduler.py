"""Who waits, who is prefilled, who ends when and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from fake_sglang.asking import (
    DATA,
    QUICK,
    SLOW,
    ask,
    assert_same_headers,
    chat_body,
    connect,
    line_shape,
    load,
    read,
    recorded,
    start,
    time_of,
)
from fake_sglang.process import FakeServer, fake_sglang

Until = Callable[..., object]


def test_headers_come_before_the_prefill_or_after_it(slow: FakeServer, flavour: str) -> None:
    [real] = recorded(flavour, ev="stream_end", tag="long")
    with closing(start(slow)) as connection:
        reply = read(connection.getresponse())
    assert reply.reason == "length"
    comes_early = time_of(slow, "headers_sent") < time_of(slow, "prefill_ended")
    assert comes_early == (real["headers_s"] < real["first_s"]) == (flavour == "kt")
    assert time_of(slow, "first_token") >= time_of(slow, "prefill_ended")


def prefilled(server: FakeServer) -> float:
    """The progress counter of /metrics."""
    lines = ask(server, "/metrics").text.splitlines()
    return float(next(line for line in lines if 'mode="prefill_compute"' in line).split()[-1])


def test_0_5_23_counts_chunks_when_they_have_ended(tmp_path: Path, until: Until) -> None:
    """In /v1/loads, with the time that they took; /metrics counts them when they begin. Recorded
    so."""
    rows = [json.loads(one) for one in (DATA / "loads-0.5.23.jsonl").read_text().splitlines()]
    polls = [one for one in rows if one["ev"] == "poll"]
    gaps = {p["prefill_compute"] - p["loads"]["total_prefill_uncached_tokens"] for p in polls}
    assert gaps >= {0, 4_096} and min(gaps) == 0 and max(gaps) == 4_096
    options = ("--flavour", "upstream", "--release", "0.5.23", "--chunk", "10", *SLOW)
    with fake_sglang(tmp_path, *options, "--tokens-per-char", "1") as server:
        server.hold()
        with closing(start(server)) as connection:
            for done in range(0, 100, 10):
                until(lambda used=done + 10: load(server)["num_used_tokens"] == used)
                seen = load(server)
                assert seen["total_prefill_uncached_tokens"] == done
                assert (seen["total_prefill_busy_us"] > 0) == (done > 0)
                assert prefilled(server) == done + 10
                server.step()
            server.let_go()
            connection.getresponse().read()


def test_a_prefill_shows_in_used_tokens_only(slow: FakeServer, until: Until) -> None:
    with closing(start(slow)) as connection:
        seen = [load(slow) for _ in range(4)]
        until(lambda: 0 < prefilled(slow) <= 100 * 4096)
        connection.getresponse().read()
    used = [entry["num_used_tokens"] for entry in seen]
    assert used == sorted(used) and used[-1] > 0
    assert {number % 4096 for number in used} == {0}
    assert {entry["num_running_reqs"] for entry in seen} == {0}
    assert {entry["num_waiting_reqs"] for entry in seen} == {0}
    assert load(slow)["num_used_tokens"] == 0


def test_a_cut_socket_leaves_a_ghost_on_the_fork(slow: FakeServer, flavour: str) -> None:
    start(slow).close()
    slow.wait_for_event("disconnect")
    finished = slow.wait_for_event("finished")
    assert finished["reason"] == "abort"
    assert (finished["prefilled"] == 100 * 4096) == (flavour == "kt")
    assert not slow.events("first_token")


def test_an_aborted_stream_ends_as_recorded(slow: FakeServer, flavour: str) -> None:
    real = [row["line"] for row in recorded(flavour, ev="line", tag="abortrid")]
    with closing(start(slow)) as connection:
        called = ask(slow, "/abort_request", {"rid": "rid-"})
        assert_same_headers(called, recorded(flavour, path="/abort_request")[0])
        reply = read(connection.getresponse())
    assert [line_shape(line) for line in reply.lines] == [line_shape(line) for line in real]
    assert reply.reason == "abort"
    finished = slow.wait_for_event("finished")
    is_ghost = finished["prefilled"] == 100 * 4096
    assert is_ghost == (flavour == "kt") == (reply.chunks[-1]["usage"]["prompt_tokens"] > 0)
    assert slow.wait_for_event("abort")["matched"] == ["rid-one"]


def test_an_unknown_rid_is_ignored(quick: FakeServer) -> None:
    assert ask(quick, "/abort_request", {"rid": "nobody"}).status == 200
    assert quick.wait_for_event("abort")["matched"] == []


def test_a_second_prompt_waits_for_the_first(slow: FakeServer) -> None:
    with closing(start(slow)) as first, closing(connect(slow)) as second:
        body = json.dumps(chat_body("y", rid="rid-two"))
        second.request("POST", "/v1/chat/completions", body)
        slow.wait_for_event("request", rid="rid-two")
        assert load(slow)["num_waiting_reqs"] == 1
        ask(slow, "/abort_request", {"rid": "rid-two"})
        assert read(second.getresponse()).chunks[-1]["usage"]["total_tokens"] == 0
        assert not slow.events("prefill_started", rid="rid-two")
        assert read(first.getresponse()).reason == "length"


def test_only_so_many_run_at_a_time(tmp_path: Path) -> None:
    options = ("--max-running", "1", "--token-seconds", "0.02", "--prefill-seconds", "0.01")
    with fake_sglang(tmp_path, *options) as server:
        with closing(start(server, rid="a")) as first, closing(start(server, rid="b")) as second:
            assert read(first.getresponse()).reason == read(second.getresponse()).reason == "length"
        assert time_of(server, "prefill_started", rid="b") >= time_of(server, "finished", rid="a")


def test_a_prompt_between_pool_and_admission_wedges_the_fork(tmp_path: Path) -> None:
    options = ("--pool", "1000", "--health-timeout", "0.3")
    with fake_sglang(tmp_path, *QUICK, *options) as server:
        with closing(connect(server)) as connection:
            body = json.dumps(chat_body("x" * 4 * 800))
            connection.request("POST", "/v1/chat/completions", body)
            server.wait_for_event("request")
            assert connection.getresponse().status == 200
            assert ask(server, "/health").status == 503
            assert load(server)["num_waiting_reqs"] == 2  # the probe of /health, too
        server.wait_for_event("finished", reason="abort")
