"""The state of one supervised server: a record that its supervisor writes and other processes read.

It holds no key. Times are UTC, ISO 8601; sizes are in tokens.
"""

from __future__ import annotations

import dataclasses
import json
import signal
from dataclasses import asdict, dataclass, field
from typing import Any

from jobs.model import Identity
from server_bundle.launch import server_folder
from server_bundle.launch.server_folder import ServerFiles

STARTING = "starting"
READY = "ready"
"""By its log. Only an HTTP request shows whether it answers."""
DRAINING = "draining"
WAITING = "waiting"
"""It died, and is restarted at `next_start_at`."""
ENDED = "ended"
WARMING = "in progress"
"""`warm_up` from READY after a restart until it has ended."""
NO = "no"
ON_FAILURE = "on-failure"
RESTARTS_KEPT = 20
"""How many of the last restarts are recorded; all are counted."""


@dataclass(frozen=True)
class Ended:
    """How the server's process ended. `asked`: whether it was stopped on request."""

    at: str
    code: int | None
    signal: str | None
    asked: bool
    seconds: float
    """How long it ran."""
    stage: str
    """Its last stage."""
    lost: tuple[str, ...] = ()
    """The ids (rid) of the requests that it still had, by its last log line about them."""
    killed: int = 0
    """How many of its processes had to be killed."""

    @property
    def exit_status(self) -> int | None:
        """In the form of subprocess: -9 for SIGKILL. None when the end was not observed."""
        return -signal.Signals[self.signal].value if self.signal else self.code

    def in_words(self) -> str:
        """For people. sglang kills itself with SIGKILL, after a drain and when a child failed
        (`kill_process_tree` in utils/common.py), so this signal alone says little."""
        if self.exit_status is None:
            return "exit status unknown"
        if self.signal == "SIGKILL" and not self.asked:
            return "SIGKILL (sglang itself after a child failed, or the kernel for lack of memory)"
        return self.signal or f"exit code {self.code}"


@dataclass(frozen=True)
class Restart:
    """One restart by the supervisor. `why`: how the run before ended."""

    at: str
    why: str


@dataclass(frozen=True)
class ServerState:
    """One supervised server, in its current or last run."""

    name: str
    profile: str
    engine: str
    version: str | None
    model: str
    """The model name for requests."""
    url: str
    """The root URL, without /v1."""
    context: int | None
    planned_pool: int | None
    restart: str
    """`no` or `on-failure`."""
    log: str
    keeper: Identity
    server: Identity | None = None
    """The server's main process; None before its start."""
    members: tuple[Identity, ...] = ()
    """All its processes at the last check: schedulers, detokenizer, compilers."""
    state: str = STARTING
    stage: str = "starting"
    done: int | None = None
    """Progress of the stage, in the stage's own unit."""
    total: int | None = None
    started_at: str = ""
    ready_at: str | None = None
    start_seconds: float | None = None
    """Seconds from its start to READY."""
    figures: dict[str, float] = field(default_factory=dict)
    """Values from its log: pool, window, chunk … (`startup.StartUp`)."""
    warnings: tuple[str, ...] = ()
    """Lines of its log that deserve attention."""
    restart_count: int = 0
    restarts: tuple[Restart, ...] = ()
    warm_up: str = ""
    """Of the supervisor's warm-up after a restart: "in progress", then how it ended."""
    next_start_at: str | None = None
    ended: Ended | None = None
    planned_reserved: float | None = None
    """`LaunchPlan.planned_reserved`, in GiB."""

    @property
    def pool(self) -> int | None:
        """The actual size of the KV pool."""
        found = self.figures.get("pool")
        return None if found is None else int(found)

    @property
    def window(self) -> int | None:
        """The actual context window."""
        found = self.figures.get("window", self.context)
        return None if found is None else int(found)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def write(files: ServerFiles, server: ServerState) -> None:
    """Write the record atomically."""
    server_folder.write_private(files.record, json.dumps(server.to_dict(), indent=1))


def read(files: ServerFiles) -> ServerState | None:
    """The last record, which may be outdated (see `registry`); None when there is none."""
    try:
        data = json.loads(files.record.read_text(encoding="utf-8"))
        known = {one.name for one in dataclasses.fields(ServerState)}
        values = {key: value for key, value in data.items() if key in known}
        return ServerState(**values | _nested(values))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # not written yet, or by another version


def _nested(values: dict[str, Any]) -> dict[str, Any]:
    server, ended = values.get("server"), values.get("ended")
    return {
        "keeper": Identity(**values["keeper"]),
        "server": Identity(**server) if server else None,
        "members": tuple(Identity(**one) for one in values.get("members", ())),
        "restarts": tuple(Restart(**one) for one in values.get("restarts", ())),
        "warnings": tuple(values.get("warnings", ())),
        "ended": Ended(**{**ended, "lost": tuple(ended["lost"])}) if ended else None,
    }
