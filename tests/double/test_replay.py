"""The recorded sessions, played again: who waits, who computes on, who ends when, and with what.

The same prompts in tokens against the same window, pool and chunks; the clock runs 60 to 150 times
as fast. Numbers come from tests/data/sglang, so that the double cannot drift from the recordings.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fake_sglang.asking import Reply, ask, chat, chat_body, connect, load, read, recorded
from fake_sglang.process import FakeServer, fake_sglang

Until = Callable[..., object]
# A token a character; each server's speed as recorded: 58 s for 60,605 tokens on a CPU, 34 s for
# 586,776 on an H100.
SERVERS = {
    "kt": ("--rate", "20000:300@60000", "--speed", "150"),
    "upstream": ("--rate", "136000:12000@586776", "--speed", "80", "--radix", "--pool", "2400000"),
}
COMMON = ("--tokens-per-char", "1", "--page", "1", "--metrics", "--token-seconds", "0.02")
ANSWER = " ".join(["word"] * 40)


@pytest.fixture
def server(tmp_path: Path, flavour: str) -> Iterator[FakeServer]:
    options = ("--flavour", flavour, "--answer", ANSWER, *COMMON, *SERVERS[flavour])
    with fake_sglang(tmp_path, *options) as server:
        yield server


def usage_of(flavour: str, step: str, tag: str) -> dict[str, Any]:
    """The recorded usage chunk of one stream."""
    for row in recorded(flavour, ev="line", tag=tag, **{"from": step}):
        if '"usage":{' in row["line"]:
            found: dict[str, Any] = json.loads(row["line"].removeprefix("data: "))["usage"]
            return found
    raise AssertionError(f"no usage of {tag} in {step}")


def prompt(tokens: int) -> str:
    return "x" * tokens


def send(server: FakeServer, tokens: int, rid: str, limit: int = 16) -> http.client.HTTPConnection:
    connection = connect(server)
    body = chat_body(prompt(tokens), rid=rid, max_tokens=limit)
    connection.request("POST", "/v1/chat/completions", json.dumps(body))
    return connection


def prefilled(server: FakeServer) -> int:
    """realtime_tokens_total{mode="prefill_compute"}, as the recorder read it."""
    lines = ask(server, "/metrics").text.splitlines()
    return int(float(next(line for line in lines if 'mode="prefill_compute"' in line).split()[-1]))


def cached(reply: Reply) -> int:
    details = reply.chunks[-1]["usage"]["prompt_tokens_details"]
    return details["cached_tokens"] if details else 0


def is_cached(usage: dict[str, Any]) -> bool:
    return bool(usage["prompt_tokens_details"])


@pytest.mark.promise
def test_long(server: FakeServer, flavour: str) -> None:
    """Polls during a lone prefill, then the same text again."""
    real = usage_of(flavour, "long", "long")
    polls = [row["loads"] for row in recorded(flavour, ev="poll", **{"from": "long"})]
    with closing(send(server, real["prompt_tokens"], "one", limit=32)) as connection:
        server.wait_for_event("prefill_started", rid="one")
        seen = [load(server)]
        while not seen[-1]["num_used_tokens"]:
            seen.append(load(server))
        first = read(connection.getresponse())
    # Recorded on kt with waiting 1: a probe of the recorder's /health stood behind the prompt.
    assert {poll["num_running_reqs"] for poll in polls} == {0}
    assert {poll["num_running_reqs"] for poll in seen} == {0}
    assert {poll["num_waiting_reqs"] for poll in seen} == {0}
    for used in ([p["num_used_tokens"] for p in polls], [p["num_used_tokens"] for p in seen]):
        assert used == sorted(used) and used[-1] > 0
    usage = first.chunks[-1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (real["prompt_tokens"], 32)
    # Recorded on kt: one token more, the probe's.
    [computed] = [r["delta"] for r in recorded(flavour, ev="prefill_compute", **{"from": "long"})]
    assert prefilled(server) == real["prompt_tokens"]
    assert 0 <= computed - real["prompt_tokens"] <= 1 or flavour == "upstream"
    again = usage_of(flavour, "long", "long_second_question")
    second = chat(server, prompt(again["prompt_tokens"]), max_tokens=16)
    assert bool(cached(second)) == is_cached(again) == (flavour == "upstream")
    if flavour == "upstream":
        assert cached(second) / again["prompt_tokens"] > 0.99
        assert again["prompt_tokens_details"]["cached_tokens"] / again["prompt_tokens"] > 0.99


@pytest.mark.parametrize("how", ["cut", "abort"])
def test_cut_or_abort_in_mid_prefill(
    server: FakeServer, flavour: str, how: str, until: Until
) -> None:
    """The fork computes on to the end; upstream stops, and keeps what it has."""
    [cutting] = recorded(flavour, ev="cutting", **{"from": how})
    [after] = recorded(flavour, ev="after_cut", **{"from": how})
    tag = "cutsock_again" if how == "cut" else "abortrid_again"
    again = usage_of(flavour, how, tag)
    tokens = again["prompt_tokens"]
    connection = send(server, tokens, "one")
    until(lambda: prefilled(server) >= cutting["prefilled"])
    if how == "cut":
        connection.close()
    else:
        assert ask(server, "/abort_request", {"rid": "one"}).status == 200
    finished = server.wait_for_event("finished", rid="one")
    connection.close()
    is_ghost = finished["prefilled"] == tokens
    assert is_ghost == (flavour == "kt")
    if how == "cut":
        assert is_ghost == (after["last"] == tokens)
    else:  # the recorder left before kt's end, and the aborted stream told of it
        aborted = recorded(flavour, ev="line", tag="abortrid")[-2]["line"]
        assert is_ghost == (f'"prompt_tokens":{tokens}' in aborted)
    assert until(lambda: prefilled(server) == finished["prefilled"])
    assert load(server)["num_used_tokens"] == 0
    second = chat(server, prompt(tokens), max_tokens=16)
    assert second.reason == "length"
    usage = second.chunks[-1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (tokens, 16)
    assert bool(cached(second)) == is_cached(again)
    if not is_ghost:  # recorded: all but its last chunk
        kept = again["prompt_tokens_details"]["cached_tokens"]
        assert 0 <= after["last"] - kept <= 2 * 4096
        assert 0 <= finished["prefilled"] - cached(second) <= 2 * 4096


def test_pair(tmp_path: Path) -> None:
    """A short prompt waits for the whole of a long prefill, and is answered along with it."""
    ends = {r["tag"]: r for r in recorded("upstream", ev="stream_end", **{"from": "pair"})}
    waited = ends["pair_short"]["first_s"] / ends["pair_long"]["first_s"]
    assert waited > 0.8
    polls = [r["loads"] for r in recorded("upstream", ev="poll", **{"from": "pair"})][1:-1]
    options = ("--flavour", "upstream", "--answer", ANSWER, *COMMON, *SERVERS["upstream"])
    with fake_sglang(tmp_path, *options, "--max-running", "32") as server:
        with closing(send(server, 586_776, "long")) as long:
            server.wait_for_event("prefill_started", rid="long")
            with closing(send(server, 33, "short")) as short:
                server.wait_for_event("request", rid="short")
                poll = load(server)
                assert read(short.getresponse()).reason == read(long.getresponse()).reason
        started = server.wait_for_event("prefill_started", rid="short")
        first = server.wait_for_event("first_token", rid="short")
        end = server.wait_for_event("prefill_ended", rid="long")
    lists = {(p["num_running_reqs"], p["num_waiting_reqs"]) for p in polls}
    assert lists == {(0, 1)} == {(poll["num_running_reqs"], poll["num_waiting_reqs"])}
    # In the last chunk of the long one there is room for it.
    assert started["t"] <= end["t"] <= first["t"]


def test_noradix_two(tmp_path: Path) -> None:
    """Two of 587K in a pool of 900K: the second waits for the first's end, nothing is retracted."""
    ends = {r["tag"]: r for r in recorded("upstream", ev="stream_end", **{"from": "noradix_two"})}
    times = sorted(r["first_s"] for r in ends.values())
    assert times[1] > 1.8 * times[0]
    polls = recorded("upstream", ev="poll", **{"from": "noradix_two"})[1:-1]
    assert {r["loads"]["num_waiting_reqs"] for r in polls} <= {0, 1}
    options = ("--flavour", "upstream", *COMMON, "--pool", "900000", "--answer", ANSWER)
    speed = ("--rate", "136000:12000@586776", "--speed", "60", "--max-running", "32")
    with fake_sglang(tmp_path, *options, *speed) as server:
        with closing(send(server, 586_776, "one")) as one:
            server.wait_for_event("prefill_started", rid="one")
            with closing(send(server, 586_776, "two")) as two:
                server.wait_for_event("request", rid="two")
                assert load(server)["num_waiting_reqs"] == 1
                assert read(one.getresponse()).reason == "length"
                reply = read(two.getresponse())
        assert (reply.reason, cached(reply)) == ("length", 0)
        end = server.wait_for_event("finished", rid="one")
        assert server.wait_for_event("prefill_started", rid="two")["t"] >= end["t"]
        assert not server.events("retracted")


def test_edge_one(tmp_path: Path) -> None:
    """856K tokens in a pool of 900K are answered."""
    real = usage_of("upstream", "edge_one", "one")
    options = ("--flavour", "upstream", *COMMON, "--pool", "900000", "--answer", ANSWER)
    speed = ("--rate", "136000:12000@586776", "--speed", "100")
    with fake_sglang(tmp_path, *options, *speed) as server:
        reply = chat(server, prompt(real["prompt_tokens"]), max_tokens=16)
    assert reply.chunks[-1]["usage"] == real


def test_noradix_kill(tmp_path: Path) -> None:
    """A server killed in mid-prefill: the connection ends at once; upstream has said nothing."""
    [real] = recorded("upstream", ev="stream_end", **{"from": "noradix_kill"})
    with fake_sglang(tmp_path, "--flavour", "upstream", "--prefill-seconds", "60") as server:
        connection = send(server, 4000, "one")
        server.wait_for_event("prefill_started")
        server.process.kill()
        with pytest.raises(http.client.RemoteDisconnected) as caught:
            connection.getresponse()
        assert repr(caught.value) == real["error"]
        connection.close()
