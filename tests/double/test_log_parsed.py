"""The double's log, as our parser reads it: what the product sees of DeepSeek V4 on two GPUs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from fake_sglang.asking import chat
from fake_sglang.process import fake_sglang

from server_bundle.logs import events
from server_bundle.logs.batches import PrefillBatch
from server_bundle.logs.memory import Limits, MemoryFigures, Pools
from server_bundle.logs.prefill_count import PrefillCount
from server_bundle.logs.ranks import FirstRanks


def test_a_start_and_a_prefill_on_two_gpus(tmp_path: Path) -> None:
    """Each event twice in the file and once of the first rank; pages of 256; the hybrid pool."""
    log = tmp_path / "log"
    options = ("--tokens-per-char", "1", "--rate", "590", "--speed", "2000", "--log", str(log))
    with fake_sglang(tmp_path, *options, "--log-ranks", "2", "--log-hybrid") as server:
        chat(server, "x" * 9_000)
    raws = log.read_text(encoding="utf-8").splitlines()
    first = FirstRanks()
    read = [events.read(raw) for raw in raws]
    all_of: Counter[str] = Counter()
    once: Counter[str] = Counter()
    for line, event in read:
        if event is not None:
            all_of[type(event).__name__] += 1
            once[type(event).__name__] += first.admits(line)
    assert all_of["PrefillBatch"] == 6 and once["PrefillBatch"] == 3
    assert once["Ready"] == once["Limits"] == 1 and once["StageReached"] >= 4
    found = [event for _, event in read]
    pools = next(event for event in found if isinstance(event, Pools))
    limits = next(event for event in found if isinstance(event, Limits))
    assert pools.tokens == limits.pool == 964_864 and pools.parts["swa"] == 96_486
    assert limits.window == 1_048_576 and limits.chunk == 4096
    figures = next(event for event in found if isinstance(event, MemoryFigures)).figures
    assert figures["full_token"] == 964_864 and figures["bytes_per_full_token"] == 15_955.85
    chunks = [event for event in found if isinstance(event, PrefillBatch)]
    assert {chunk.new_tokens for chunk in chunks} == {4096, 1024}  # 808 and a few, in whole pages
    assert all(chunk.usage is not None and chunk.swa_usage is not None for chunk in chunks)
    count = PrefillCount()
    for raw in raws:
        count.see(raw)
    assert count.tokens == 2 * 4096 + 1024
