"""How often the embedded model is right: ten facts of each of five texts, for docs/performance.md.

`python tests/bench/facts.py [URL]`, with the URL of a llama.cpp server; without it the embedded
server of your own ktjob is started. The questions and the right answers are in facts.toml. The same
words are sent as by `ktjob submit FILE --ask QUESTION`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import httpx2

from ktclient.config import settings
from ktclient.prompts import tasks
from server_bundle import package_data
from server_bundle.embedded import server

ROOT = Path(__file__).parents[2]
FACTS = Path(__file__).with_name("facts.toml")


def answer(url: str, text: str, question: str) -> str:
    message = tasks.message(text, tasks.task(False, question, None))
    body = {"messages": [{"role": "user", "content": message}], "max_tokens": 60}
    reply = httpx2.post(f"{url}/v1/chat/completions", json=body, timeout=600, trust_env=False)
    return str(reply.json()["choices"][0]["message"]["content"])


def main() -> None:
    given = settings.load()
    url = (
        sys.argv[1]
        if len(sys.argv) > 1
        else server.ensure_up(given.state.make_root().server, given.cache, lambda *_: None).url
    )
    right = asked = 0
    for name, facts in package_data.read(FACTS).items():
        text = (ROOT / "examples" / name).read_text(encoding="utf-8")
        found = 0
        for question, pattern in facts.items():
            said = " ".join(answer(url, text, question).split())
            is_right = re.search(pattern, said) is not None
            found += is_right
            print(f"  {'right' if is_right else 'WRONG'}  {question}  {said}", flush=True)
        print(f"{name}: {found} of {len(facts)}")
        right, asked = right + found, asked + len(facts)
    print(f"{right} of {asked}")


if __name__ == "__main__":
    main()
