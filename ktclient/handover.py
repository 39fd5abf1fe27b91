"""Check requests before they are stored, and store them: all jobs of a submit, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from jobs.model import Capacity, NewJob
from jobs.store import Store
from ktclient import beyond, conditions, conducting, config, lent_keys, submit_keys, tasks, truth
from ktclient import forecast as forecasts
from ktclient.conditions import Conditions
from ktclient.documents import Document
from ktclient.errors import BadInput, DoesNotFit
from ktclient.forecast import Forecast
from ktclient.manners import Manner
from ktclient.quoting import spoken
from ktclient.servers import choose
from ktclient.servers.choose import Target
from ktclient.servers.dialect import ServerFacts
from ktclient.spec import JobSpec
from ktclient.tasks import Task
from ktclient.tokens import Estimate
from server_bundle import embedded

MAX_TOKENS = 1024
"""The deployment guide's figure for a summary; applies to each of several combined questions."""
MAX_ATTEMPTS = 2
"""One automatic retry if the worker or the server died; none if the server answered."""


@dataclass(frozen=True)
class Options:
    """What to ask, and how. One job per task and document."""

    tasks: tuple[Task, ...]
    max_tokens: int | None = None
    """Maximum tokens of each answer; None: `MAX_TOKENS` for each question of a task."""
    timeout: float | None = None
    model: str | None = None
    server: str | None = None
    max_attempts: int = MAX_ATTEMPTS
    priority: int = 0
    patience: float = forecasts.LONG_PATIENCE_SECONDS
    """Seconds that a busy server may take to report its facts."""
    manner: Manner = field(default_factory=Manner)
    split: beyond.Split = "auto"
    conditions: Conditions = field(default_factory=Conditions)
    tellings: tuple[tuple[str, str], ...] = ()
    """The notifications of each job's end, as returned by `telling.wished`."""

    submit_key: str | None = None
    """The idempotency key: a submit under a known key stores nothing again (submit_keys.py)."""

    def most(self, task: Task) -> int:
        """Maximum tokens of the answer to this task."""
        if self.max_tokens is not None:
            return self.max_tokens
        return MAX_TOKENS * max(1, len(task.questions))


def hand_over(
    document: Document,
    options: Options,
    settings: config.Settings,
    on_progress: embedded.Progress = lambda what, done, total: None,
    on_stored: Callable[[str], None] = lambda job_id: None,
) -> list[tuple[str, Forecast]]:
    """`hand_over_all` of one document."""
    return hand_over_all([document], options, settings, on_progress, on_stored)


def hand_over_all(
    documents: Sequence[Document],
    options: Options,
    settings: config.Settings,
    on_progress: embedded.Progress = lambda what, done, total: None,
    on_stored: Callable[[str], None] = lambda job_id: None,
) -> list[tuple[str, Forecast]]:
    """Check everything that can be checked now, store the jobs, make sure that the runner is alive.
    Returns the ids: those of the first document in the order of the tasks, then the next one's.

    `on_progress` reports downloads, which happen here only if the embedded model's tokenizer is
    needed to decide whether the document fits. `on_stored` is called with each id as soon as all
    jobs are on disk: from then on they run, even if the caller dies.

    Raises `BadInput`, `NoServer` and its leaves, `Unauthorized`, `WrongAddress`, `DoesNotFit` and
    `StoreUnusable`, and for jobs to start after `NoSuchJob` and `AmbiguousId`: nothing is stored
    then. Once the jobs are stored it raises nothing: without a runner the next command starts one.
    """
    needs = _needs(options, settings)
    before = forecast_all(documents, options, settings, on_progress)
    new: list[NewJob] = []
    for document, forecasts_of_it in zip(documents, before, strict=True):
        _require(document, forecasts_of_it, is_alone=len(documents) == 1)
        body = document.text.encode()
        new += [
            replace(_job(document.title, body, task, options, one, settings), needs=needs)
            for task, one in zip(_about(document, options), forecasts_of_it, strict=True)
        ]
    each = [one for forecasts_of_it in before for one in forecasts_of_it]
    new = _keyed(new, options)
    target = each[0].target
    with Store.open(settings.state) as store, lent_keys.lending(settings, target.server):
        capacities = {target.server: capacity_of(store, target)}
        if any(one.split is not None for one in each):
            capacities[conducting.POOL] = conducting.CAPACITY
        stored = store.submit_all(new, capacities)
    if options.submit_key is not None:  # another process may have used the key for another document
        known = options.submit_key, documents, options.tasks, options.manner
        submit_keys.known(*known, settings)
    for job in stored:
        on_stored(job.id)
    truth.serve(settings.state)
    return [(job.id, one) for job, one in zip(stored, each, strict=True)]


