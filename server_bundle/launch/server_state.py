"""What is known of one server with a keeper: the note that the keeper writes and everybody reads.

It holds no key. Times are UTC, ISO 8601; sizes in tokens.
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
"""By its log; who asks over HTTP knows better whether it answers."""
DRAINING = "draining"
WAITING = "waiting"
"""It died, and is started again at `next_start_at`."""
ENDED = "ended"
NO = "no"
ON_FAILURE = "on-failure"
RESTARTS_KEPT = 20
"""The last of them are noted; all are counted."""


@dataclass(frozen=True)
class Ended:
    """How the server's process ended. `asked`: by us, on somebody's wish."""

    at: str
    code: int | None
    signal: str | None
    asked: bool
    seconds: float
    """How long it had run."""
    stage: str
    """What it was at."""
    lost: tuple[str, ...] = ()
    """The requests that it still had by its own last word, by their ids (rid)."""
    killed: int = 0
    """How many of its processes had to be killed."""

    @property
    def exit_status(self) -> int | None:
        """As subprocess gives it: -9 for SIGKILL. None: nobody was there to see."""
        return -signal.Signals[self.signal].value if self.signal else self.code

    def in_words(self) -> str:
        """For people. sglang ends itself by SIGKILL, after a drain and when a child of it failed
        (`kill_process_tree` in utils/common.py), so that signal alone says little."""
        if self.exit_status is None:
            return "nobody saw how"
        if self.signal == "SIGKILL" and not self.asked:
            return "SIGKILL, by itself after a child of it had failed or from outside (memory?)"
        return self.signal or f"exit code {self.code}"


@dataclass(frozen=True)
class Restart:
    """One start by the keeper itself, after this end."""

    at: str
    why: str


@dataclass(frozen=True)
class ServerState:
    """One server with a keeper, in this run or in its last."""

    name: str
    profile: str
    engine: str
    version: str | None
    model: str
    """The name that requests give."""
    url: str
    """Its root, without /v1."""
    context: int | None
    planned_pool: int | None
    restart: str
    """`no` or `on-failure`."""
    log: str
    keeper: Identity
    server: Identity | None = None
    """None until there is one."""
    members: tuple[Identity, ...] = ()
    """All its processes when they were last looked at: schedulers, detokenizer, compilers."""
    state: str = STARTING
    stage: str = "starting"
    done: int | None = None
    """How far the stage is, in whatever it counts."""
    total: int | None = None
    started_at: str = ""
    ready_at: str | None = None
    start_seconds: float | None = None
    """From its start to READY."""
    figures: dict[str, float] = field(default_factory=dict)
    """Told by its log: pool, window, chunk … (`startup.StartUp`)."""
    warnings: tuple[str, ...] = ()
    """Lines of its log that somebody should know of."""
    restart_count: int = 0
    restarts: tuple[Restart, ...] = ()
    next_start_at: str | None = None
    ended: Ended | None = None

    @property
    def pool(self) -> int | None:
        """The KV pool that it really has."""
        found = self.figures.get("pool")
        return None if found is None else int(found)

    @property
    def window(self) -> int | None:
        """The context length that it really has."""
        found = self.figures.get("window", self.context)
        return None if found is None else int(found)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def write(files: ServerFiles, server: ServerState) -> None:
    """Leave the note, whole or not at all."""
    server_folder.put(files.record, json.dumps(server.to_dict(), indent=1))


def read(files: ServerFiles) -> ServerState | None:
    """The last note, true or not (see `servers_of_ours`); None when there is none."""
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
