"""Limit the queries that a server gets: one at a time from here, and few that nobody waits for.

sglang-kt answers /server_info and /v1/loads between two chunks, and keeps a query whose client has
gone (tokenizer_communicator_mixin.py:96): commands that query and leave would pile them up.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from jobs import private_folder
from jobs.errors import StoreUnusable
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from ktclient.servers.poll_lease import key_of

PAUSE_SECONDS = 60.0
"""After an unanswered query; doubled after each further one. A chunk of the guide's deployment
takes 7 to 13 s, so by then the server has processed the last one."""
LONGEST_PAUSE_SECONDS = 3600.0

Answer = TypeVar("Answer")


def run_limited(
    state: StateDir,
    url: str,
    run: str | None,
    question: Callable[[], tuple[Answer, bool]],
    *,
    is_patient: bool,
) -> Answer | None:
    """The result of `question`, which also returns whether it was answered. None, without a query,
    while another process here queries this server, and for a while after an unanswered query,
    unless `is_patient`. `run` identifies the server's run: a new run has no old queries. Without a
    state directory nothing is limited."""
    path = state.question_lock(key_of(url))
    try:
        state.refuse_unsafe()
        private_folder.make_one(path.parent)
        lock = identity.hold(path)
    except (OSError, StoreUnusable):  # no place to store the count
        return question()[0]
    if lock is None:
        return None
    try:
        vain, pause = _left_behind(path, run)
        if pause > 0 and not is_patient:
            return None
        _write(lock, vain + 1, run)  # before the query: a process killed during it has left one
        answer, was_answered = question()
        if was_answered:
            _write(lock, 0, run)
        return answer
    finally:
        lock.release()


def _write(lock: identity.HeldLock, vain: int, run: str | None) -> None:
    with contextlib.suppress(OSError):
        lock.sign(vain=vain, at=time.monotonic(), run=run)


def _left_behind(path: Path, run: str | None) -> tuple[int, float]:
    """Unanswered queries since the last answer, and seconds to wait before the next."""
    try:
        noted = json.loads(path.read_text())
        vain, at = int(noted["vain"]), float(noted["at"])
        is_of_now = noted["boot_id"] == identity.boot_id() and noted["run"] == run
    except (OSError, ValueError, TypeError, KeyError):
        return 0, 0.0
    if vain <= 0 or not is_of_now:
        return 0, 0.0
    pause = min(LONGEST_PAUSE_SECONDS, PAUSE_SECONDS * 2.0 ** min(vain - 1, 10))
    return vain, at + pause - time.monotonic()
