"""Files of requests for tests, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fake_sglang.process import FakeServer

WORDS = "one two three four five six seven eight"
"""An answer; a request for N tokens gets its first N words."""
WINDOWED = ("--answer", WORDS, "--token-seconds", "0.001", "--prefill-seconds", "0.05")


def request(custom_id: str, text: str, max_tokens: int | None = 8, **body: Any) -> dict[str, Any]:
    """A line as it is written for OpenAI."""
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
    whole = {"model": "gpt-4o-mini", "messages": messages, **body}
    if max_tokens is not None:
        whole["max_tokens"] = max_tokens
    return {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": whole,
    }


def write(path: Path, requests: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in requests))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of results."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def said(line: dict[str, Any]) -> str | None:
    """What a line of results has as its answer; None of an error."""
    if line["error"] is not None:
        assert line["response"] is None and line["error"]["code"] and line["error"]["message"]
        return None
    text: str = line["response"]["body"]["choices"][0]["message"]["content"]
    return text


def asked(server: FakeServer) -> list[str]:
    """The last message of every request that reached the server."""
    return [str(one["messages"][-1]["content"]) for one in server.requests()]
