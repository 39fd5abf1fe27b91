"""How far a job is, as streams tell it in a field of our own."""

from __future__ import annotations

from ktclient.gateway.chat.reading import Reading
from ktclient.records import phases

_TOKENS = "tokens"


def of(reading: Reading) -> dict[str, object]:
    """What is known of a job that has not ended: its phase; in a prefill its share (0 to 1), tokens
    and seconds left."""
    attempt = reading.attempt
    if attempt is None or reading.job.status.value == "QUEUED":
        return {"phase": reading.blocked or "queued"}
    found: dict[str, object] = {"phase": attempt.phase}
    if attempt.phase == phases.PREFILL and attempt.done is not None and attempt.total:
        found["progress"] = round(min(1.0, attempt.done / attempt.total), 4)
        if attempt.unit == _TOKENS:
            found |= {"tokens_read": attempt.done, "tokens_total": attempt.total}
    eta = attempt.figures.get("eta_seconds")
    if isinstance(eta, (int, float)):
        found["eta_seconds"] = round(eta, 1)
    return found
