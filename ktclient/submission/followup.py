"""Ask another question about an already stored document."""

from __future__ import annotations

from ktclient.config import settings as config
from ktclient.documents import encoded
from ktclient.documents.document import READ_AS, Document
from ktclient.errors import BadInput
from ktclient.planning import forecast as forecasts
from ktclient.planning.forecast import Forecast
from ktclient.planning.options import RequestOptions
from ktclient.prompts import tasks
from ktclient.prompts.tasks import Kind
from ktclient.records import access
from ktclient.submission.enqueue import enqueue
from ktclient.submission.options import SubmitOptions
from ktclient.submission.spec import JobSpec
from server_bundle.embedded import weights


def ask(
    job_id: str,
    question: str,
    settings: config.Settings,
    max_tokens: int | None = None,
    timeout: float | None = None,
    on_progress: weights.Progress = lambda what, done, total: None,
) -> tuple[str, Forecast]:
    """A new job on the document of an old one: same server, model, generation settings and limits
    unless given. Returns its id and its forecast.

    `timeout` is in seconds. Counted and checked like any other request, except that a busy server
    is queried for two seconds at most. Raises `NoSuchJob`, `AmbiguousId`, `StoreDamaged` if the
    document is missing, and what `enqueue` raises.
    """
    document, options = prepare(job_id, question, settings, max_tokens, timeout)
    return enqueue(document, options, settings, on_progress)[0]


def prepare(
    job_id: str,
    question: str,
    settings: config.Settings,
    max_tokens: int | None = None,
    timeout: float | None = None,
) -> tuple[Document, SubmitOptions]:
    """What `ask` stores, not stored yet. Raises what `ask` raises before that."""
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
        text = store.document(old.document).decode()
        read_as, data = _read_as(spec), encoded.characters(text)
        document = Document(old.title, text, read_as=read_as, encoded=data)
    request = RequestOptions(
        tasks=(task,),
        max_tokens=spec.max_tokens if max_tokens is None else max_tokens,
        timeout=spec.timeout if timeout is None and not spec.is_lasting else timeout,
        model=None if spec.is_model_chosen else spec.model,
        seen_model=spec.model,
        server=spec.server,
        max_attempts=old.max_attempts if spec.split is None else spec.split.attempts,
        patience=forecasts.PATIENCE_SECONDS,
        generation=spec.manner,
    )
    return document, SubmitOptions(request, old.priority)


def _read_as(spec: JobSpec) -> str:
    """How the document was read, if it was not plain text."""
    return next((one[len(READ_AS) :] for one in spec.remarks if one.startswith(READ_AS)), "")
