"""What tests ask a scripted server, and how answers compare with recordings.

`tests/data/sglang/*.jsonl` are excerpts of recordings (sglang-kt 0.7.2 on CPU, sglang 0.5.17 on an
H100): `ev` is http, line, stream_end, error_case, poll, cutting or after_cut; `from` names the
recording of that server which the line was taken from.
"""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fake_sglang.process import FakeServer

DATA = Path(__file__).resolve().parents[1] / "data" / "sglang"
RECORDED = {"kt": "kt-0.7.2.jsonl", "upstream": "upstream-0.5.17.jsonl"}
FLAVOURS = tuple(RECORDED)
QUICK = ("--prefill-seconds", "0.05", "--token-seconds", "0.001")
# 100 characters are 100 chunks of prefill.
SLOW = ("--prefill-seconds", "1", "--tokens-per-char", "4096", "--metrics")
PROMPT = "x" * 100


def recorded(flavour: str, **wanted: Any) -> list[dict[str, Any]]:
    lines = (DATA / RECORDED[flavour]).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    found = [row for row in rows if all(row.get(key) == wanted[key] for key in wanted)]
    assert found, f"no recording of {wanted}"
    return found


def shape(value: Any) -> Any:
    """Keys in their order, and types; what a text says and how large a number is are no shape."""
    if isinstance(value, dict):
        return [(key, shape(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return None if value is None else type(value).__name__


def line_shape(line: str) -> Any:
    data = line.removeprefix("data: ").strip()
    return data if data == "[DONE]" else shape(json.loads(data))


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def lines(self) -> list[str]:
        return [line for line in self.text.split("\n") if line]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [json.loads(line.removeprefix("data: ")) for line in self.lines[:-1]]

    @property
    def said(self) -> str:
        choices = [choice for chunk in self.chunks for choice in chunk.get("choices", [])]
        return "".join(choice["delta"].get("content") or "" for choice in choices)

    @property
    def reason(self) -> str:
        choices = [choice for chunk in self.chunks for choice in chunk.get("choices", [])]
        return str(choices[-1]["finish_reason"])


def connect(server: FakeServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)


def ask(server: FakeServer, path: str, body: Any = None, **headers: str) -> Reply:
    raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    with closing(connect(server)) as connection:
        connection.request("GET" if raw is None else "POST", path, raw, headers)
        return read(connection.getresponse())


def read(response: http.client.HTTPResponse) -> Reply:
    headers = {key.lower(): value for key, value in response.headers.items()}
    return Reply(response.status, headers, response.read().decode())


def chat_body(prompt: str = "Hello", **more: Any) -> dict[str, Any]:
    message = {"role": "user", "content": prompt}
    body = {"model": "m", "messages": [message], "stream": True, "max_tokens": 4}
    return {**body, "stream_options": {"include_usage": True}, **more}


def chat(server: FakeServer, prompt: str = "Hello", **more: Any) -> Reply:
    return ask(server, "/v1/chat/completions", chat_body(prompt, **more))


def start(server: FakeServer, **more: Any) -> http.client.HTTPConnection:
    """Send a long prompt and come back once its prefill has begun."""
    connection = connect(server)
    more = {"rid": "rid-one", **more}
    connection.request("POST", "/v1/chat/completions", json.dumps(chat_body(PROMPT, **more)))
    server.wait_for_event("prefill_started", rid=more["rid"])
    return connection


def load(server: FakeServer) -> dict[str, Any]:
    entry: dict[str, Any] = ask(server, "/v1/loads").json["loads"][0]
    return entry


def time_of(server: FakeServer, kind: str, **details: Any) -> float:
    return float(server.wait_for_event(kind, **details)["t"])


def assert_same_headers(reply: Reply, real: dict[str, Any]) -> None:
    assert reply.status == real["status"]
    theirs = {key.lower(): value for key, value in real["headers"].items()}
    assert {*reply.headers} - {"date"} == {*theirs}
    for key in {"content-type", "server", "transfer-encoding"} & {*theirs}:
        assert reply.headers[key] == theirs[key]
