"""The same command for a text that is too long for one request, on the small real model.

By default a short one in short parts: reading costs this model 7 ms of a core for each token.
KTJOB_LONG_SPLIT=1 has it read 20,000 tokens, which its window of 8,192 cannot hold.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

IS_LONG = bool(os.environ.get("KTJOB_LONG_SPLIT"))


@pytest.mark.timeout(900 if IS_LONG else 300)
def test_a_text_beyond_one_request_is_summarised_by_the_real_model(
    tmp_path: Path,
    ktjob_home: Path,
    ktjob_command: list[str],
    cache_env: dict[str, str],
    report: Path,
) -> None:
    """Cut by the model's own tokenizer, each part within its bound, one summary of them all."""
    text = report.read_text()
    (tmp_path / "long.txt").write_text(
        "".join(f"Chapter {number}\n\n{text}\n\n" for number in range(1, 5))
        if IS_LONG
        else text[: len(text) // 3]
    )
    options = ["--server", "embedded", "--max-tokens", "16"]
    options += [] if IS_LONG else ["--split", "1000"]
    done = subprocess.run(
        [*ktjob_command, "submit", "long.txt", "--summarize", "--wait", "--json", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "SPLIT" in done.stderr and "invents facts" in done.stderr
    told = json.loads(done.stdout)
    assert told["text"].strip() and told["figures"]["parts"] >= 2
    assert told["figures"]["prompt_tokens"] > (20_000 if IS_LONG else 1_400), "all of it was read"
    shown = subprocess.run(
        [*ktjob_command, "show", told["id"], "--json"], capture_output=True, text=True, check=True
    )
    parts = json.loads(shown.stdout)["parts"]
    assert max(part["prompt_tokens"] for part in parts) < (8_192 if IS_LONG else 1_000)
    assert [part["state"] for part in parts] == ["SUCCEEDED"] * len(parts)
