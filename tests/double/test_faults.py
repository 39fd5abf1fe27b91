"""Faults on demand, keys, and the life of the process."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

import pytest
from fake_sglang.asking import QUICK, ask, chat, chat_body
from fake_sglang.process import fake_sglang

WHOLE = {
    "http_400_flat": (400, "application/json"),
    "http_400_nested": (400, "application/json"),
    "http_401": (401, "application/json"),
    "http_404": (404, "application/json"),
    "http_429": (429, "application/json"),
    "http_503_starting": (503, "application/json"),
    "http_503_queue_full": (503, "application/json"),
    "http_500_text": (500, "text/plain; charset=utf-8"),
    "html_502": (502, "text/html"),
}


def test_faults_come_one_per_request_and_then_end(tmp_path: Path) -> None:
    names = ",".join(["none", *WHOLE])
    with fake_sglang(tmp_path, *QUICK, "--fault", names) as server:
        assert chat(server).reason == "length"
        for status, content_type in WHOLE.values():
            reply = chat(server)
            assert (reply.status, reply.headers["content-type"]) == (status, content_type)
        assert chat(server).reason == "length"
        assert [event["fault"] for event in server.events("request")] == [*names.split(","), "none"]


def test_faults_of_a_stream(tmp_path: Path, flavour: str) -> None:
    names = "empty_stream,error_in_stream,error_midway,abort_midway"
    with fake_sglang(tmp_path, *QUICK, "--flavour", flavour, "--fault", names) as server:
        empty, error, half_error, half = (chat(server) for _ in names.split(","))
    assert [reply.status for reply in (empty, error, half_error, half)] == [200] * 4
    assert empty.lines == ["data: [DONE]"]
    assert error.chunks[0]["error"]["code"] == 503
    assert len(error.lines) == (2 if flavour == "kt" else 3)
    assert (half_error.said, half.said) == ("The text ", "The text ")
    assert [chunk for chunk in half_error.chunks if "error" in chunk]
    assert half.reason == "abort"


def test_faults_of_the_connection(tmp_path: Path, flavour: str) -> None:
    names = "cut_midway,reset_in_prefill,die_in_prefill"
    with fake_sglang(tmp_path, *QUICK, "--flavour", flavour, "--fault", names) as server:
        with pytest.raises(http.client.IncompleteRead):
            chat(server)
        with pytest.raises(ConnectionResetError):
            chat(server)
        # kt's headers are out: the body ends early. Upstream's are not: there is no answer.
        with pytest.raises((http.client.IncompleteRead, http.client.RemoteDisconnected)):
            chat(server)
        assert server.process.wait() == 1


def test_faults_without_a_stream(tmp_path: Path) -> None:
    with fake_sglang(tmp_path, *QUICK, "--fault", "abort_midway,cut_midway") as server:
        reply = chat(server, stream=False)
        assert (reply.status, reply.json["choices"][0]["finish_reason"]) == (200, "abort")
        with pytest.raises(http.client.IncompleteRead):
            chat(server, stream=False)


def test_a_key_is_required_but_not_for_health(tmp_path: Path) -> None:
    with fake_sglang(tmp_path, *QUICK, "--require-key", "secret") as server:
        assert ask(server, "/v1/models").json == {"error": "Unauthorized"}
        assert chat(server).status == 401
        assert ask(server, "/health").status == 200
        assert ask(server, "/v1/models", authorization="Bearer secret").status == 200
        # As the real one: the key in clear.
        info = ask(server, "/server_info", authorization="Bearer secret").json
        assert info["api_key"] == "secret"
        assert server.requests() == []


def test_what_was_sent_is_kept(tmp_path: Path) -> None:
    with fake_sglang(tmp_path, *QUICK, "--answer", "Hello 你好 world") as server:
        reply = chat(server, "红楼梦", max_tokens=None)
        assert reply.said == "Hello 你好 world"
        assert server.requests() == [chat_body("红楼梦", max_tokens=None)]
        # 9 bytes of UTF-8, 4 to a token; "Hello ", two characters, a blank, "world".
        assert reply.chunks[-1]["usage"] == {
            "prompt_tokens": 3,
            "total_tokens": 8,
            "completion_tokens": 5,
            "prompt_tokens_details": None,
            "reasoning_tokens": 0,
        }
        kinds = [event["kind"] for event in server.events()]
    wanted = {"request", "headers_sent", "prefill_started", "prefill_ended", "first_token"}
    assert wanted | {"finished", "answered"} == {*kinds}


def test_another_server_can_take_the_same_port(tmp_path: Path) -> None:
    with fake_sglang(tmp_path, *QUICK) as first:
        assert chat(first).reason == "length"
    assert first.process.returncode == 0
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", first.port)):
        pass
    with fake_sglang(tmp_path, *QUICK, "--port", str(first.port)) as second:
        assert (second.url, chat(second).reason) == (first.url, "length")


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="no such fault: typo"),
        fake_sglang(tmp_path, "--fault", "typo"),
    ):
        pass
