"""Detached fetches: their start, `--status` and `--stop`."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.store.state_dir import StateDir
from ktclient.cli import exit_codes
from ktclient.cli.render import output, terminal_text, units
from ktclient.config import settings as config
from ktclient.config.settings import Settings
from server_bundle.errors import FetchFailed
from server_bundle.transfers.size import in_size

if TYPE_CHECKING:
    from server_bundle.weights.fetch import Work
    from server_bundle.weights.runs import Run, RunFiles

_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "MODELSCOPE_API_TOKEN")
"""Passed to the detached process by its environment: other children get no secret."""
_READY_SECONDS = 60.0


def folder(state: StateDir) -> Path:
    """Where the records of fetches are."""
    return state.root / "fetches"


def detach(files: RunFiles, work: Work, token: str | None, as_json: bool) -> int:
    """Start the detached process and say how to follow it. Raises `DetachFailed`."""
    from jobs import program
    from jobs.processes import detach as detaching
    from server_bundle.weights import runs

    # The record is that of the new revision already, so the process has nothing to ask the hub.
    runs.write_request(files, dataclasses.replace(work.request, update=False))
    environ = config.environment()
    detaching.spawn(
        [*program.command("server_bundle.weights.detached"), "--folder", str(files.folder)],
        log=files.log,
        cwd=files.folder,
        extra_env={name: environ[name] for name in _TOKENS if token and name in environ},
        ready_seconds=_READY_SECONDS,
    )
    to = shlex.quote(str(work.request.to))
    if as_json:
        run = runs.run_of(files.folder.parent, work.request.to)
        output.print_data(json.dumps(None if run is None else dataclasses.asdict(run)))
    else:
        output.note(
            f"fetching in the background. Look: ktserver fetch --status. Stop: ktserver fetch "
            f"--stop --to {to}. Log: {files.log}"
        )
    return exit_codes.SUCCEEDED


def show(settings: Settings, as_json: bool) -> int:
    """All fetches of this user."""
    from server_bundle.weights import runs

    found = runs.all_of(folder(settings.state))
    if as_json:
        output.print_data(json.dumps([dataclasses.asdict(one) for one in found]))
    elif not found:
        output.note("no fetch yet: ktserver fetch MODEL")
    for one in found if not as_json else []:
        output.print_data("\n".join(terminal_text.safe(line) for line in _lines(one)))
    return exit_codes.SUCCEEDED


def _lines(run: Run) -> list[str]:
    share = f"{in_size(run.done)} of {in_size(run.total)}" if run.total else "no byte yet"
    line = f"{run.model}  {run.state}  {share}, {run.files_done} of {run.files} files"
    if run.rate:
        line += f"  {in_size(run.rate)}/s"
    if run.left is not None and run.left > 0:
        line += f"  {units.duration(run.left)} left"
    lines = [line, f"  to {run.to}"]
    if run.message:
        lines.append(f"  {run.message}")
    if run.pid is not None:
        lines.append(f"  process {run.pid}, since {units.local_time(run.began)}")
    return lines


def stop(to: Path) -> int:
    """Ask a fetch to end, and wait for that. Raises `FetchFailed` if it does not."""
    from server_bundle.transfers import run
    from server_bundle.weights import fetch

    if run.stop(fetch.lock_of(to), f"the fetch into {to}", FetchFailed):
        output.note(f"stopped; what has arrived in {to} is kept")
    else:
        output.note(f"no fetch into {to} is running")
    return exit_codes.SUCCEEDED
