"""The process of `ktserver fetch --detach`: it outlives the terminal, and writes to its log."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from jobs.processes import detach
from server_bundle.transfers import run
from server_bundle.transfers.progress import Progress
from server_bundle.weights import fetch, runs
from server_bundle.weights.hubs import connect
from server_bundle.weights.runs import RunFiles

READY = "fetching"
_LOG_SHARE = 0.01
"""A line in the log for each hundredth part."""


def main(argv: Sequence[str]) -> None:
    """Read the request and fetch. The exit status is 0, or 1 with the reason in the log."""
    parser = argparse.ArgumentParser(prog="ktserver fetch --detach")
    parser.add_argument("--folder", type=Path, required=True)
    files = RunFiles(parser.parse_args(argv).folder)
    run.to_log(lambda: _fetch(files))


def _fetch(files: RunFiles) -> None:
    request = runs.request_in(files)
    hub = connect.connect(request.source)
    work = fetch.prepare(request, lambda: hub)
    lock = fetch.begin(work, is_private=False)  # the folder exists
    detach.say_ready(READY)
    runs.perform(work, hub, lock, files, _Log().show, run.say)
    run.say(f"whole and checked: {work.record.name} in {request.to}")


class _Log:
    def __init__(self) -> None:
        self._step = -1

    def show(self, progress: Progress) -> None:
        step = int(progress.done / progress.total / _LOG_SHARE) if progress.total else 0
        if step != self._step:
            self._step = step
            run.say(
                f"{progress.done:,} of {progress.total:,} bytes, {progress.files_done} of "
                f"{progress.files} files, {progress.rate / 1e6:,.1f} MB/s"
            )
