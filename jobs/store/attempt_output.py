"""Writes of a running attempt. They do not wait for the disk: a kill loses nothing, a power loss
may take the last seconds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from jobs import clock
from jobs.model import Piece
from jobs.store.database import Database


class Reports(Database):
    """Phases, progress, metrics, output and events. Each is refused once its attempt has ended."""

    def enter_phase(self, job_id: str, number: int, phase: str) -> None:
        """Set the attempt's phase, and clear the progress of the phase before."""
        at = clock.now()
        with self._transaction(durable=False):
            self._edge("enter_phase", job_id=job_id, number=number, phase=phase, at=at)
            self._event(job_id, number, at, "phase", {"phase": phase})

    def enter_phase_if_open(self, job_id: str, number: int, phase: str) -> bool:
        """The same, unless the job's pool or the whole queue is paused. Then nothing is
        changed. One transaction: a pause comes before it or after it."""
        with self._transaction(durable=False):
            if not self.is_open_for(job_id):
                return False
            at = clock.now()
            self._edge("enter_phase", job_id=job_id, number=number, phase=phase, at=at)
            self._event(job_id, number, at, "phase", {"phase": phase})
        return True

    def is_open_for(self, job_id: str) -> bool:
        """Whether no pause keeps a job from sending its request. A hold does not: a part that was
        claimed before it has its room on the server, which others would miss."""
        return bool(self._scalar("is_open_for", id=job_id))

    def set_progress(
        self, job_id: str, number: int, done: int, total: int | None, unit: str
    ) -> None:
        """Set the progress of the current phase, in `unit`s; `total` is None when unknown."""
        with self._transaction(durable=False):
            self._edge(
                "set_progress", job_id=job_id, number=number, done=done, total=total, unit=unit
            )

    def set_figures(self, job_id: str, number: int, figures: dict[str, object]) -> None:
        """Replace the attempt's metrics."""
        with self._transaction(durable=False):
            self._edge("set_figures", job_id=job_id, number=number, figures=_json(figures))

    def append(self, job_id: str, number: int, pieces: Sequence[Piece]) -> None:
        """Add output to the attempt."""
        with self._transaction(durable=False):
            for piece in pieces:
                self._edge(
                    "insert_piece",
                    job_id=job_id,
                    number=number,
                    seq=piece.seq,
                    channel=piece.channel,
                    text=piece.text,
                )

    def note(self, job_id: str, number: int, kind: str, data: dict[str, object]) -> None:
        """Write an event that changes no state."""
        with self._transaction(durable=False):
            self._event(job_id, number, clock.now(), kind, data)

    def _event(
        self, job_id: str, attempt: int, at: str, kind: str, data: dict[str, object]
    ) -> None:
        self._run(
            "insert_event", job_id=job_id, attempt=attempt, at=at, kind=kind, data=_json(data)
        )

    def remember(self, pool: str, name: str, value: dict[str, object]) -> None:
        """Store what was learned about a pool's server, replacing what `name` held before. It helps
        later jobs; a power loss may take it. It must not contain secrets."""
        with self._transaction(durable=False):
            self._run("set_note", pool=pool, name=name, value=_json(value), at=clock.now())

    def run_one_at_a_time(self, pool: str) -> None:
        """From now on, start no job of a pool beside another, until a submit says otherwise."""
        with self._transaction(durable=False):
            self._run("one_at_a_time", name=pool)


def _json(data: dict[str, object]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