def _keyed(new: list[NewJob], options: Options) -> list[NewJob]:
    if options.submit_key is None:
        return new
    key = submit_keys.check(options.submit_key)
    return [
        replace(one, submit_key=submit_keys.of_job(key, number)) for number, one in enumerate(new)
    ]


def _require(document: Document, before: Sequence[Forecast], *, is_alone: bool) -> None:
    for one in before:
        if one.can_run:
            continue
        try:
            one.verdict.require()
        except DoesNotFit as error:
            raise error if is_alone else DoesNotFit(f"{document.title}: {error}") from None


def _job(
    title: str,
    body: bytes,
    task: Task,
    options: Options,
    before: Forecast,
    settings: config.Settings,
) -> NewJob:
    count, most = before.count, options.most(task)
    counted = None if count.is_rough else Estimate(count.low, count.tokens, count.high)
    spec = JobSpec(
        task=task,
        server=before.target.server,
        model=before.target.model,
        max_tokens=most,
        timeout=before.deadline,
        is_lasting=options.timeout is None,
        counted=counted,
        manner=options.manner,
        split=before.split,
    )
    is_split = before.split is not None
    return NewJob(
        pool=conducting.POOL if is_split else before.target.server,
        spec=spec.to_json(),
        document=body,
        title=title,
        weight=1 if is_split else count.high + most,
        max_attempts=conducting.ATTEMPTS if is_split else options.max_attempts,
        priority=options.priority,
        label=options.conditions.label,
        not_before=options.conditions.not_before,
        tellings=options.tellings,
    )


def _needs(options: Options, settings: config.Settings) -> tuple[str, ...]:
    """Ids of the jobs to start after. The runner handles one that fails from now on."""
    if not options.conditions.after:
        return ()
    with truth.told(settings.state) as store:
        return conditions.needed(store, options.conditions.after)


def check(max_tokens: int | None, max_attempts: int, timeout: float | None) -> None:
    """Raises `BadInput` for numbers out of range."""
    if max_tokens is not None and max_tokens < 1:
        raise BadInput(f"max_tokens must be at least 1, not {max_tokens}")
    if max_attempts < 1:
        raise BadInput(f"max_attempts must be at least 1, not {max_attempts}")
    if timeout is not None and not 0 < timeout < float("inf"):
        raise BadInput(f"timeout must be a number of seconds above 0, not {timeout}")


def forecast(
    document: Document,
    options: Options,
    settings: config.Settings,
    on_progress: embedded.Progress = lambda what, done, total: None,
) -> list[Forecast]:
    """What `hand_over` checks first, for each task; stores nothing. Raises the same errors, except
    `DoesNotFit`: the verdicts say it."""
    return forecast_all([document], options, settings, on_progress)[0]


def forecast_all(
    documents: Sequence[Document],
    options: Options,
    settings: config.Settings,
    on_progress: embedded.Progress = lambda what, done, total: None,
) -> list[list[Forecast]]:
    """The same for several documents. The server is queried once, with patience for the longest."""
    check(options.max_tokens, options.max_attempts, options.timeout)
    beyond.check(options.split)
    target = choose.choose(settings, options.server, options.model)
    longest = max(options.tasks, key=lambda task: len(task.text))
    text = max((document.text for document in documents), key=len)
    message = options.manner.with_system(tasks.message(text, longest))
    most = options.most(longest)
    target = forecasts.look(message, most, target, settings, on_progress, options.patience)

    def say(document: Document, task: Task) -> Forecast:
        message = options.manner.with_system(tasks.message(document.text, task))
        is_one = options.manner.system is None
        most = options.most(task)
        one = forecasts.say(message, most, options.timeout, target, settings, is_one=is_one)
        if not beyond.is_wanted(one, task, options.split):
            return one
        wish = beyond.Wish(
            task, most, options.split, options.manner, options.timeout, options.max_attempts
        )
        return beyond.plan(one, document, wish, settings, on_progress)

    return [[say(document, task) for task in _about(document, options)] for document in documents]


def _about(document: Document, options: Options) -> list[Task]:
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


def capacity_of(store: Store, target: Target) -> Capacity:
    """How much the server may be given simultaneously: the configured number, else what it
    reported, else one request. A busy server may not have reported it this time, but may have
    before."""
    facts = target.facts
    known = store.capacities().get(target.server, Capacity()) if _is_untold(facts) else Capacity()
    if facts is None or known.tokens is not None:
        return Capacity(known.tokens, target.parallel or known.slots or 1, known.affinity)
    slots = target.parallel or facts.max_running or 1
    return Capacity(facts.pool, slots, bool(facts.has_prefix_cache))


def _is_untold(facts: ServerFacts | None) -> bool:
    return facts is None or facts.pool is None
