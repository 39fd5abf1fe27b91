"""Check everything that can be checked before a request is stored. Stores nothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from jobs.errors import StoreUnusable
from jobs.model import Status
from jobs.store.store import Store
from ktclient.config import settings as config
from ktclient.config.servers import ANY
from ktclient.documents.document import Document
from ktclient.errors import BadInput
from ktclient.planning import beginning, read_prompts, split_planner, thinking
from ktclient.planning import forecast as forecasts
from ktclient.planning.forecast import Forecast
from ktclient.planning.options import RequestOptions
from ktclient.planning.thinking import Thinking
from ktclient.prompts import tasks as prompts_tasks
from ktclient.prompts.tasks import Task
from ktclient.servers import selection
from ktclient.servers.selection import Target
from ktclient.tokens import estimate
from ktclient.wording import spoken
from server_bundle.embedded import weights

if TYPE_CHECKING:
    from ktclient.planning.several.choice import Choice

_LARGEST = 10**9
"""Of tokens, attempts and priorities; far below what SQLite's integers hold."""


def check(max_tokens: int | None, max_attempts: int, timeout: float | None) -> None:
    """Raises `BadInput` for numbers out of range."""
    if max_tokens is not None and not 1 <= max_tokens <= _LARGEST:
        raise BadInput(
            f"max_tokens (--max-tokens) must be from 1 to {_LARGEST:,}, not {max_tokens}"
        )
    if not 1 <= max_attempts <= _LARGEST:
        raise BadInput(
            f"max_attempts (--max-attempts) must be from 1 to {_LARGEST:,}, not {max_attempts}"
        )
    if timeout is not None and not 0 < timeout < float("inf"):
        raise BadInput(f"timeout (--timeout) must be a number of seconds above 0, not {timeout}")


def check_priority(priority: int) -> None:
    """Raises `BadInput` for a priority that cannot be stored."""
    if abs(priority) > _LARGEST:
        raise BadInput(
            f"priority (--priority) must be from -{_LARGEST:,} to {_LARGEST:,}, not {priority}"
        )


def forecast(
    document: Document,
    options: RequestOptions,
    settings: config.Settings,
    on_progress: weights.Progress = lambda what, done, total: None,
) -> list[Forecast]:
    """The forecast for each task. Stores nothing. Raises what `submission.enqueue` raises, except
    `DoesNotFit`: the verdicts say it."""
    return forecast_all([document], options, settings, on_progress)[0]


def forecast_all(
    documents: Sequence[Document],
    options: RequestOptions,
    settings: config.Settings,
    on_progress: weights.Progress = lambda what, done, total: None,
) -> list[list[Forecast]]:
    """The same for several documents. The server is queried once, with patience for the longest."""
    check(options.max_tokens, options.max_attempts, options.timeout)
    split_planner.check(options.split)
    if options.server == ANY or (options.server is None and settings.is_any):
        return _forecast_any(documents, options, settings, on_progress)
    target = selection.choose(settings, *options.chosen)
    longest = max(options.tasks, key=lambda task: len(task.text))
    text = max((document.text for document in documents), key=len)
    message = options.generation.with_system(prompts_tasks.message(text, longest))
    most = options.answer_limit(longest)
    target = forecasts.resolve_target(
        message, most, target, settings, on_progress, options.patience
    )

    marks = forecasts.marks_of(target, settings)
    manner = options.generation
    said = Thinking(manner.thinking, manner.effort)
    thinking.require(said, target.facts, settings)
    begins = beginning.of_task(target.facts, manner, settings)
    around = forecasts.Around(manner.system is None, said, begins=begins)

    def written(document: Document, task: Task) -> tuple[str, Counter[str]]:
        message = options.generation.with_system(prompts_tasks.message(document.text, task))
        found = Counter[str]()
        return marks.harmless(message, found), found

    def say(document: Document, task: Task, around: forecasts.Around) -> Forecast:
        message, found = written(document, task)
        most = options.answer_limit(task)
        one = forecasts.from_target(message, most, options.timeout, target, settings, around)
        one = replace(one, harmless=found)
        if not split_planner.is_needed(one, task, options.split):
            return one
        wish = split_planner.SplitRequest(
            task,
            most,
            options.split,
            options.generation,
            options.timeout,
            options.max_attempts,
            marks,
        )
        return split_planner.plan(replace(one, cached=None), document, wish, settings, on_progress)

    def say_all(document: Document) -> list[Forecast]:
        """The server has read the document when it comes to the second question."""
        first, *others = tasks_for(document, options)
        before = around
        if (job := _job_about(document, begins, target, settings)) is not None:
            text = marks.harmless(manner.with_system(document.text), Counter[str]())
            read = read_prompts.take(job, text, begins, None)
            before = replace(around, earlier=replace(read, tokens=read.rough))
        found = [say(document, first, before)]
        if not others:
            return found
        read = read_prompts.take("", written(document, first)[0], begins, None)
        later = replace(around, earlier=replace(read, tokens=found[0].count.tokens))
        return found + [say(document, task, later) for task in others]

    return [say_all(document) for document in _reported(documents, on_progress)]


