"""Why a server of ours is gone, by its log: what is known about it, else its last lines."""

from __future__ import annotations

import os
from pathlib import Path

from jobs.processes import detach
from server_bundle.launch.server_state import Ended
from server_bundle.logs import explain
from server_bundle.logs.explain import Explanation, Finding

MOST_BYTES = 4_000_000
"""Of the log's end: more than any start writes."""


def cause(log: Path, ended: Ended | None) -> str:
    """In a few words, for a line; empty where nothing is known."""
    fatal = _fatal(_explained(log, ended))
    return fatal.cause.title if fatal else ""


def describe(log: Path, ended: Ended | None) -> str:
    """In lines: the known cause, its proof and its cure, or how the log ends."""
    explained = _explained(log, ended)
    fatal = _fatal(explained)
    if fatal is not None:
        proof = "\n".join(f"  {one.text}" for one in fatal.evidence)
        return (
            f"{fatal.cause.title}:\n{proof}\ncause: {fatal.cause.cause}\ncure: {fatal.cause.cure}\n"
            f"`ktserver explain {log}` tells more"
        )
    words = detach.tail(log).replace("\r", "\n")  # progress bars
    return f"its log, {log}, ends with:\n{words}"


def _fatal(explained: Explanation) -> Finding | None:
    return next((one for one in explained.found if one.cause.is_fatal), None)


def _explained(log: Path, ended: Ended | None) -> Explanation:
    return explain.explain(_lines(log), ended.exit_status if ended else None)


def _lines(log: Path) -> list[str]:
    """Only \\n ends a line here: a progress bar is one."""
    try:
        with log.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - MOST_BYTES))
            return file.read().decode(errors="replace").split("\n")
    except OSError:
        return []
