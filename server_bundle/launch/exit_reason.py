"""Why a server ended, by its log: the known cause, else the last lines."""

from __future__ import annotations

import os
from pathlib import Path

from jobs import known_secrets
from jobs.processes import detach
from server_bundle.launch.server_state import Ended
from server_bundle.logs import explain
from server_bundle.logs.explain import Explanation, Finding

MOST_BYTES = 4_000_000
"""How much of the log's end is read: more than any start writes."""


def cause(log: Path, ended: Ended | None) -> str:
    """The title of the known cause; empty where none is known."""
    fatal = _fatal(_explained(log, ended))
    return fatal.cause.title if fatal else ""


def describe(log: Path, ended: Ended | None) -> str:
    """Several lines: the known cause, its evidence and its fix, or the end of the log."""
    explained = _explained(log, ended)
    fatal = _fatal(explained)
    if fatal is not None:
        proof = "\n".join(f"  {one.text}" for one in fatal.evidence)
        return (
            f"{fatal.cause.title}:\n{proof}\ncause: {fatal.cause.cause}\nfix: {fatal.cause.cure}\n"
            f"For details: ktserver explain {log}"
        )
    words = detach.tail(log).replace("\r", "\n")  # progress bars
    words = known_secrets.hide_foreign(words)
    return f"its log, {log}, ends with:\n{words}"


def _fatal(explained: Explanation) -> Finding | None:
    return next((one for one in explained.found if one.cause.is_fatal), None)


def _explained(log: Path, ended: Ended | None) -> Explanation:
    return explain.explain(_lines(log), ended.exit_status if ended else None)


def _lines(log: Path) -> list[str]:
    """Split at \\n only, so that a progress bar is one line."""
    try:
        with log.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - MOST_BYTES))
            return file.read().decode(errors="replace").split("\n")
    except OSError:
        return []
