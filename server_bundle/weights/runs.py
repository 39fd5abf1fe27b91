"""Fetches that this user began, one folder each in the state directory: the request, the progress,
the log. Whether one runs is known by the lock in its folder of weights.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs import clock, draft, parsing, private_folder
from jobs.processes import identity
from server_bundle.weights.fetch import Request, lock_of
from server_bundle.weights.meter import Reading
from server_bundle.weights.source import Source

RUNNING, FINISHED, FAILED, STOPPED, CUT = "running", "finished", "failed", "stopped", "cut off"
_LARGEST = 1 << 20


@dataclass(frozen=True)
class RunFiles:
    """The files of one fetch."""

    folder: Path

    @property
    def request(self) -> Path:
        return self.folder / "request.json"

    @property
    def progress(self) -> Path:
        return self.folder / "progress.json"

    @property
    def log(self) -> Path:
        return self.folder / "fetch.log"

    @property
    def stop(self) -> Path:
        """While it exists, the fetch ends itself."""
        return self.folder / "stop"


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
    files.stop.unlink(missing_ok=True)
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


class Progress:
    """Writes the progress of one fetch, at most every two seconds."""

    def __init__(self, files: RunFiles) -> None:
        self._files, self._last = files, ""

    def show(self, reading: Reading) -> None:
        now = clock.now()
        if not self._last or clock.seconds_between(self._last, now) >= 2:
            self._last = now
            self.end(RUNNING, reading, reading.note)

    def end(self, state: str, reading: Reading | None, message: str = "") -> None:
        """Write the last state. Raises `OSError`."""
        seen = dataclasses.asdict(reading) if reading else {}
        data = {**seen, "state": state, "message": message, "changed": clock.now()}
        draft.write(self._files.progress, json.dumps(data), is_synced=False, prefix=".progress.")


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
        seen = _data(files.progress) if files.progress.exists() else {}
        source = Source(**asked["source"])
        to = Path(asked["to"])
        holder = identity.holder(lock_of(to))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    state = str(seen.get("state", RUNNING))
    message = str(seen.get("message", ""))
    if holder is None and state == RUNNING:
        state, message = CUT, "it was killed, or the machine restarted: fetch again to continue"
    elif holder is not None:
        state = RUNNING
    return Run(
        model=str(source),
        to=str(to),
        state=state,
        began=str(asked.get("began", "")),
        changed=str(seen.get("changed", asked.get("began", ""))),
        done=int(seen.get("done", 0)),
        total=int(seen.get("total", 0)),
        rate=float(seen.get("rate", 0.0)) if state == RUNNING else 0.0,
        left=seen.get("left") if state == RUNNING else None,
        files_done=int(seen.get("files_done", 0)),
        files=int(seen.get("files", 0)),
        message=message,
        pid=holder.pid if holder else None,
        log=str(files.log),
    )


def _data(path: Path) -> dict[str, Any]:
    data = parsing.of_json(parsing.read_text(path, _LARGEST))
    if not isinstance(data, dict):
        raise ValueError(f"{path} is damaged")
    return data
