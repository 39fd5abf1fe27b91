"""What a user of openai-python does, sync and async: `python openai_python.py URL`.

Prints one JSON object: what each step gave. Bodies and events are validated by openai's own types
and by `openresponses-types`, both of which are stricter than the client.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import openai
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from openresponses_types import types as open_responses
from pydantic import BaseModel, TypeAdapter

URL = sys.argv[1]
MODEL = "DeepSeek-V4-Flash"
HELLO: Any = [{"role": "user", "content": "hello"}]
LOOK_SECONDS = 0.05
EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)

found: dict[str, object] = {}
client = openai.OpenAI(base_url=f"{URL}/v1", api_key="none")
eager = openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key="none")


class Person(BaseModel):
    name: str


def chats() -> None:
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
    plain = ChatCompletion.model_validate_json(raw.text)
    assert plain.usage is not None
    found["chat plain"] = plain.choices[0].message.content
    found["chat usage"] = plain.usage.completion_tokens > 0 and plain.usage.prompt_tokens > 0
    found["chat named"] = raw.headers["x-request-id"].startswith("req_")
    options: Any = {"stream_options": {"include_usage": True}}
    with client.chat.completions.with_streaming_response.create(
        model=MODEL, messages=HELLO, stream=True, **options
    ) as answer:
        data = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
    assert data.pop() == "[DONE]"
    chunks = [ChatCompletionChunk.model_validate_json(one) for one in data]
    found["chat raw stream"] = _text(chunks)
    found["chat one id"] = len({one.id for one in chunks}) == 1
    found["chat usage last"] = chunks[-1].usage is not None and chunks[-1].choices == []
    found["chat stream"] = _text(
        client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    )
    with client.chat.completions.stream(model=MODEL, messages=HELLO) as stream:
        found["chat helper"] = stream.get_final_completion().choices[0].message.content
    parsed = client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Person)
    found["chat parsed"] = str(parsed.choices[0].message.parsed)


def _text(chunks: Iterable[ChatCompletionChunk]) -> str:
    return "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)


def responses() -> None:
    raw = client.responses.with_raw_response.create(
        model=MODEL, input="hello", metadata={"a": "b"}, instructions="Be brief."
    )
    Response.model_validate_json(raw.text)
    open_responses.ResponseResource.model_validate_json(raw.text)
    first = raw.parse()
    found["response plain"] = first.output_text
    found["response metadata"] = first.metadata
    with client.responses.with_streaming_response.create(
        model=MODEL, input="hello", stream=True
    ) as answer:
        data = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
    assert data.pop() == "[DONE]"
    events = [EVENT.validate_json(one) for one in data]
    numbers = [one.sequence_number for one in events]
    found["response numbers"] = numbers == list(range(len(numbers)))
    found["response ends"] = [events[0].type, events[-1].type]
    with client.responses.stream(model=MODEL, input="hello") as stream:
        found["response helper"] = stream.get_final_response().output_text
    parsed = client.responses.parse(model=MODEL, input="hello", text_format=Person)
    found["response parsed"] = str(parsed.output_parsed)
    more = client.responses.create(model=MODEL, input="more", previous_response_id=first.id)
    found["response follows"] = more.previous_response_id == first.id
    items = client.responses.input_items.list(more.id, order="asc").data
    found["response input"] = [one.type for one in items]
    client.responses.delete(first.id)
    found["response deleted"] = _refused(lambda: client.responses.retrieve(first.id))


def background() -> None:
    """Started and left; read in pieces; cancelled."""
    stream = client.responses.create(model=MODEL, input="later", background=True, stream=True)
    seen, response_id = [], ""
    for event in stream:
        seen.append(event.sequence_number)
        if event.type == "response.created":
            response_id = event.response.id
        if event.type == "response.output_text.delta":
            break
    stream.close()
    rest = client.responses.retrieve(response_id, stream=True, starting_after=seen[-1])
    numbers = [*seen, *(event.sequence_number for event in rest)]
    found["background resumed"] = numbers == list(range(len(numbers)))
    again = [one.sequence_number for one in client.responses.retrieve(response_id, stream=True)]
    found["background replayed"] = again == numbers
    one = client.responses.create(model=MODEL, input="polled", background=True)
    found["background at once"] = one.status in ("queued", "in_progress")
    while one.status in ("queued", "in_progress"):
        time.sleep(LOOK_SECONDS)
        one = client.responses.retrieve(one.id)
    found["background polled"] = [one.status, one.output_text]
    late = client.responses.create(model=MODEL, input="x" * 200_000, background=True)
    late = client.responses.cancel(late.id)
    while late.status in ("queued", "in_progress"):
        time.sleep(LOOK_SECONDS)
        late = client.responses.retrieve(late.id)
    found["background cancelled"] = late.status
    found["background cancelled twice"] = client.responses.cancel(late.id).status


def batches() -> None:
    lines = [
        {
            "custom_id": f"n{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": MODEL, "messages": HELLO, "max_tokens": 50},
        }
        for number in range(3)
    ]
    text = "\n".join(map(json.dumps, lines)).encode()
    file = client.files.create(file=("in.jsonl", io.BytesIO(text)), purpose="batch")
    found["file"] = [file.filename, file.bytes == len(text), file.purpose]
    found["file content"] = client.files.content(file.id).content == text
    found["file listed"] = file.id in [one.id for one in client.files.list()]
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    while batch.status in ("validating", "in_progress", "finalizing"):
        time.sleep(LOOK_SECONDS)
        batch = client.batches.retrieve(batch.id)
    assert batch.output_file_id and batch.request_counts
    found["batch"] = [batch.status, batch.request_counts.completed, batch.request_counts.failed]
    out = client.files.content(batch.output_file_id).text.splitlines()
    bodies = [json.loads(line)["response"]["body"] for line in out]
    found["batch answers"] = len([ChatCompletion.model_validate(one) for one in bodies])
    found["file deleted"] = client.files.delete(file.id).deleted


def errors() -> None:
    long: Any = [{"role": "user", "content": "word " * 1_200_000}]
    calls: dict[str, Callable[[], object]] = {
        "too long": lambda: client.chat.completions.create(model=MODEL, messages=long),
        "bad field": lambda: client.chat.completions.create(
            model=MODEL,
            messages=HELLO,
            temperature="hot",  # type: ignore[call-overload]
        ),
        "no model": lambda: client.models.retrieve("none/such"),
        "no response": lambda: client.responses.retrieve("resp_nothing"),
        "no file": lambda: client.files.retrieve("file-nothing"),
        "no batch": lambda: client.batches.retrieve("batch_nothing"),
    }
    for name, call in calls.items():
        found[f"error {name}"] = _refused(call)


def _refused(call: Callable[[], object]) -> list[object]:
    try:
        call()
    except openai.APIStatusError as error:
        assert error.request_id
        return [type(error).__name__, error.code, error.param]
    return ["no error"]


def retries() -> None:
    """A client that gives up after a second, and asks again by itself: one prefill."""
    hasty = openai.OpenAI(base_url=f"{URL}/v1", api_key="none", timeout=1.0, max_retries=100)
    text = "slow " * 2_000
    messages: Any = [{"role": "user", "content": text}]
    answer = hasty.chat.completions.create(model=MODEL, messages=messages)
    found["retried chat"] = answer.choices[0].message.content


async def async_ones() -> None:
    stream = await eager.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    texts = [one.choices[0].delta.content or "" async for one in stream if one.choices]
    found["async chat"] = "".join(texts)
    async with eager.responses.stream(model=MODEL, input="hello") as helper:
        found["async response"] = (await helper.get_final_response()).output_text
    many = await asyncio.gather(
        *(eager.chat.completions.create(model=MODEL, messages=HELLO) for _ in range(4))
    )
    found["async together"] = len({one.id for one in many})


if __name__ == "__main__":
    steps: dict[str, Callable[[], object]] = {
        "chats": chats,
        "responses": responses,
        "background": background,
        "batches": batches,
        "errors": errors,
        "retries": retries,
        "async": lambda: asyncio.run(async_ones()),
    }
    for name in sys.argv[2:] or steps:
        steps[name]()
    print(json.dumps(found))
