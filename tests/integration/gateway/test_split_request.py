"""A request over HTTP whose document is longer than the window."""

from __future__ import annotations

from pathlib import Path

import openai
import pytest
from fake_sglang.process import fake_sglang
from support.gateway import gateway

from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir

STORY = "It was a dark and stormy night; the rain fell in torrents.\n\n"
BOOK = "".join(f"Chapter {n}\n\n{STORY * 130}" for n in range(1, 10))
QUESTION = "What was the weather?"
SMALL = ("--window", "8192", "--pool", "20000", "--tokens-per-char", "0.2")
SPLIT = {"x-ktjob-split": "auto"}


@pytest.mark.promise
def test_it_is_refused_with_a_way_out_and_then_read_in_parts(
    state: StateDir, tmp_path: Path
) -> None:
    """By the rules of the command line: one job with its parts, for chats and for responses."""
    chat = {"messages": [{"role": "user", "content": BOOK}], "max_tokens": 64}
    with_system = {**chat, "messages": [{"role": "system", "content": QUESTION}, *chat["messages"]]}
    parts = [{"type": "input_text", "text": text} for text in (BOOK, QUESTION)]
    with (
        fake_sglang(tmp_path, *SMALL, "--answer", "It rained [2].") as server,
        gateway(state, server.url) as one,
        one.client() as client,
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(model="default", **with_system)
        assert refused.value.code == "context_length_exceeded"
        assert "x-ktjob-split: auto" in refused.value.message
        with pytest.raises(openai.BadRequestError, match="instruction"):
            client.chat.completions.create(model="default", extra_headers=SPLIT, **chat)
        assert not server.requests()
        once = {**SPLIT, "Idempotency-Key": "the weather"}
        done = client.chat.completions.create(model="default", extra_headers=once, **with_system)
        again = client.chat.completions.create(model="default", extra_headers=once, **with_system)
        assert again.id == done.id
        assert "It rained" in (done.choices[0].message.content or "")
        asked = [request["messages"][-1]["content"] for request in server.requests()]
        assert sum(text.startswith("[Part ") for text in asked) > 1
        assert all(QUESTION in text for text in asked)
        response = client.responses.create(
            model="default", input=[{"role": "user", "content": parts}], extra_headers=SPLIT
        )
        assert response.status == "completed" and "It rained" in response.output_text
        (item,) = client.responses.input_items.list(response.id)
        assert [part.text for part in item.content] == [BOOK, QUESTION]  # type: ignore[union-attr]
        with HttpStore.open(state) as store:
            jobs = store.newest(10)
            assert [len(store.parts(job.id)) > 1 for job in jobs] == [True, True]
            requests = [store.request(job.id) for job in jobs]
        assert [one and one.surface for one in requests] == ["responses", "chat"]
