"""The peer: what anyone writes with the openai client, with its time-outs and retries set right.

Prints the seconds from the call to the first token.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from openai import OpenAI


def main() -> None:
    """URL DOCUMENT INSTRUCTION MAX_TOKENS."""
    url, document, instruction, max_tokens = sys.argv[1:]
    text = Path(document).read_text(encoding="utf-8") + instruction
    client = OpenAI(base_url=f"{url}/v1", api_key="none", timeout=3600, max_retries=0)
    began = time.monotonic()
    stream = client.chat.completions.create(
        model="default",
        messages=[{"role": "user", "content": text}],
        max_tokens=int(max_tokens),
        stream=True,
    )
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            print(time.monotonic() - began, flush=True)
            break
    for _ in stream:  # to its end: the next one finds the server idle
        continue


if __name__ == "__main__":
    main()
