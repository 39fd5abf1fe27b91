"""The response object of a job: what is known when it is stored, and how it ended. Pure, but for
`policy`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jobs import clock
from jobs.model import Attempt, Job, Outcome
from jobs.store.http.store import HttpStore
from jobs.store.http.values import Request
from jobs.store.state_dir import StateDir
from ktclient.errors import EmptyAnswer, RateLimited
from ktclient.gateway import ids
from ktclient.gateway.responses.events import Ending, Head
from ktclient.records import kinds, thinking
from ktclient.records.thinking import ONLY_THOUGHTS
from ktclient.submission.chat_request import CheckedChat

SURFACE = "responses"
Fields = dict[str, Any]

DEFAULTS: Fields = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
    "background": False,
}
"""What a response repeats of its request, where that says nothing."""

_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""The server's finish reasons of an answer that is not whole -> OpenAI's."""
_CODES: Mapping[str | None, str] = {RateLimited.cause: "rate_limit_exceeded"}
"""A job's cause -> the code of an error in a response; OpenAI's clients know a closed list."""
SERVER_ERROR = "server_error"
INPUT = "input"
"""The stored field with all input items: those of earlier responses of the conversation too."""
HOLDS = "holds"
"""The stored field that says whether text is held back that may turn out to be thought."""
_EPOCH = "1970-01-01T00:00:00.000Z"


def came_here(request: Request | None) -> bool:
    """Whether a job was made by a request for a response; others came from the page, a chat, a
    batch or the command line."""
    return request is not None and request.surface == SURFACE and INPUT in request.fields


def head(job: Job, request: Request | None, echoed: Fields) -> Head:
    """What is known of a response from the beginning. `echoed`: the request's fields, whole; of
    other jobs nothing."""
    spec = json.loads(job.spec)
    is_own = came_here(request)
    said = {name: echoed[name] for name in DEFAULTS if name in echoed} if is_own else {}
    if said.get("max_output_tokens") is not None:  # it may have been changed while it waited
        said["max_output_tokens"] = spec["max_tokens"]
    if not is_own:
        # Whoever sent it is not waiting here.
        said = {"max_output_tokens": spec["max_tokens"], "background": True}
    response: Fields = {
        "id": f"{ids.RESPONSE}{job.id}",
        "object": "response",
        "created_at": seconds(job.created_at),
        "completed_at": None,
        "status": "queued",
        "model": str((is_own and echoed.get("model")) or spec.get("model") or "default"),
        "error": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
        **DEFAULTS,
        **said,
        "store": request is None or request.is_stored,
        "ktjob": {"job": job.id},
    }
    is_plain = kinds.kind_of(job.spec) == kinds.BATCH
    return Head(job.id, response, is_plain, holds=bool(is_own and echoed.get(HOLDS)))


def policy(state: StateDir, checked: CheckedChat) -> Fields:
    """How the output will be divided into thoughts and the answer, decided once, so that all
    streams divide it alike: text of a model whose thoughts begin in its prompt is held back."""
    model = checked.model or (checked.target.facts.model if checked.target.facts else None)
    if model is None:
        return {HOLDS: False}
    with HttpStore.open(state) as store:
        return {HOLDS: thinking.will_be_from_prompt(store, checked.target.server, model)}


def ending(job: Job, attempt: Attempt | None) -> Ending:
    """How a finished job ended. `attempt`: its last."""
    figures = {} if attempt is None else attempt.figures
    reason = _REASONS.get(str(figures.get("finish_reason")))
    is_success = job.outcome is Outcome.SUCCEEDED
    # Thoughts that used up all tokens: OpenAI's models end so too, and it is no error there.
    is_cut = reason is not None and (is_success or job.cause == EmptyAnswer.cause)
    changes: Fields = {"usage": usage(figures)}
    if is_cut:
        status, changes["incomplete_details"] = "incomplete", {"reason": reason}
    elif is_success:
        status, changes["completed_at"] = "completed", seconds(job.finished_at or job.created_at)
    elif job.outcome is Outcome.CANCELLED:
        status = "cancelled"
    else:
        status, changes["error"] = "failed", error(job)
    only_thoughts = bool(figures.get(ONLY_THOUGHTS)) and not is_success
    return Ending(status, changes, is_success, only_thoughts)


def error(job: Job) -> Fields:
    """Why a job failed: our cause is the `type`, the words say what to do."""
    code = _CODES.get(job.cause, SERVER_ERROR)
    message = job.message or f"the job ended as {job.state}"
    return {"code": code, "message": message, "type": job.cause, "param": None}


def usage(figures: Mapping[str, Any]) -> Fields | None:
    """The server's token counts; None if it reported none."""
    read, written = figures.get("prompt_tokens"), figures.get("completion_tokens")
    if not isinstance(read, int) or not isinstance(written, int):
        return None
    cached, thought = figures.get("cached_tokens") or 0, figures.get("thought_tokens") or 0
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": read + written,
    }


def seconds(at: str) -> int:
    """A stored time as whole seconds since 1970."""
    return int(clock.seconds_between(_EPOCH, at))
