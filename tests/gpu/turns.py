"""A plain openai client and ktjob on one server, and what is said of two lists of seconds."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from following import Followed

from ktclient import Job

ROOT = Path(__file__).parents[2]
KTJOB = [sys.executable, "-m", "ktclient"]
INSTRUCTION = "\n\n请总结上文。"
MAX_TOKENS = 16

Row = tuple[str, str, str]


def plain(url: str, document: Path) -> tuple[float, float]:
    """Seconds to the first token, from the call and from the start of the program."""
    script = str(ROOT / "tests" / "gpu" / "plain.py")
    command = [sys.executable, script, url, str(document), INSTRUCTION, str(MAX_TOKENS)]
    began = time.monotonic()
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    line = running.stdout.readline()
    whole = time.monotonic() - began
    if running.wait() or not line:
        raise SystemExit("the peer failed")
    return float(line), whole


def submit(url: str, document: Path) -> Followed:
    """One job; not waited for."""
    command = [*KTJOB, "submit", str(document), "--summarize", "--server", url]
    command += ["--max-tokens", str(MAX_TOKENS)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Followed(Job(done.stdout.split()[0]))


def forecasts(followed: Followed, what: str, least_tokens: int) -> Row:
    """How far its forecasts were off, of the whole time to the first token."""
    end = followed.end
    assert end is not None
    tokens = int(str(end.figures["prompt_tokens"]))
    if tokens < least_tokens:
        raise SystemExit(f"only {tokens:,} tokens: use a longer document")
    errors = ", ".join(
        f"at {share:.0%} {'not told' if error is None else f'{error:+.1%}'}"
        for share, error in ((share, followed.error(share)) for share in (0.2, 0.5))
    )
    before = "nothing known before"
    if (off := followed.error_before) is not None:
        before = f"predicted before it began: {off:+.1%}"
    return (f"{what}: {tokens:,} tokens, ETA error", errors, before)


def ratio(what: str, peer: list[float], ours: list[float]) -> Row:
    """Of the medians."""
    compared = statistics.median(ours) / statistics.median(peer)
    shown = " / ".join(f"{one:.2f}" for one in ours) + " s"
    against = " / ".join(f"{one:.2f}" for one in peer) + " s"
    return (what, f"{compared:.4f}x", f"ktjob {shown}; openai client {against}")
