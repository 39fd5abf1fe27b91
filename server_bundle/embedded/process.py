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
from server_bundle.embedded import parameters
from server_bundle.embedded.server import MODEL, WINDOW
from server_bundle.launch import running_note
from server_bundle.launch.running_note import RunningServer
from server_bundle.launch.server_folder import ServerFiles

LOOK_SECONDS = 5.0
"""How often the idle time is checked."""


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
    server = xllamacpp.Server(parameters.smollm2(weights))
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
