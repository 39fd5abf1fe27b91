"""The embedded server: a real small model for a machine without a GPU.

It serves SmolLM2-135M-Instruct on llama.cpp, from the prebuilt `xllamacpp` wheel. It is only a
demonstration: the model writes fluently but invents facts. Callers label its text (`NOTICE`).
"""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from jobs import extras, private_folder, program
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
"""Time between SIGTERM and SIGKILL: SIGTERM with a request in flight once hung for minutes."""
START_SECONDS = 120.0

ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
"""Without these, decode fell to 0.4 tokens/s whenever another process occupied a core."""


def is_installed() -> bool:
    """Whether the `embedded` extra is installed. Imports nothing."""
    return importlib.util.find_spec("xllamacpp") is not None


def ensure_up(
    folder: Path, cache: Path, on_progress: weights.Progress, idle_seconds: float = IDLE_SECONDS
) -> RunningServer:
    """The running embedded server; started first if none runs.

    Several processes may call this simultaneously; one of them starts the server. Raises
    `EmbeddedNotInstalled`, `WeightsUnavailable` and `ServerDidNotStart`.
    """
    files = ServerFiles(folder)
    running = running_note.read(files)
    if running is not None:
        return running
    if not is_installed():
        raise EmbeddedNotInstalled(
            "the embedded server is not installed. "
            f"Install it with: {extras.command('embedded')} (or name a server with --server URL)"
        )
    private_folder.make(folder)
    lock = identity.hold(files.starting_lock, weights.LOCK_SECONDS)
    if lock is None:
        raise ServerDidNotStart(
            "another process is still starting the embedded server after "
            f"{weights.LOCK_SECONDS:,.0f} s. See its log, {files.log}, then try again"
        )
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
        *program.command("server_bundle.embedded.process"),
        *("--folder", str(files.folder), "--weights", str(model)),
        *("--idle-seconds", str(idle_seconds)),
    ]
    try:
        detach.spawn(
            command,
            log=files.log,
            cwd=files.folder,
            extra_env=ENVIRONMENT,
            ready_seconds=START_SECONDS,
        )
    except DetachFailed as error:
        raise ServerDidNotStart(str(error)) from error
    running = running_note.read(files)
    if running is None:
        raise ServerDidNotStart(
            f"the embedded server ended right after its start. Its log, {files.log}, "
            f"ends with:\n{detach.tail(files.log)}"
        )
    return running


def status(folder: Path) -> RunningServer | None:
    """The running embedded server, if any."""
    return running_note.read(ServerFiles(folder))


def down(folder: Path, on_wait: Callable[[], None] = lambda: None) -> RunningServer | None:
    """Stop the embedded server and return its record; None when none ran.

    It sends SIGTERM, waits up to `STOP_SECONDS`, then sends SIGKILL: only to the process that holds
    the server's lock.
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
        time.sleep(0.05)  # no event reports the end of a process that is not a child
    files.record.unlink(missing_ok=True)
    return running
