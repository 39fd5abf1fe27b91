"""A whole completion, as openai's own strict types take it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from jobs.model import Capacity, NewJob, Outcome
from jobs.processes import identity
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from jobs.worker.attempt import RunningAttempt
from ktclient.gateway.chat import completion, reading
from ktclient.gateway.chat.reading import Reading
from ktclient.prompts.tasks import Kind, Task
from ktclient.submission.spec import JobSpec
from ktclient.tokens.estimate import Estimate

pytestmark = pytest.mark.each_python

SPEC = JobSpec(Task(Kind.REQUEST), "http://x", "m", 16, 60.0, Estimate(7, 7, 7)).to_json()


def ended(
    state: StateDir, output: list[tuple[str, str]], cause: str | None = None, **figures: Any
) -> Reading:
    """A job with this output that has ended."""
    with HttpStore.open(state) as store:
        job = store.submit(NewJob("pool", SPEC, b"{}", "title"), Capacity(slots=1))
        running = RunningAttempt(store, state, job, store.claim(job.id, identity.mine()), [])
        for channel, text in output:
            running.output(text, channel)
        running.flush()
        running.record_metrics(**figures)
        outcome = Outcome.SUCCEEDED if cause is None else Outcome.FAILED
        store.finish(job.id, 1, outcome, cause, None)
        return reading.read(store, job.id)


def test_all_that_the_server_said_is_in_it(state: StateDir) -> None:
    call = [{"index": 0, "id": "a", "function": {"name": "add", "arguments": "{}"}}]
    now = ended(
        state,
        [("reasoning", "Hm"), ("answer", "Yes"), ("tool_calls", json.dumps(call) + "\n")],
        finish_reason="tool_calls",
        prompt_tokens=5,
        completion_tokens=2,
        cached_tokens=1,
        thought_tokens=1,
    )
    assert now.is_answered
    found = ChatCompletion.model_validate(completion.body(now, {"a": "b"}))
    message = found.choices[0].message
    assert (message.content, message.model_extra) == ("Yes", {"reasoning_content": "Hm"})
    assert message.tool_calls is not None and message.tool_calls[0].id == "a"
    assert found.choices[0].finish_reason == "tool_calls"
    assert found.id == f"chatcmpl-{now.job.id}" and found.model == "m"
    assert found.usage is not None and found.usage.total_tokens == 7
    assert "ktjob" not in (found.model_extra or {})


def test_what_the_server_left_out_is_filled_in_and_said(state: StateDir) -> None:
    """Clients fail without a usage, and know no other reasons."""
    now = ended(state, [("answer", "Yes")], finish_reason="unknown", warning="incomplete?")
    found = ChatCompletion.model_validate(completion.body(now))
    assert found.usage is not None and found.usage.prompt_tokens == 7
    assert found.choices[0].finish_reason == "stop"
    assert found.model_extra is not None
    assert found.model_extra["ktjob"]["warning"] == "incomplete?"
    assert found.model_extra["ktjob"]["usage"].startswith("estimated")


def test_an_answer_of_nothing_but_thoughts_is_an_answer(state: StateDir) -> None:
    """The server gave it: whoever asked sees that the limit was too low."""
    now = ended(state, [("reasoning", "Hm")], "empty_answer", finish_reason="length")
    assert now.is_answered
    found = completion.body(now)
    assert found["choices"][0]["message"]["reasoning_content"] == "Hm"
    assert found["choices"][0]["finish_reason"] == "length"
    assert not ended(state, [("answer", "Y")], "stream_cut").is_answered
