"""The embedded server: a real small model for a machine without a GPU.

llama.cpp by the prebuilt `xllamacpp` wheel serving SmolLM2-135M-Instruct. It is a demonstration:
fluent, thin, and it invents facts. Callers label its text as such (`NOTICE`).
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from jobs.errors import DetachFailed
from jobs.processes import detach, identity
from server_bundle.embedded import weights
from server_bundle.embedded.weights import Progress as Progress
from server_bundle.errors import EmbeddedNotInstalled, ServerDidNotStart
from server_bundle.launch import running_note
from server_bundle.launch.running_note import RunningServer
from server_bundle.launch.server_folder import ServerFiles

MODEL = "SmolLM2-135M-Instruct"
WINDOW = 8192
"""Tokens; the model's native context."""
IDLE_SECONDS = 1800.0
NOTICE = f"written by {MODEL}, a small demonstration model that invents facts"
STOP_SECONDS = 10.0
"""SIGTERM with a request in flight once hung for minutes: after this, SIGKILL."""
START_SECONDS = 120.0

_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
"""Without these, decode fell to 0.4 tokens/s whenever another process held a core."""


def is_installed() -> bool:
    """Whether the `embedded` extra is there. Loads nothing."""
    return importlib.util.find_spec("xllamacpp") is not None


def ensure_up(
    folder: Path, cache: Path, on_progress: weights.Progress, idle_seconds: float = IDLE_SECONDS
) -> RunningServer:
    """The running embedded server, started first where there is none.

    Any number of processes may ask at once; one starts it. Raises `EmbeddedNotInstalled`,
    `WeightsUnavailable` and `ServerDidNotStart`.
    """
    files = ServerFiles(folder)
    running = running_note.read(files)
    if running is not None:
        return running
    if not is_installed():
        raise EmbeddedNotInstalled(
            "the embedded server is not installed. "
            "Add it with: pip install 'ktjob[embedded]' (or name a server with --server URL)"
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = identity.hold(files.starting_lock, weights.LOCK_SECONDS)
    if lock is None:
        raise ServerDidNotStart("another process has been starting the server for too long")
    try:
        return running_note.read(files) or _start(files, cache, on_progress, idle_seconds)
    finally:
        lock.release()


def _start(
    files: ServerFiles, cache: Path, on_progress: weights.Progress, idle_seconds: float
) -> RunningServer:
    model = weights.ensure(weights.SMOLLM2, cache, on_progress)
    on_progress("starting the embedded server", 0, 1)
    if files.log.exists():
        os.replace(files.log, files.last_log)
    command = [
        *(sys.executable, "-m", "server_bundle.embedded.process"),
        *("--folder", str(files.folder), "--weights", str(model)),
        *("--idle-seconds", str(idle_seconds)),
    ]
    try:
        detach.spawn(
            command,
            log=files.log,
            cwd=files.folder,
            extra_env=_ENVIRONMENT,
            ready_seconds=START_SECONDS,
        )
    except DetachFailed as error:
        raise ServerDidNotStart(str(error)) from error
    running = running_note.read(files)
    if running is None:
        raise ServerDidNotStart(
            f"the embedded server ended as soon as it had started. Its log, {files.log}, "
            f"ends with:\n{detach.tail(files.log)}"
        )
    return running


def status(folder: Path) -> RunningServer | None:
    """The running embedded server, if any."""
    return running_note.read(ServerFiles(folder))


def down(folder: Path, on_wait: Callable[[], None] = lambda: None) -> RunningServer | None:
    """Stop the embedded server and return what was stopped; None when none ran.

    SIGTERM, a bounded wait, SIGKILL: only ever to the process that holds the server's lock.
    """
    files = ServerFiles(folder)
    running = running_note.read(files)
    if running is None:
        return None
    os.kill(running.process.pid, signal.SIGTERM)
    give_up = time.monotonic() + STOP_SECONDS
    while identity.is_held(files.lock):
        if time.monotonic() > give_up and identity.is_same_process_alive(running.process):
            os.kill(running.process.pid, signal.SIGKILL)
        on_wait()
        time.sleep(0.05)  # the end of a process that is not our child gives no event
    files.record.unlink(missing_ok=True)
    return running
