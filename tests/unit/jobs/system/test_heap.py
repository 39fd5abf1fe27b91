"""Freed memory goes back to the kernel."""

from __future__ import annotations

import subprocess
import sys

MEASURED = """
import sys
from pathlib import Path
from threading import Thread
from jobs.system import heap

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def work():  # pieces that are too small for mappings of their own, with one in use behind them
    pieces = [bytes(20_000) for _ in range(4000)]
    used.append(bytes(20_000))

used = []
if sys.argv[1] == "small":
    heap.keep_small()
before = resident()
threads = [Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if sys.argv[1] == "small":
    heap.give_back()
print(resident() - before)
"""


def kept(how: str) -> int:
    """Bytes that a process keeps of 320 MB that its threads have freed."""
    argv = [sys.executable, "-c", MEASURED, how]
    return int(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def test_threads_give_back_what_they_have_freed() -> None:
    assert kept("small") < 20_000_000 < kept("as usual")
