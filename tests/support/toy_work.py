"""Work for the queue's tests: waits for files instead of for a server. Run by real workers."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobs.errors import KtjobError, WorkCancelled
from jobs.model import NewJob
from jobs.store.outbox import Notification
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker import conductor
from jobs.worker.attempt import RunningAttempt


def may_share(spec: str) -> bool:
    """Whether the job's spec says that it may share a worker."""
    return bool(json.loads(spec).get("shared"))


def perform(attempt: RunningAttempt) -> None:
    """Follow the job's spec: say something, wait for a file, then end as told."""
    spec = json.loads(attempt.spec)
    if "acks" in spec:
        _tell(spec["acks"], attempt, "begin")
    if "parts" in spec:
        _conduct(attempt, spec)
        return
    attempt.enter_phase("working")
    attempt.output(spec.get("say", ""))
    print(spec.get("print", ""), end="", file=sys.stderr)
    while "until" in spec and not Path(spec["until"]).exists():
        if not attempt.heartbeat():
            raise WorkCancelled("cancelled by the test")
        time.sleep(0.01)
    hoard: list[bytearray] = []
    while spec.get("hog"):  # until the kernel ends it
        hoard.append(bytearray(b"x" * 5_000_000))
    attempt.output(spec.get("then", ""))
    for number in range(spec.get("acknowledge", 0)):
        attempt.output(f"{number} ")
        while not attempt.flush():
            time.sleep(0.05)
        _tell(spec["acks"], attempt, str(number))  # only now is it promised
    if "fail" in spec:
        raise KtjobError(spec["fail"])
    if "bug" in spec:
        raise ZeroDivisionError(spec["bug"])


def _conduct(attempt: RunningAttempt, spec: dict[str, Any]) -> None:
    """Have the parts done at once, then pass the last one's words on, or say how they ended."""
    attempt.enter_phase("parts")
    names = [str(number) for number in range(1, len(spec["parts"]) + 1)]
    part = NewJob("pool", "", b"", "part", 1, 2, attempt.job.priority)
    parts = [
        replace(
            part,
            spec=json.dumps(one),
            document=name.encode(),
            parent=attempt.job_id,
            part=name,
        )
        for name, one in zip(names, spec["parts"], strict=True)
    ]
    conductor.add(attempt, parts)
    if spec.get("tolerant"):
        ended = conductor.wait_for_parts(attempt, tolerant=True)
        attempt.output(" ".join(part.state for part in ended))
    elif spec.get("pass_on"):
        conductor.stream_part_output(attempt, names[-1])
    else:
        ended = conductor.until_succeeded(attempt)
        attempt.output("".join(attempt.parts.answer(part) for part in ended))


def tell(state: StateDir, telling: Notification) -> None:
    """How a job has ended, as a line of the file that is the target."""
    with Store.open(state) as store:
        job = store.job(telling.job_id)
    with Path(telling.target).open("a") as file:
        file.write(f"{job.id} {job.state}\n")


def _tell(path: str, attempt: RunningAttempt, what: str) -> None:
    """One line, whole or not at all, in the order of all processes."""
    with Path(path).open("a") as file:
        file.write(f"{attempt.job_id} {attempt.number} {what}\n")
