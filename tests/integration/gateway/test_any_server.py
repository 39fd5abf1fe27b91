"""The gateway before several servers: each chat goes to the best of them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fake_sglang.process import fake_sglang
from support.gateway import gateway

from jobs.store.state_dir import StateDir

STORY = "It was a dark and stormy night. "


def _ask(url: str, text: str, **more: Any) -> tuple[int, str]:
    """The status, and the answer or the error's message."""
    turns = [{"role": "system", "content": STORY * 500}, {"role": "user", "content": text}]
    body = json.dumps({"messages": turns, "max_tokens": 50, **more}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/chat/completions", body, headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)["choices"][0]["message"]["content"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["error"]["message"]


@pytest.mark.promise
def test_a_chat_goes_to_the_best_server_and_to_another_when_that_dies(
    state: StateDir, tmp_path: Path
) -> None:
    """The one that has read its beginning; by name to a certain one; and where none lists the
    model, the answer is a 404."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    flags = ("--radix", "--max-running", "1")
    with ExitStack() as rest:
        two = rest.enter_context(fake_sglang(tmp_path / "two", *flags, "--answer", "Two."))
        mortal = rest.enter_context(ExitStack())
        one = mortal.enter_context(fake_sglang(tmp_path / "one", *flags, "--answer", "One."))
        tables = f'[servers.one]\nurl = "{one.url}"\n[servers.two]\nurl = "{two.url}"\n'
        (tmp_path / "config.toml").write_text(tables)
        url = rest.enter_context(gateway(state, "any", KTJOB_CONFIG=str(tmp_path))).url
        assert _ask(url, "Who?", model="two") == (200, "Two.")
        assert _ask(url, "Why?") == (200, "Two.")  # it has read the long beginning
        assert _ask(url, "Why?", model="one") == (200, "One.")
        status, words = _ask(url, "Who?", model="unheard/of")
        assert status == 404 and "unheard/of" in words
        mortal.close()
        for number in range(3):
            assert _ask(url, f"Again, {number}?") == (200, "Two.")
