"""How far a job is, as streams tell it in a field of our own."""

from __future__ import annotations

from ktclient.gateway.chat.reading import Reading


def of(reading: Reading) -> dict[str, object]:
    """The state of a job that has not ended; `done` and `total` are in `unit`s."""
    job, attempt = reading.job, reading.attempt
    said: dict[str, object] = {"job": job.id, "state": job.state, "attempt": job.attempt}
    if attempt is None or attempt.ended_at is not None:
        return said
    said["phase"] = attempt.phase
    if attempt.done is not None:
        said |= {"done": attempt.done, "total": attempt.total, "unit": attempt.unit}
    if (eta := attempt.figures.get("eta_seconds")) is not None:
        said["eta_seconds"] = eta
    return said
