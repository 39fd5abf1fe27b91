"""Ask another question about an already stored document."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ktclient.config import settings as config
from ktclient.documents import encoded
from ktclient.documents.document import READ_AS, Document
from ktclient.errors import BadInput
from ktclient.planning import thinking
from ktclient.planning.forecast import Forecast
from ktclient.planning.thinking import Thinking
from ktclient.prompts import generation, tasks
from ktclient.prompts.generation import GenerationSettings
from ktclient.prompts.tasks import Kind
from ktclient.records import access, kinds, selector
from ktclient.submission import renewal
from ktclient.submission.changes import Changes as AllChanges
from ktclient.submission.conditions import Conditions
from ktclient.submission.enqueue import enqueue
from ktclient.submission.options import SubmitOptions
from ktclient.submission.spec import JobSpec
from server_bundle.embedded import weights


@dataclass(frozen=True)
class Changes:
    """What is not as in the old job; None: as there."""

    max_tokens: int | None = None
    timeout: float | None = None
    """Seconds."""
    thinking: bool | None = None
    effort: str | None = None

    def of(self, old: GenerationSettings) -> GenerationSettings:
        """The old generation settings with these. Raises `BadInput`."""
        if self.thinking is None and self.effort is None:
            return old
        return generation.parse(old.system, old.temperature, self.thinking, self.effort)


@dataclass(frozen=True)
class FollowUp:
    """A new job on an old one's document."""

    id: str
    forecast: Forecast
    rereads: str | None
    """Why the server reads the document again, although it may have it in its cache."""
    note: str | None = None
    """What is not as in the old job although nobody changed it."""


def ask(
    job_id: str,
    question: str,
    settings: config.Settings,
    changes: Changes = Changes(),
    on_progress: weights.Progress = lambda what, done, total: None,
) -> FollowUp:
    """A new job on the document of an old one: same server, model, label, generation settings and
    limits unless changed. A time limit that the old job exceeded is not taken over.

    Counted and checked like any other request, except that a busy server is queried for two seconds
    at most. Raises `NoSuchJob`, `AmbiguousId`, `StoreDamaged` if the document is missing, and what
    `enqueue` raises.
    """
    with access.open_recovered(settings.state, job_id) as store:
        job_id = selector.one(store, job_id).id  # "@last" means another one after the submit
    document, options = prepare(job_id, question, settings, changes)
    new, forecast = enqueue(document, options, settings, on_progress)[0]
    note = None if changes.timeout is not None else _note(job_id, settings)
    return FollowUp(new, forecast, _rereads(job_id, options, forecast, settings), note)


def _note(job_id: str, settings: config.Settings) -> str | None:
    with access.open_recovered(settings.state, job_id) as store:
        old = store.find(job_id)
    spec = JobSpec.from_json(old.spec)
    return renewal.exceeded_note(spec) if renewal.has_exceeded(old, spec) else None


def _rereads(
    job_id: str, options: SubmitOptions, forecast: Forecast, settings: config.Settings
) -> str | None:
    """A model that thinks has other words before the document, so it shares no prefix with one that
    does not."""
    facts, new = forecast.target.facts, options.request.generation
    if facts is None or facts.has_prefix_cache is False:
        return None
    with access.open_recovered(settings.state, job_id) as store:
        old = JobSpec.from_json(store.find(job_id).spec).manner
    before, now = (Thinking(one.thinking, one.effort) for one in (old, new))
    if not thinking.starts_otherwise(before, now, facts, settings):
        return None
    return (
        f"the server reads the document again: with {_said(new)} the template begins in another "
        f"way than with {_said(old)} (job {job_id})"
    )


def _said(how: GenerationSettings) -> str:
    if how.effort is not None:
        return f"the effort {how.effort}"
    return "thinking on" if how.thinking else "thinking off"


def prepare(
    job_id: str,
    question: str,
    settings: config.Settings,
    changes: Changes = Changes(),
) -> tuple[Document, SubmitOptions]:
    """What `ask` stores, not stored yet. Raises what `ask` raises before that."""
    max_tokens, timeout = changes.max_tokens, changes.timeout
    task = tasks.task(False, question, None)
    with access.open_recovered(settings.state, job_id) as store:
        old = store.find(job_id)
        spec = JobSpec.from_json(old.spec)
        if spec.task.kind is Kind.BATCH:
            raise BadInput(f"job {old.id} is a batch and has no document to ask about")
        if spec.task.kind is Kind.REQUEST:
            raise BadInput(
                f"job {old.id} has messages and no document to ask about. Send a request with "
                f"these messages and your question, or with previous_response_id resp_{old.id}"
            )
        kinds.require_own(old, needs_document=True)
        text = store.document(old.document).decode()
        read_as, data = _read_as(spec), encoded.characters(text)
        document = Document(old.title, text, read_as=read_as, encoded=data)
    as_before = AllChanges(max_tokens=max_tokens, timeout=timeout)
    request = replace(
        renewal.options(old, spec, as_before, settings),
        tasks=(task,),
        generation=changes.of(spec.manner),
    )
    return document, SubmitOptions(request, old.priority, Conditions(old.label))


def _read_as(spec: JobSpec) -> str:
    """How the document was read, if it was not plain text."""
    return next((one[len(READ_AS) :] for one in spec.remarks if one.startswith(READ_AS)), "")
