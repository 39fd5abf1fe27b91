"""The embedded server's own process: `python -m server_bundle.embedded.process`.

It holds the server's lock while it lives, binds a free port of 127.0.0.1, writes its record, and
exits on SIGTERM or after a long idle time.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import xllamacpp

from jobs import clock
from jobs.processes import detach, identity
from server_bundle.embedded.server import MODEL, WINDOW
from server_bundle.launch import running_note
from server_bundle.launch.running_note import RunningServer
from server_bundle.launch.server_folder import ServerFiles

BATCH = 256
"""Prompt tokens per forward. It gives progress about every second, and an aborted request stops
within 2 s; with llama.cpp's default of 2,048 that took 21 s (measured, 2 cores)."""
LOOK_SECONDS = 5.0
"""How often the idle time is checked."""


def parameters(weights: Path) -> xllamacpp.CommonParams:
    """llama.cpp's parameters for the embedded model."""
    chosen = xllamacpp.CommonParams()
    chosen.model.path = str(weights)
    chosen.model_alias = {MODEL}
    chosen.hostnames = ["127.0.0.1"]
    chosen.port = 0
    chosen.n_ctx = WINDOW
    chosen.n_parallel = 1
    chosen.n_batch = chosen.n_ubatch = BATCH
    chosen.cpuparams.n_threads = chosen.cpuparams_batch.n_threads = _cores()
    chosen.endpoint_metrics = chosen.endpoint_slots = chosen.endpoint_props = True
    chosen.ui = False
    # The default lets any web page in the user's browser call the server.
    chosen.cors_origins, chosen.cors_origins_explicit = "http://127.0.0.1", True
    chosen.cors_credentials = False
    # Such a small model repeats itself endlessly without penalties. Of seven settings tried on six
    # texts, these looped least. Greedy, so that an example gives the same text everywhere.
    chosen.sampling.temp = 0.0
    chosen.sampling.penalty_repeat = 1.1
    chosen.sampling.penalty_last_n = 512
    chosen.sampling.dry_multiplier = 0.8
    return chosen


def _cores() -> int:
    return min(8, len(os.sched_getaffinity(0)))


class Idleness:
    """Seconds since the server last did anything, from its own counters."""

    def __init__(self, server: xllamacpp.Server) -> None:
        self._server = server
        self._last = ""
        self._busy_at = time.monotonic()

    def seconds(self) -> float:
        """Seconds since the last check that found a request running, or finished since the check
        before."""
        counters = self._server.handle_metrics()
        if counters != self._last or "requests_processing 0" not in counters:
            self._busy_at = time.monotonic()
        self._last = counters
        return time.monotonic() - self._busy_at


def serve(files: ServerFiles, weights: Path, idle_seconds: float) -> None:
    """Serve until SIGTERM or SIGINT, or until idle for `idle_seconds`."""
    lock = identity.hold(files.lock)
    if lock is None:
        raise SystemExit(f"another server holds the lock {files.lock}")
    leave = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leave.set())
    server = xllamacpp.Server(parameters(weights))
    running = RunningServer(
        url=server.listening_address,
        model=MODEL,
        window=WINDOW,
        started_at=clock.now(),
        idle_seconds=idle_seconds,
        process=identity.mine(),
        log=str(files.log),
    )
    running_note.write(files, running)
    detach.say_ready(running.url)
    idleness = Idleness(server)
    while not leave.wait(LOOK_SECONDS) and idleness.seconds() < idle_seconds:
        continue
    why = "stopped by a signal" if leave.is_set() else "idle"
    print(f"{clock.now()} exiting: {why}", file=sys.stderr)
    files.record.unlink(missing_ok=True)
    # Do not delete the server object: with a request in flight that can hang while holding the GIL.
    os._exit(0)


def main(argv: Sequence[str]) -> None:
    """Parse the command line that `embedded.ensure_up` writes, and serve."""
    parser = argparse.ArgumentParser(prog="server_bundle.embedded.process")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--idle-seconds", type=float, required=True)
    asked = parser.parse_args(argv)
    serve(ServerFiles(asked.folder), asked.weights, asked.idle_seconds)


if __name__ == "__main__":
    main(sys.argv[1:])
