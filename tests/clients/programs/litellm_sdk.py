"""What a user of litellm's SDK does: `python litellm_sdk.py URL`. Prints one JSON object.

litellm makes up the streams of models that it does not know: `register_model` tells it that this
one really streams (docs/howto/gateway.md).
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import litellm

URL = sys.argv[1]
MODEL = "openai/DeepSeek-V4-Flash"
HERE: Any = {"api_base": f"{URL}/v1", "api_key": "none"}
HELLO = [{"role": "user", "content": "hello"}]

litellm.suppress_debug_info = True
litellm.register_model(
    {
        MODEL: {
            "litellm_provider": "openai",
            "mode": "chat",
            "supports_native_streaming": True,
        }
    }
)
found: dict[str, object] = {}


def chats() -> None:
    plain: Any = litellm.completion(model=MODEL, messages=HELLO, **HERE)
    found["chat plain"] = plain.choices[0].message.content
    found["chat usage"] = plain.usage.completion_tokens > 0
    stream: Any = litellm.completion(model=MODEL, messages=HELLO, stream=True, **HERE)
    found["chat stream"] = "".join(one.choices[0].delta.content or "" for one in stream)


def responses() -> None:
    plain: Any = litellm.responses(model=MODEL, input="hello", **HERE)
    found["response plain"] = plain.output[0].content[0].text
    stream: Any = litellm.responses(model=MODEL, input="hello", stream=True, **HERE)
    events = list(stream)
    # The type of an event is an Enum here.
    kinds = [str(getattr(one.type, "value", one.type)) for one in events]
    found["response ends"] = [kinds[0], kinds[-1]]
    found["response stream"] = "".join(
        one.delta for one, kind in zip(events, kinds, strict=True) if kind.endswith("text.delta")
    )


async def async_chat() -> None:
    stream: Any = await litellm.acompletion(model=MODEL, messages=HELLO, stream=True, **HERE)
    found["async stream"] = "".join([one.choices[0].delta.content or "" async for one in stream])


def errors() -> None:
    try:
        litellm.completion(
            model=MODEL, messages=[{"role": "user", "content": "word " * 1_200_000}], **HERE
        )
    except litellm.ContextWindowExceededError as error:
        found["error too long"] = type(error).__name__
    except Exception as error:
        found["error too long"] = f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    chats()
    responses()
    asyncio.run(async_chat())
    errors()
    print(json.dumps(found))
