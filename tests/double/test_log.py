"""The server's own log lines, against lines of the real logs with their numbers taken out."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest
from fake_sglang.asking import DATA, FLAVOURS, RECORDED, ask, chat
from fake_sglang.process import fake_sglang

RATE = ("--tokens-per-char", "1", "--rate", "590:320@600000", "--metrics")
STAMP = re.compile(r"^\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?: TP\d+)?\] ")


def form(line: str) -> str:
    """The line without its time and numbers."""
    return re.sub(r"\d+(\.\d+)?", "N", STAMP.sub("", line))


def real_lines(flavour: str) -> list[str]:
    path = DATA / RECORDED[flavour].replace(".jsonl", ".log")
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_lines_are_those_of_the_real_log(tmp_path: Path, flavour: str) -> None:
    """From the weights over a chat to the answer: each form that was recorded, and in its order."""
    log = tmp_path / "log"
    options = ("--flavour", flavour, *RATE, "--speed", "2000", "--log", str(log))
    words = ("--answer", " ".join(["word"] * 90))
    with fake_sglang(tmp_path, *options, *words) as server:
        assert chat(server, "x" * 20_000, max_tokens=85).reason == "length"
        ask(server, "/health")
    ours = log.read_text(encoding="utf-8").splitlines()
    forms = {form(line) for line in ours}
    unwell = 'INFO:     N.N:N - "GET /health HTTP/N" N Service Unavailable'
    missing = {form(line) for line in real_lines(flavour)} - forms - {unwell}
    assert not missing
    prefills = [line for line in ours if "Prefill batch" in line]
    new = [int(re.search(r"#new-token: (\d+)", line)[1]) for line in prefills[:5]]  # type: ignore[index]
    assert new == [4096, 4096, 4096, 4096, 20_000 - 4 * 4096]


def test_its_clock_runs_as_fast_as_the_server(tmp_path: Path) -> None:
    """20 minutes of prefill in a second still read as 20 minutes."""
    log = tmp_path / "log"
    options = (*RATE, "--speed", "1500", "--log", str(log), "--pool", "964864")
    with fake_sglang(tmp_path, *options) as server:
        assert chat(server, "x" * 600_000, max_tokens=2).reason == "length"
    lines = [line for line in log.read_text().splitlines() if "Prefill batch" in line]
    assert len(lines) == 147
    first, last = (datetime.fromisoformat(STAMP.match(s)[1]) for s in (lines[0], lines[-1]))  # type: ignore[index]
    assert (last - first).total_seconds() > 15 * 60
    usage = re.search(r"token usage: ([\d.]+)", lines[-1])
    assert usage and usage[1] == "0.62"


def test_deepseek_on_two_gpus(tmp_path: Path) -> None:
    """Lines repeated per rank, the hybrid pool's usage, pages of 256."""
    log = tmp_path / "log"
    options = (*RATE, "--speed", "1000", "--log-ranks", "2", "--log-hybrid", "--log", str(log))
    with fake_sglang(tmp_path, *options) as server:
        chat(server, "x" * 5000)
    text = log.read_text()
    assert "DSv4 pool sizes: full=964864, swa=96486, " in text
    for rank in (0, 1):
        wanted = rf" TP{rank}\] Prefill batch, #new-seq: 1, #new-token: 1024, #cached-token: 0, "
        assert re.search(wanted + r"full token usage: 0.01, swa token usage: 0.05, ", text)
    assert text.count("max_total_num_tokens=964864") == 1
