"""What the page's form holds becomes jobs: read, forecast, stored. In threads: it takes seconds.

The rooms below decide; this only names the fields as they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePath

from jobs.model import NewRequest
from ktclient import wording
from ktclient.config.settings import Settings
from ktclient.documents import document as documents_document
from ktclient.documents.document import Document
from ktclient.errors import BadInput
from ktclient.gateway.context import Caller
from ktclient.gateway.page import servers
from ktclient.planning import preflight
from ktclient.planning.forecast import Forecast
from ktclient.planning.options import RequestOptions
from ktclient.planning.queue_ahead import QueueAhead
from ktclient.prompts import instructions, templates
from ktclient.prompts.instructions import Instructions
from ktclient.submission import conditions, enqueue
from ktclient.submission.options import SubmitOptions

MOST_FILES = 100
CHECK_PATIENCE = 2.0
"""Seconds that a busy server may take to report its facts while somebody looks at the form."""

Record = dict[str, object]


@dataclass(frozen=True)
class Form:
    """The fields as they came; empty: not given."""

    files: Sequence[tuple[str, bytes]] = field(default=(), repr=False)
    """Name and bytes of each."""
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    """text, title, task (summarize, ask, prompt or a template's name after "template:"), question,
    server, model, max_tokens, label, and var.NAME for variables of the template."""

    def get(self, name: str) -> str | None:
        return self.fields.get(name, "").strip() or None


def documents(form: Form) -> list[Document]:
    """The documents, in order. Raises `BadInput` and `DocumentUnusable`."""
    if len(form.files) > MOST_FILES:
        raise BadInput(f"these are more than {MOST_FILES} files; submit fewer at a time")
    found = [documents_document.from_bytes(body, _title(name)) for name, body in form.files]
    if (text := form.fields.get("text", "")).strip():
        found.append(documents_document.from_text(text, form.get("title") or "pasted text"))
    if not found:
        raise BadInput("there is no document: drop a file, or paste a text")
    return found


def _title(name: str) -> str:
    return PurePath(name.replace("\\", "/")).name or "unnamed file"


def options(form: Form, settings: Settings, caller: Caller) -> SubmitOptions:
    """The options of a submit. Raises `BadInput` and `BadSetting`."""
    task = form.get("task") or "summarize"
    question = form.get("question")
    wish = Instructions(max_tokens=_whole(form.get("max_tokens"), "max tokens"))
    if task.startswith("template:"):
        values = {
            name.removeprefix("var."): value
            for name, value in form.fields.items()
            if name.startswith("var.") and value.strip()
        }
        wish = Instructions(
            template=task.removeprefix("template:"), variables=values, max_tokens=wish.max_tokens
        )
    elif task in ("ask", "prompt"):
        if question is None:
            raise BadInput("the question is empty")
        asked = {"ask": [question]} if task == "ask" else {"prompt": question}
        wish = Instructions(max_tokens=wish.max_tokens, **asked)
    elif task != "summarize":
        raise BadInput(f"there is no task {task!r}; it is summarize, ask, prompt or a template")
    tasks, generation, most = instructions.resolve(wish, settings.config_file)
    request = RequestOptions(
        tasks=tasks,
        max_tokens=most,
        model=form.get("model"),
        server=known_server(form.get("server"), settings),
        generation=generation,
        patience=CHECK_PATIENCE,
    )
    kept = conditions.conditions(form.get("label"))
    return SubmitOptions(request, conditions=kept, http_request=request_of(caller))


def request_of(caller: Caller) -> NewRequest | None:
    """Whose the jobs are; without keys they are as those of the command line."""
    if not caller.owner:
        return None
    return NewRequest(owner=caller.owner, surface="responses", digest="", fields={})


def known_server(given: str | None, settings: Settings) -> str | None:
    """Only a configured one: a page must not send the gateway to any address."""
    if given is not None and given not in servers.names(settings):
        raise BadInput(f"there is no server {given!r} in the configuration")
    return given


def _whole(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 12:
        raise BadInput(f"{name} must be a whole number, not {text!r}")
    return int(text)


def check(form: Form, settings: Settings, caller: Caller) -> Record:
    """The forecast of each document, as `ktjob check` says it."""
    asked = options(form, settings, caller).request
    given = documents(form)
    before = preflight.forecast_all(given, asked, settings)
    longest = [max(of_it, key=lambda one: one.count.high) for of_it in before]
    return {
        "documents": [
            {"title": document.title, "remarks": list(document.remarks()), **_forecast(one)}
            for document, one in zip(given, longest, strict=True)
        ],
        "can_run": all(one.can_run for one in longest),
        **_target(longest[0]),
        "ahead": ahead_lines(longest[0].ahead, caller),
    }


def ahead_lines(ahead: QueueAhead, caller: Caller) -> list[str]:
    """What is before it. A key learns how many jobs of others there are, not which."""
    if caller.sees is None:
        return ahead.lines()
    counts = ((ahead.jobs_running, "running"), (ahead.jobs_waiting, "waiting"))
    words = [f"{wording.count(number, 'job')} {what}" for number, what in counts if number]
    return [f"before it on this server: {' and '.join(words)}"] if words else []


def _target(one: Forecast) -> Record:
    facts = one.target.facts
    return {
        "server": one.target.server,
        "why": one.target.why,
        "model": None if facts is None else facts.model,
        "models": [] if facts is None else list(facts.models),
    }


def _forecast(one: Forecast) -> Record:
    split = one.split
    return {
        "can_run": one.can_run,
        "tokens": one.count.in_words,
        "verdict": one.verdict.kind.value,
        "reason": one.verdict.reason,
        "fix": None if split is not None else one.verdict.cure,
        "time": one.time,
        "seconds": None if one.expected is None else asdict(one.expected),
        "split": None if split is None else {"parts": len(split.chunks), "requests": split.total},
    }


def store(form: Form, settings: Settings, caller: Caller) -> list[str]:
    """Store the jobs: all of them, or none. Returns their ids. Raises what `enqueue` raises."""
    asked = options(form, settings, caller)
    return [job_id for job_id, _ in enqueue.enqueue_all(documents(form), asked, settings)]


def setup(settings: Settings) -> Record:
    """What the form offers."""
    own = templates.folder(settings.config_file)
    known = []
    for name in templates.names(own):
        try:
            known.append(templates.load(name, own))
        except BadInput:  # one that cannot be read is not offered; `ktjob templates` says why
            continue
    return {
        "servers": [{"url": url, "name": name} for url, name in servers.names(settings).items()],
        "templates": [
            {
                "name": one.name,
                "description": one.description,
                "variables": one.variables(),
                "max_tokens": one.max_tokens,
            }
            for one in known
        ],
    }
