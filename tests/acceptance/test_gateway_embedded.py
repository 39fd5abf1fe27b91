"""openai's client through the gateway to a real model: the embedded llama.cpp."""

from __future__ import annotations

import pytest
from openai.types.responses import ResponseTextDeltaEvent
from support.gateway import gateway

from jobs.model import Status
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.config import settings as config
from ktclient.request.body import Body
from ktclient.submission import chat_request
from ktclient.submission.chat_request import ChatOptions


@pytest.mark.timeout(300)
def test_a_real_model_answers_openais_client(state: StateDir, cache_env: dict[str, str]) -> None:
    """A chat, a streamed chat and a streamed response, by the model that is listed."""
    with gateway(state, "embedded", **cache_env) as one:
        client = one.client(max_retries=2)
        (model,) = client.models.list()
        assert model.model_extra is not None and model.model_extra["max_model_len"] == 8192
        plain = client.chat.completions.create(
            model=model.id, messages=[{"role": "user", "content": "Say hello."}], max_tokens=8
        )
        assert plain.choices[0].message.content
        assert plain.usage is not None and 0 < plain.usage.completion_tokens <= 8
        streamed = "".join(
            chunk.choices[0].delta.content or ""
            for chunk in client.chat.completions.create(
                model=model.id,
                messages=[{"role": "user", "content": "Count to three."}],
                max_tokens=8,
                stream=True,
            )
        )
        assert streamed.strip()
        with client.responses.stream(
            model=model.id, input="Name a colour.", max_output_tokens=16
        ) as stream:
            said = "".join(e.delta for e in stream if isinstance(e, ResponseTextDeltaEvent))
        assert said.strip()
        kept = client.responses.retrieve(plain.id.removeprefix("chatcmpl-"))
        assert kept.output_text == plain.choices[0].message.content


@pytest.mark.promise
@pytest.mark.timeout(600)
def test_what_a_real_server_has_of_a_chat_is_foreseen(
    state: StateDir, cache_env: dict[str, str]
) -> None:
    """By its own count: the second turn of a chat needs neither the text nor the first answer to be
    read, and its size is known from the first turn, chat template included."""
    text = "The ferry was late again this morning, and nobody knew why.\n" * 40
    asked: list[dict[str, str]] = [
        {"role": "system", "content": text},
        {"role": "user", "content": "What was late?"},
    ]
    with gateway(state, "embedded", **cache_env) as one:
        client = one.client(max_retries=2)

        def ask() -> str:
            answer = client.chat.completions.create(
                model="embedded",
                messages=asked,  # type: ignore[arg-type]
                max_tokens=40,
            )
            return answer.choices[0].message.content or ""

        asked += [{"role": "assistant", "content": ask()}]
        asked += [{"role": "user", "content": "How often does the text say so?"}]
        options = ChatOptions(server="embedded", max_tokens=40)
        before = chat_request.check(Body({"messages": asked}), options, config.load()).forecast
        ask()
    with Store.open(state) as store:
        jobs = store.in_status(Status.FINISHED)
        first, figures = (store.attempts(job.id)[-1].figures for job in jobs)
    read, cached = figures["prompt_tokens"], figures["cached_tokens"]
    assert isinstance(read, int) and isinstance(cached, int)
    assert cached > int(str(first["prompt_tokens"])) - 16  # the first answer too
    assert before.cached is not None and before.cached.job == jobs[0].id
    assert abs(before.count.tokens - read) <= 16
    assert abs(before.cached.tokens - cached) <= 32
    assert abs(int(str(figures["predicted_cached_tokens"])) - cached) <= 32
