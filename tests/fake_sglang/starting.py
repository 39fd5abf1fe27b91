"""The start of the scripted server: its stages as logged, and what can go wrong in each.

As with the real one, the port is opened last, after everything is loaded, and a server that failed
ends itself and its children by SIGKILL (`kill_process_tree`). The children here stay behind, which
the real ones do not (PR_SET_PDEATHSIG), unless their parent's thread is what died first.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fake_sglang.hold import Hold
from fake_sglang.options import Options
from fake_sglang.serverlog import ServerLog

SHARDS = 4
OUT_OF_MEMORY = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 512.00 MiB. GPU 0 has a total "
    "capacity of 31.36 GiB of which 310.12 MiB is free."
)


class Start:
    """Stage after stage."""

    def __init__(self, options: Options, log: ServerLog) -> None:
        self._options, self._log = options, log
        self._hold = Hold(options.record / "hold-start") if options.record else None

    def loads(self) -> None:
        """Up to the port, which is not opened while there is a file `hold-start` in the record."""
        options, log = self._options, self._log
        log.weights()
        self._have_children()
        for shard in range(SHARDS if options.stage_seconds else 0):
            log.shards(shard + 1, SHARDS)
            time.sleep(options.stage_seconds / SHARDS)
        self._passes("weights", 0)
        if options.stage_seconds:
            log.ends_bar()
        log.weights_loaded()
        if options.log_hybrid and options.is_kt:
            log.experts()
        self._passes("kt")
        if options.log_hybrid:
            log.memory()
        self._passes("memory")
        log.pools()
        self._passes("pools")
        if options.log_hybrid:
            log.graphs_begin()
            self._passes("graphs")
            log.graphs_end()
        log.summary()
        if self._hold is not None:
            self._hold.wait()

    @contextmanager
    def binding(self) -> Iterator[None]:
        """uvicorn's words for a port that is taken (server.py, Server.startup)."""
        try:
            yield
        except OSError as error:
            port = self._options.port
            self._log.line(
                f"ERROR:    [Errno {error.errno}] error while attempting to bind on address "
                f"('127.0.0.1', {port}): address already in use"
            )
            raise SystemExit(1) from None

    def serves(self) -> None:
        """The port is open."""
        self._passes("port")
        self._log.ready()

    def goes_on(self) -> None:
        """After the last line of the start."""
        if self._options.flood:
            threading.Thread(target=self._flood, daemon=True).start()
        if "ready" in (self._options.die_at, self._options.hang_at):
            threading.Thread(target=self._passes, args=["ready"], daemon=True).start()

    def _passes(self, stage: str, seconds: float | None = None) -> None:
        time.sleep(self._options.stage_seconds if seconds is None else seconds)
        if self._options.hang_at == stage:
            threading.Event().wait()
        if self._options.die_at == stage:
            self._log.dies(OUT_OF_MEMORY)
            os.kill(os.getpid(), signal.SIGKILL)

    def _have_children(self) -> None:
        """With our record's folder in their command lines, by which tests find them."""
        options = self._options
        for number in range(options.children + options.strays):
            subprocess.Popen(
                [sys.executable, "-c", "import time; time.sleep(600)", str(options.record)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=number >= options.children,
            )

    def _flood(self) -> None:
        for number in range(sys.maxsize):
            self._log.line(f"flood {number:09}")
            time.sleep(1 / self._options.flood)
