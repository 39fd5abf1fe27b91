"""What a user of LangChain does: `python langchain_openai_chat.py URL`. Prints one JSON object.

Its async stream gives up when no chunk that it can parse comes for `stream_chunk_timeout` seconds,
120 unless set; comments do not count. Here it is shorter than the silence of the prefill.
"""

from __future__ import annotations

import asyncio
import json
import sys

from langchain_core.exceptions import ContextOverflowError
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

URL = sys.argv[1]
found: dict[str, object] = {}


class Person(BaseModel):
    name: str


def model(**more: object) -> ChatOpenAI:
    return ChatOpenAI(
        model="DeepSeek-V4-Flash",
        base_url=f"{URL}/v1",
        api_key=SecretStr("none"),
        **more,  # type: ignore[arg-type]
    )


def sync_ones() -> None:
    answer = model().invoke("hello")
    found["invoke"] = answer.content
    found["usage"] = answer.usage_metadata is not None
    found["stream"] = "".join(str(one.content) for one in model().stream("hello"))
    structured = model().with_structured_output(Person, method="json_schema").invoke("who?")
    found["structured"] = str(structured)
    found["responses"] = model(use_responses_api=True).invoke("hello").text


def too_long() -> None:
    """An agent shortens its history after this error."""
    try:
        model().invoke("word " * 1_200_000)
    except ContextOverflowError as error:
        found["too long"] = type(error).__name__


async def async_ones() -> None:
    hasty = model(stream_chunk_timeout=float(sys.argv[2]))
    slow = "slow " * 2_000
    found["async"] = "".join([str(one.content) async for one in hasty.astream(slow)])


if __name__ == "__main__":
    sync_ones()
    too_long()
    asyncio.run(async_ones())
    print(json.dumps(found))
