"""A server that refuses a field by its name is asked again without it, in the same attempt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import batches
from support.recording import Recorder, recorder

from ktclient import submit_batch, submit_long

JSON = {"content-type": "application/json"}
SENT = {"stream_options", "max_tokens", "response_format"}


def flat(message: str, code: int = 400) -> tuple[int, dict[str, str], bytes]:
    body = {"object": "error", "message": message, "type": "BadRequestError", "code": code}
    return code, JSON, json.dumps(body).encode()


def nested(message: str, param: str) -> tuple[int, dict[str, str], bytes]:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return 400, JSON, json.dumps({"error": error}).encode()


def forbidden(name: str) -> tuple[int, dict[str, str], bytes]:
    """As FastAPI refuses a field that a model does not know."""
    told = {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not allowed"}
    return 422, JSON, json.dumps({"detail": [told]}).encode()


@pytest.fixture
def server(ktjob_home: Path) -> Iterator[Recorder]:
    with recorder("openai-compatible") as server:
        yield server


def fields(server: Recorder) -> list[dict[str, Any]]:
    """The bodies of the chats that came, one by one."""
    return [json.loads(one.body) for one in server.asked if one.path.endswith("/completions")]


@pytest.mark.promise
@pytest.mark.parametrize(
    ("name", "refusal", "instead"),
    [
        ("stream_options", forbidden("stream_options"), None),
        ("stream_options", flat("stream_options is not supported"), None),
        ("max_tokens", forbidden("max_tokens"), "max_completion_tokens"),
        (
            "max_tokens",
            nested(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' instead.",
                "max_tokens",
            ),
            "max_completion_tokens",
        ),
    ],
)
def test_a_field_that_a_server_does_not_know_is_left_out(
    server: Recorder, name: str, refusal: tuple[int, dict[str, str], bytes], instead: str | None
) -> None:
    server.unknown[name] = refusal
    job = submit_long("A story.", ask="Who?", server=server.url, max_tokens=50)
    assert job.result(60) == "Well." and job.status().attempt == 1
    first, second = fields(server)
    assert name in first and name not in second
    if instead is not None:
        assert instead not in first and second[instead] == 50


def test_each_field_is_left_out_once(server: Recorder) -> None:
    """A server that knows none of them; the last request has none."""
    server.unknown = {name: forbidden(name) for name in SENT}
    schema: dict[str, object] = {"type": "object"}
    server.answer = ["{}"]
    job = submit_long("A story.", ask="Who?", schema=schema, server=server.url)
    assert job.result(60) == "{}"
    assert [len(SENT & one.keys()) for one in fields(server)] == [3, 2, 1, 0]


def test_a_value_that_is_refused_is_not_sent_under_another_name(server: Recorder) -> None:
    server.unknown["max_tokens"] = flat("max_tokens must be at most 10")
    job = submit_long("A story.", ask="Who?", server=server.url, max_attempts=1)
    assert job.wait(60).status().cause == "server_refused"
    assert len(fields(server)) == 1


def test_a_server_that_refuses_whatever_comes_is_not_asked_forever(server: Recorder) -> None:
    server.refusal = flat("stream_options and max_tokens are unknown, unsupported and extra")
    job = submit_long("A story.", ask="Who?", server=server.url, max_attempts=1)
    assert job.wait(60).status().cause == "server_refused"
    assert len(fields(server)) == 3


def test_of_two_limits_in_a_line_the_one_that_is_known_is_sent(
    server: Recorder, tmp_path: Path
) -> None:
    """Both are sent at first, with the same value: a server reads the one it knows."""
    lines = [batches.request("a", "One", 7, max_completion_tokens=7)]
    for refused, kept in (
        ("max_completion_tokens", "max_tokens"),
        ("max_tokens", "max_completion_tokens"),
    ):
        server.asked.clear()
        server.unknown = {refused: forbidden(refused)}
        path = batches.write(tmp_path / f"{refused}.jsonl", lines)
        results = tmp_path / f"{refused}.results"
        submit_batch(path, output=results, server=server.url).wait(60)
        assert batches.said(batches.read(results)[0]) == "Well."
        first, second = fields(server)
        assert first[refused] == first[kept] == second[kept] == 7 and refused not in second