def _reported(documents: Sequence[Document], on_progress: weights.Progress) -> Iterator[Document]:
    """The documents, each reported as it comes: counting millions of tokens takes seconds."""
    for number, document in enumerate(documents, 1):
        if len(documents) > 1:
            on_progress("counting the tokens of documents", number, len(documents))
        yield document


def _forecast_any(
    documents: Sequence[Document],
    options: RequestOptions,
    settings: config.Settings,
    on_progress: weights.Progress,
) -> list[list[Forecast]]:
    """Each document for the server that is the best for it, after those before it."""
    from ktclient.planning.several import choice

    servers = choice.read(settings)
    found = []
    for document in _reported(documents, on_progress):
        tasks = tasks_for(document, options)
        longest = max(tasks, key=lambda task: len(task.text))
        message = options.generation.with_system(prompts_tasks.message(document.text, longest))
        need = choice.Need(
            estimate.estimate(message).likely,
            options.answer_limit(longest),
            choice.sha256(document.text),
            choice.read_at(servers, message, "", settings),
        )
        chosen = servers.take(need, options.model)
        for_one = replace(options, server=chosen.server)
        (forecasts_of_it,) = forecast_all([document], for_one, settings, on_progress)
        found.append([_of_choice(one, chosen) for one in forecasts_of_it])
    return found


def _of_choice(one: Forecast, chosen: Choice) -> Forecast:
    target = replace(one.target, why=chosen.why, others=chosen.others)
    return replace(one, target=target)


def _job_about(
    document: Document, begins: str, target: Target, settings: config.Settings
) -> str | None:
    """The id of a job that runs or waits and reads this document behind the same beginning: on a
    server with a prefix cache, it has read it when a new job has its turn."""
    if target.facts is None or not target.facts.has_prefix_cache:
        return None
    try:
        store = Store.open_if_any(settings.state)
        if store is None:
            return None
        with store:
            jobs = [*store.in_status(Status.RUNNING), *store.next_in_line()]
    except StoreUnusable:
        return None
    sha256 = hashlib.sha256(document.text.encode()).hexdigest()
    found = (one for one in jobs if (one.pool, one.document) == (target.server, sha256))
    return next((one.id for one in found if beginning.of_job(one) == begins), None)


def tasks_for(document: Document, options: RequestOptions) -> list[Task]:
    return [task.about(document.title) for task in options.tasks]


def repeated_prefills(before: Sequence[Forecast]) -> str | None:
    """A warning about the cost of several questions on a server without a prefix cache; None if
    they cost one prefill, or if the cost is unknown."""
    facts = before[0].target.facts
    if len(before) < 2 or facts is None or facts.has_prefix_cache is not False:
        return None
    times = [one.expected.seconds for one in before if one.expected is not None]
    words = f", about {spoken(sum(times))} in total" if len(times) == len(before) else ""
    return (
        f"this server has no prefix cache: it prefills the document {len(before)} times{words}; "
        "--together asks all questions in one request with one prefill"
    )
