"""The process of `ktserver fetch --detach`: it outlives the terminal, and writes to its log."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from jobs import clock, known_secrets
from jobs.errors import KtjobError
from jobs.processes import detach
from server_bundle.weights import fetch, perform, runs
from server_bundle.weights.hubs import connect
from server_bundle.weights.meter import Reading, Stopped
from server_bundle.weights.runs import RunFiles

READY = "fetching"
_LOG_SHARE = 0.01
"""A line in the log for each hundredth part."""


def main(argv: Sequence[str]) -> None:
    """Read the request and fetch. The exit status is 0, or 1 with the reason in the log."""
    parser = argparse.ArgumentParser(prog="ktserver fetch --detach")
    parser.add_argument("--folder", type=Path, required=True)
    files = RunFiles(parser.parse_args(argv).folder)
    try:
        _fetch(files)
    except Stopped:
        _say("stopped on request; what has arrived is kept")
    except KtjobError as error:
        _say(known_secrets.hide_foreign(str(error)))
        raise SystemExit(1) from None


def _fetch(files: RunFiles) -> None:
    request = runs.request_in(files)
    hub = connect.connect(request.source)
    work = fetch.prepare(request, lambda: hub)
    lock = fetch.begin(work, is_private=False)  # the folder exists
    log = _Log()
    detach.say_ready(READY)
    perform.perform(work, hub, lock, files, log.show, _say)
    _say(f"whole and checked: {work.record.name} in {request.to}")


class _Log:
    def __init__(self) -> None:
        self._step = -1

    def show(self, reading: Reading) -> None:
        step = int(reading.done / reading.total / _LOG_SHARE) if reading.total else 0
        if step != self._step:
            self._step = step
            _say(
                f"{reading.done:,} of {reading.total:,} bytes, {reading.files_done} of "
                f"{reading.files} files, {reading.rate / 1e6:,.1f} MB/s"
            )


def _say(words: str) -> None:
    print(f"{clock.now()} {words}", flush=True)
