"""openai's client through the gateway to a real model: the embedded llama.cpp."""

from __future__ import annotations

import pytest
from openai.types.responses import ResponseTextDeltaEvent
from support.gateway import gateway

from jobs.store.state_dir import StateDir


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
