"""A real llama.cpp with the embedded model and slots of one's choice, in a process of its own.

`python llama_server.py WEIGHTS CTX SLOTS SLEEP`: prints its URL, and serves until its stdin ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CALM = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
"""Without these, it writes a token in two seconds beside another busy process."""
AUTO = -1
"""Of slots: llama-server's own default, four on one shared cache."""


@contextmanager
def llama_server(weights: Path, ctx: int, slots: int, *, sleep_seconds: int = -1) -> Iterator[str]:
    """Its URL. `ctx`: tokens of the whole context; `sleep_seconds`: idle time after which it
    unloads its model."""
    words = [str(weights), str(ctx), str(slots), str(sleep_seconds)]
    with subprocess.Popen(
        [sys.executable, __file__, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **CALM},
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            url = next(line for line in process.stdout if line.startswith("http"))
            yield url.strip()
        finally:
            process.kill()  # its destructor may hang with a request in flight


def _serve(weights: str, ctx: int, slots: int, sleep_seconds: int) -> None:
    import xllamacpp

    chosen = xllamacpp.CommonParams()
    chosen.model.path = weights
    chosen.hostnames = ["127.0.0.1"]
    chosen.port = 0
    chosen.n_ctx, chosen.n_parallel = ctx, slots
    chosen.n_batch = chosen.n_ubatch = 256
    chosen.cpuparams.n_threads = chosen.cpuparams_batch.n_threads = 1
    chosen.endpoint_slots = chosen.endpoint_props = True
    chosen.ui = False
    chosen.sleep_idle_seconds = sleep_seconds
    chosen.sampling.temp = 0.0
    server = xllamacpp.Server(chosen)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _serve(sys.argv[1], *map(int, sys.argv[2:]))
