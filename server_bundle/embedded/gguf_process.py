"""A server of any GGUF file: `python program.py server_bundle.embedded.gguf_process --gguf FILE …`.

`ktserver up --gguf` starts it under the supervisor. llama.cpp writes its log to stderr; the lines
about the start are this module's (server_bundle/logs/start_stages.py reads them).
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import xllamacpp

from server_bundle.embedded import gguf, parameters
from server_bundle.embedded.parameters import GgufOptions

LOOK_SECONDS = 0.2
"""How often a server that drains is asked whether it is done."""


def serve(file: Path, options: GgufOptions) -> None:
    """Serve until SIGTERM or SIGINT, then until no request is left. The supervisor ends one that
    takes too long."""
    leave = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leave.set())
    _say(f"{gguf.LOADING} {file}")
    try:
        server = xllamacpp.Server(parameters.gguf(file, options))
    except RuntimeError as error:  # its reason is in the lines that llama.cpp has logged
        _say(
            f"llama.cpp could not load {file}: {error} The lines above say why. A file that was "
            "fetched in part is shorter than on its hub: fetch it again"
        )
        sys.exit(1)
    _say(f"{gguf.READY} at {server.listening_address}")
    leave.wait()
    while "requests_processing 0" not in server.handle_metrics():
        threading.Event().wait(LOOK_SECONDS)
    _say("exiting: stopped by a signal")
    # Do not delete the server object: with a request in flight that can hang while holding the GIL.
    os._exit(0)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(argv: Sequence[str]) -> None:
    """Parse the command line that `gguf.plan` writes, and serve."""
    parser = argparse.ArgumentParser(prog="server_bundle.embedded.gguf_process")
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--context", type=int)
    parser.add_argument("--gpu-layers", type=int)
    parser.add_argument("--parallel", type=int, required=True)
    parser.add_argument("--key-file", type=Path)
    asked = parser.parse_args(argv)
    key = None if asked.key_file is None else gguf.key_in(asked.key_file)
    options = GgufOptions(
        asked.name,
        asked.host,
        asked.port,
        asked.context,
        asked.gpu_layers,
        asked.parallel,
        key,
    )
    serve(asked.gguf, options)


if __name__ == "__main__":
    main(sys.argv[1:])
