"""Every byte shape of the scripted server against recordings of the real ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fake_sglang.asking import (
    DATA,
    QUICK,
    ask,
    assert_same_headers,
    chat,
    chat_body,
    line_shape,
    recorded,
    shape,
)
from fake_sglang.process import FakeServer, fake_sglang


def test_models_and_chat_are_shaped_as_recorded(quick: FakeServer, flavour: str) -> None:
    [models, answer] = (
        recorded(flavour, path=p)[0] for p in ("/v1/models", "/v1/chat/completions")
    )
    ours = ask(quick, "/v1/models")
    assert_same_headers(ours, models)
    assert shape(ours.json) == shape(json.loads(models["body"]))
    plain = chat(quick, stream=False)
    assert_same_headers(plain, answer)
    assert shape(plain.json) == shape(json.loads(answer["body"]))


def test_loads_and_health_are_shaped_as_recorded(quick: FakeServer, flavour: str) -> None:
    [real] = recorded(flavour, path="/v1/loads")
    ours = ask(quick, "/v1/loads")
    assert_same_headers(ours, real)
    assert shape(ours.json) == shape(json.loads(real["body"]))
    assert_same_headers(ask(quick, "/health"), recorded(flavour, path="/health")[0])
    info = ask(quick, "/server_info").json
    assert (info["api_key"], info["max_total_num_tokens"]) == (None, 1500)
    assert (info["context_length"] is None) == (flavour == "upstream")


def test_loads_of_0_5_23_are_shaped_as_recorded(tmp_path: Path) -> None:
    real = json.loads((DATA / "loads-0.5.23.jsonl").read_text().splitlines()[0])["body"]
    with fake_sglang(tmp_path, "--flavour", "upstream", "--release", "0.5.23", *QUICK) as server:
        ours = ask(server, "/v1/loads").json
    assert shape(ours) == shape(real) and ours["version"] == real["version"]


def test_model_info_has_the_keys_of_the_fork(quick: FakeServer) -> None:
    [real] = recorded("kt", path="/model_info")
    assert shape(ask(quick, "/model_info").json) == shape(json.loads(real["body"]))


def test_a_stream_has_the_recorded_lines_in_order(quick: FakeServer, flavour: str) -> None:
    real = [row["line"] for row in recorded(flavour, ev="line", tag="short")]
    reply = chat(quick, rid="rid-0123456789abcdef", max_tokens=3)
    assert_same_headers(reply, recorded(flavour, ev="stream_end", tag="long")[0])
    ours = reply.lines
    assert len(ours) == 1 + 3 + 3  # role, words, finish, usage, [DONE]
    first_and_last = [line_shape(line) for line in [*ours[:2], *ours[-3:]]]
    wanted = [line_shape(line) for line in real]
    if flavour == "upstream":  # the recording had a prefix cache, which this server has not
        wanted[3] = line_shape(real[3].replace('{"cached_tokens":36}', "null"))
    assert first_and_last == wanted
    assert {chunk["id"] for chunk in reply.chunks} == {"rid-0123456789abcdef"}
    assert reply.reason == "length"


def test_without_include_usage_there_is_no_usage_chunk(quick: FakeServer) -> None:
    reply = chat(quick, stream_options=None, max_tokens=50)
    assert (reply.reason, reply.said[:8]) == ("stop", "The text")
    assert all(chunk["choices"] for chunk in reply.chunks)


LONG = "x" * 4 * 2500
ERRORS: dict[str, Any] = {
    "too_long": chat_body(LONG, stream=False),
    "too_long_stream": chat_body(LONG),
    "sum_too_long": chat_body(stream=False, max_tokens=2000),
    "bad_temp": chat_body(stream=False, temperature=-3),
    "bad_temp_stream": chat_body(temperature=-3),
    "no_messages_stream": {"model": "m", "stream": True},
    "not_json": b"{",
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_shaped_as_recorded(quick: FakeServer, flavour: str, name: str) -> None:
    [real] = recorded(flavour, ev="error_case", name=name)
    reply = ask(quick, "/v1/chat/completions", ERRORS[name])
    assert_same_headers(reply, real)
    ours, theirs = (
        [line for line in text.split("\n") if line] for text in (reply.text, real["body"])
    )
    assert len(ours) == len(theirs)
    if name == "not_json":
        assert reply.text == real["body"]
    else:
        assert [line_shape(line) for line in ours] == [line_shape(line) for line in theirs]
    if name == "bad_temp":
        assert reply.json == json.loads(real["body"])


def test_elsewhere_is_not_found(quick: FakeServer, flavour: str) -> None:
    [real] = recorded(flavour, ev="error_case", name="404")
    for reply in (ask(quick, "/nope"), ask(quick, "/metrics"), ask(quick, "/nope", {})):
        assert_same_headers(reply, real)
        assert reply.text == real["body"]


def test_over_the_pool_a_stream_looks_like_an_answer(quick: FakeServer, flavour: str) -> None:
    reply = chat(quick, "x" * 4 * 1600)
    assert (reply.status, reply.lines[-1]) == (200, "data: [DONE]")
    assert reply.chunks[-1]["usage"]["prompt_tokens"] == 1
    if flavour == "upstream":
        real = [row["line"] for row in recorded(flavour, **{"from": "overpool_one"}, ev="line")]
        assert [line_shape(line) for line in reply.lines] == [line_shape(line) for line in real]
    else:  # not recorded; by reading of sglang-kt 0.7.2
        assert reply.reason == "abort"
    plain = chat(quick, "x" * 4 * 1600, stream=False)
    assert plain.status == 400
    assert "maximum allowed length (1494 tokens)" in plain.json["message"]


@pytest.mark.parametrize("path", ["/get_load", "/tokenize"])
def test_other_questions_are_answered_as_recorded(
    quick: FakeServer, flavour: str, path: str
) -> None:
    [real] = recorded(flavour, ev="http", path=path)
    ours = ask(quick, path, {"prompt": "Hello there"} if path == "/tokenize" else None)
    assert_same_headers(ours, real)
    assert shape(ours.json) == shape(json.loads(real["body"]))


def labels(text: str) -> dict[str, list[str]]:
    """Name and mode of each metric -> the names of its labels."""
    found = {}
    for line in text.splitlines():
        if line.startswith("sglang:"):
            names = re.findall(r'(\w+)="', line)
            mode = re.search(r'mode="(\w+)"', line)
            found[line.partition("{")[0] + (f":{mode[1]}" if mode else "")] = names
    return found


def test_metrics_are_labelled_as_recorded(tmp_path: Path, flavour: str) -> None:
    [real] = recorded(flavour, ev="http", path="/metrics")
    with fake_sglang(tmp_path, *QUICK, "--flavour", flavour, "--metrics") as server:
        ours = ask(server, "/metrics")
    assert_same_headers(ours, real)
    theirs = labels(real["body"])
    assert theirs.items() <= labels(ours.text).items()


def test_headers_come_in_the_recorded_order(quick: FakeServer, flavour: str) -> None:
    for path, body in (("/v1/models", None), ("/v1/chat/completions", chat_body(stream=False))):
        real = recorded(flavour, ev="http", path=path)[0]
        names = [name for name in ask(quick, path, body).headers if name != "date"]
        assert names == [name.lower() for name in real["headers"]]
