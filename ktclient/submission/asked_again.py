"""A job about a document that is asked again, or something else."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jobs.model import Job, NewJob
from ktclient.config import settings as config
from ktclient.documents import encoded
from ktclient.documents.document import READ_AS, Document
from ktclient.planning.forecast import Forecast
from ktclient.planning.options import RequestOptions
from ktclient.submission import enqueue
from ktclient.submission.options import SubmitOptions
from ktclient.submission.spec import JobSpec


@dataclass(frozen=True)
class AskedAgain:
    """A job about a document, and what it is asked now."""

    old: Job
    plain: NewJob
    spec: JobSpec
    options: RequestOptions

    def document(self) -> Document:
        """Its document, decoded."""
        marked = (one[len(READ_AS) :] for one in self.spec.remarks if one.startswith(READ_AS))
        text, title = self.plain.document.decode(), self.old.title
        return Document(title, text, read_as=next(marked, ""), encoded=encoded.characters(text))

    def renewed(self, document: Document, before: Forecast, settings: config.Settings) -> NewJob:
        """The job with the new request."""
        plain, given = self.plain, SubmitOptions(self.options)
        new = enqueue.new_job(document, plain.document, before, given, settings)
        return replace(
            plain,
            pool=new.pool,
            spec=replace(JobSpec.from_json(new.spec), remarks=self.spec.remarks).to_json(),
            weight=new.weight,
            max_attempts=new.max_attempts,
        )
