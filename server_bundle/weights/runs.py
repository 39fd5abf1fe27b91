"""Fetches that this user began, one folder each in the state directory: the request, the progress,
the log. Whether one runs is known by the lock in its folder of weights.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs import clock, draft, known_secrets, parsing, private_folder
from jobs.processes import identity
from jobs.processes.identity import HeldLock
from server_bundle.errors import FetchFailed
from server_bundle.transfers import progress as progresses
from server_bundle.transfers import run
from server_bundle.transfers.progress import Progress, Record
from server_bundle.weights.fetch import Fetch, Request, Work, lock_of
from server_bundle.weights.hubs.hub import Hub
from server_bundle.weights.source import Source

_STATES = {progresses.FETCHING: "running", progresses.COMPLETE: "finished"}
"""Phases whose names people see otherwise."""
_LARGEST = 1 << 20


@dataclass(frozen=True)
class RunFiles:
    """The files of one fetch."""

    folder: Path

    @property
    def request(self) -> Path:
        return self.folder / "request.json"

    @property
    def log(self) -> Path:
        return self.folder / "fetch.log"

    def record(self, to: Path) -> Record:
        """How far the fetch into the folder `to` is."""
        return Record(self.folder / "progress.json", lock_of(to))


@dataclass(frozen=True)
class Run:
    """A fetch as people see it. Bytes; `rate` in bytes a second; `left` in seconds; times UTC.
    `message`: why it ended or what it waits for."""

    model: str
    to: str
    state: str
    began: str
    changed: str
    done: int
    total: int
    rate: float
    left: float | None
    files_done: int
    files: int
    message: str
    pid: int | None
    log: str


def files_of(runs: Path, to: Path) -> RunFiles:
    """The files of the fetch into a folder, whichever model it is."""
    name = re.sub(r"[^\w.-]", "-", to.name)[:60]
    return RunFiles(runs / f"{name}-{hashlib.sha256(str(to).encode()).hexdigest()[:8]}")


def write_request(files: RunFiles, request: Request) -> None:
    """Before a detached fetch, which reads it. Raises `OSError`."""
    private_folder.make(files.folder)
    files.record(request.to).path.unlink(missing_ok=True)
    data = {**dataclasses.asdict(request), "to": str(request.to), "began": clock.now()}
    draft.write(files.request, json.dumps(data, indent=1))


def request_in(files: RunFiles) -> Request:
    """Raises `OSError`, `ValueError`, `KeyError` and `TypeError`."""
    data = _data(files.request)
    data.pop("began")
    source = Source(**data.pop("source"))
    patterns = {
        name: None if data[name] is None else tuple(data.pop(name))
        for name in ("include", "exclude")
        if data[name] is not None
    }
    return Request(source=source, to=Path(data.pop("to")), **{**data, **patterns})


def perform(
    work: Work,
    hub: Hub,
    lock: HeldLock,
    files: RunFiles,
    show: Callable[[Progress], None],
    say: Callable[[str], None],
) -> None:
    """Fetch until all is whole, and record the progress. Releases the lock. Raises `FetchFailed`,
    `FetchRefused`, `Stopped` and `KeyboardInterrupt`."""
    record = files.record(work.request.to)
    fetch = Fetch(work, hub, lambda words: say(known_secrets.hide_foreign(words)))

    def on_look(progress: Progress) -> None:
        show(progress)
        record.show(progress)

    def all_of_it() -> str:
        fetch.run(on_look)
        return ""

    run.perform(record, lock, work.request.to, all_of_it, FetchFailed)


def all_of(runs: Path) -> list[Run]:
    """All fetches, the newest last. Never raises for a damaged one."""
    folders = sorted(runs.iterdir()) if runs.is_dir() else []
    found = [_run(RunFiles(one)) for one in folders if one.is_dir()]
    return sorted((one for one in found if one is not None), key=lambda one: one.began)


def run_of(runs: Path, to: Path) -> Run | None:
    """The fetch into one folder."""
    return _run(files_of(runs, to))


def _run(files: RunFiles) -> Run | None:
    try:
        asked = _data(files.request)
        source, to = Source(**asked["source"]), Path(asked["to"])
        holder = identity.holder(lock_of(to))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    began = str(asked.get("began", ""))
    seen = files.record(to).read() or _unwritten(holder is not None)
    message = seen.message or seen.note
    if seen.phase == progresses.CUT:
        message += (
            f": fetch again to continue (ktserver fetch {source} --to {shlex.quote(str(to))})"
        )
    return Run(
        model=str(source),
        to=str(to),
        state=_STATES.get(seen.phase, seen.phase),
        began=began,
        changed=seen.changed or began,
        done=seen.done,
        total=seen.total,
        rate=seen.rate if seen.is_running else 0.0,
        left=seen.left if seen.is_running else None,
        files_done=seen.files_done,
        files=seen.files,
        message=message,
        pid=holder.pid if holder else None,
        log=str(files.log),
    )


def _unwritten(is_running: bool) -> Progress:
    """Of a fetch that has begun, and written nothing yet."""
    return Progress() if is_running else Progress(progresses.CUT, message=progresses.KILLED)


def _data(path: Path) -> dict[str, Any]:
    data = parsing.of_json(parsing.read_text(path, _LARGEST))
    if not isinstance(data, dict):
        raise ValueError(f"{path} is damaged")
    return data
