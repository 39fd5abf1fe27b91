"""A document of more than 600,000 tokens, and a server that is silent for longer than any default
timeout: it arrives character for character, and it is asked once.

Clocks are scaled by 100 here, on both sides alike: 13 s stand for 22 minutes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support.long_document import long_document

from ktclient import submit_long

SCALE = 100
PREFILL_SECONDS = 1300 / SCALE
"""The deployment guide's 20 to 25 minutes for 600K tokens."""

DEEPSEEK_TOKENS = 676_080
SHA256 = "014147a5b7f5766ea1342c32ffcfce4045364c73fd70388eeb172d82a63a1115"
"""The document whose tokens were counted, once, with DeepSeek V4's own tokenizer.json."""


def test_it_arrives_whole_after_a_silence_that_ends_a_client_with_defaults(
    tmp_path: Path, ktjob_home: Path
) -> None:
    """With the openai client's own defaults, scaled alike, the same request is asked three times
    and never answered: so the test can fail."""
    document = long_document()
    assert hashlib.sha256(document.encode()).hexdigest() == SHA256
    assert DEEPSEEK_TOKENS > 600_000
    path = tmp_path / "book.txt"
    path.write_text(document, encoding="utf-8")
    silent = ("--prefill-seconds", str(PREFILL_SECONDS), "--answer", "全书大意。")
    with fake_sglang(tmp_path, *silent) as ours, fake_sglang(tmp_path, *silent) as theirs:
        job = submit_long(path, summarize=True, server=ours.url, timeout=3600 / SCALE)
        retries = _ask_with_defaults(theirs, document)
        assert job.result() == "全书大意。"
        (request,) = ours.requests()
        assert request["messages"][0]["content"] == document + "\n\n请总结上文。"
        assert len(theirs.requests()) == 1 + retries


def _ask_with_defaults(server: FakeServer, document: str) -> int:
    """How often openai's client asks again."""
    import openai  # half a second, for each process that collects the tests

    assert openai.DEFAULT_TIMEOUT.read is not None
    timeout = openai.DEFAULT_TIMEOUT.read / SCALE
    with (
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", timeout=timeout) as client,
        pytest.raises(openai.APITimeoutError),
    ):
        client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": document}], max_tokens=64
        )
    return openai.DEFAULT_MAX_RETRIES
