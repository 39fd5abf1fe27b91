"""Work for the queue's tests: waits for files instead of for a server. Run by real workers."""

from __future__ import annotations

import json
import time
from pathlib import Path

from jobs.errors import KtjobError, WorkCancelled
from jobs.performing import Performing


def perform(performing: Performing) -> None:
    """Follow the job's spec: say something, wait for a file, then end as told."""
    spec = json.loads(performing.spec)
    if "acks" in spec:
        _tell(spec["acks"], performing, "begin")
    performing.enter("working")
    performing.output(spec.get("say", ""))
    while "until" in spec and not Path(spec["until"]).exists():
        if not performing.beat():
            raise WorkCancelled("cancelled by the test")
        time.sleep(0.01)
    hoard: list[bytearray] = []
    while spec.get("hog"):  # until the kernel ends it
        hoard.append(bytearray(b"x" * 5_000_000))
    performing.output(spec.get("then", ""))
    for number in range(spec.get("acknowledge", 0)):
        performing.output(f"{number} ")
        while not performing.flush():
            time.sleep(0.05)
        _tell(spec["acks"], performing, str(number))  # only now is it promised
    if "fail" in spec:
        raise KtjobError(spec["fail"])
    if "bug" in spec:
        raise ZeroDivisionError(spec["bug"])


def _tell(path: str, performing: Performing, what: str) -> None:
    """One line, whole or not at all, in the order of all processes."""
    with Path(path).open("a") as file:
        file.write(f"{performing.job_id} {performing.number} {what}\n")
