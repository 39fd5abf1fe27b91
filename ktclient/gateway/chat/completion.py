"""A whole chat completion, built from the store."""

from __future__ import annotations

from typing import Any

from jobs import clock
from jobs.model import Job
from ktclient.batch import results
from ktclient.batch.results import Answered
from ktclient.config.servers import DEFAULT, EMBEDDED
from ktclient.gateway import ids
from ktclient.gateway.chat.reading import Reading
from ktclient.request.events import UNKNOWN
from ktclient.servers import selection
from ktclient.tokens import estimate

OURS = "ktjob"
"""The field of an answer with what OpenAI's have no place for."""


def id_of(job: Job) -> str:
    """The id of a job's completion."""
    return ids.CHAT + job.id


def created(job: Job) -> int:
    """When it was asked for, in seconds since 1970."""
    return int(clock.moment(job.created_at).timestamp())


def model_of(reading: Reading) -> str:
    """The model that was asked."""
    named = reading.spec["model"]
    if named is None and reading.spec["server"] == EMBEDDED:
        named = selection.EMBEDDED_MODEL
    return str(named or reading.figures.get("model") or DEFAULT)


def body(reading: Reading, metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    """The completion of an answered job."""
    job, figures = reading.job, reading.figures
    told = Answered(
        job_id=job.id,
        rid="" if reading.attempt is None else reading.attempt.rid,
        created=created(job),
        text=text_of(reading, "answer"),
        reasoning=text_of(reading, "reasoning"),
        tool_calls=text_of(reading, "tool_calls"),
        figures=figures,
    )
    found = results.body(told)
    counts, is_estimate = usage(reading)
    found |= {"id": id_of(job), "model": model_of(reading), "usage": counts}
    choice = found["choices"][0]  # type: ignore[index]
    choice["message"].setdefault("refusal", None)
    choice["finish_reason"] = finish_reason(reading)
    if metadata:
        found["metadata"] = metadata
    return {**found, **ours(reading, is_estimate=is_estimate)}


def text_of(reading: Reading, channel: str) -> str:
    """All output in a channel."""
    return "".join(piece.text for piece in reading.pieces if piece.channel == channel)


def finish_reason(reading: Reading) -> str:
    """As the server gave it; of one that gave none, the usual one."""
    found = reading.figures.get("finish_reason")
    return "stop" if found in (None, "", UNKNOWN) else str(found)


def usage(reading: Reading) -> tuple[dict[str, object], bool]:
    """Token counts, never null: clients fail without them. And whether they are our estimate."""
    counted = results.usage(reading.figures)
    if counted is not None:
        return counted, False
    tokens = reading.spec["task"].get("tokens")
    read = tokens[1] if tokens else max(0, reading.job.weight - reading.spec["max_tokens"])
    written = estimate.estimate("".join(piece.text for piece in reading.pieces)).likely
    sums = {"completion_tokens": written, "total_tokens": read + written}
    return {"prompt_tokens": read, **sums}, True


def ours(reading: Reading, *, is_estimate: bool) -> dict[str, object]:
    """The field of our own: empty if there is nothing to say."""
    said: dict[str, object] = {}
    if is_estimate:
        said["usage"] = "estimated: the server reported none"
    if warning := reading.figures.get("warning"):
        said["warning"] = warning
    return {OURS: said} if said else {}
