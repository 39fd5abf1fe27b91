"""The server of an attempt: found, started where it is the embedded one, and its facts.

A job that was submitted for any server (`--server any`) names the others that may take it. When its
own is away, starting or full, the first of them that answers, serves the same model, and has room
takes it: one transaction, which passes no job that waits there. Once a request was sent, the
attempt stays with its server; and so do later attempts, unless nothing listens there any more, and
so nothing computes what was sent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from jobs import clock
from jobs.errors import KtjobError, NotEnoughMemory, WorkCancelled
from jobs.model import Job, Status
from jobs.store import rerun
from jobs.store.store import Store
from jobs.worker.attempt import RunningAttempt
from ktclient.config import settings as config
from ktclient.errors import NEVER_ACCEPTED, ConnectionRefused, ModelUnknown
from ktclient.planning import fit, own_requests
from ktclient.records import kinds, phases
from ktclient.records.phases import REFUSED, WAITING_FOR_SERVER
from ktclient.servers import listening, memory, probe, queries, survey
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.memory import Known
from ktclient.servers.selection import Target
from ktclient.servers.survey import Inquiry
from ktclient.submission import capacity
from ktclient.submission.spec import JobSpec
from ktclient.wording import count, quote
from ktclient.worker import job_settings
from ktclient.worker.ghost_prefill import GhostPrefills
from ktclient.worker.heartbeat import call_in_thread
from ktclient.worker.job_settings import JobSettings
from server_bundle.embedded import server as embedded
from server_bundle.embedded import weights

WORKER_SECONDS = 15.0
"""Time limit for a query before a request is sent, if the facts are unknown: as long as a chunk of
the guide's deployment, behind which the request would wait as well."""


_MOST_NAMED = 8
"""Names of models in a message."""
FRESH_SECONDS = 600.0
"""A worker does not query facts that are younger than this."""


def fresh_facts(
    attempt: RunningAttempt, server: str, probed: ServerFacts, api_key: str | None
) -> ServerFacts:
    """For a worker, before its request: as `survey`, but fresh facts are not queried, and unknown
    ones are waited for. Raises `WorkCancelled`."""
    run = listening.run_of(probed.url)
    known = memory.load(attempt, server, probed, run)
    if known is not None and survey.is_sure(known) and _age(known) < FRESH_SECONDS:
        return known.facts
    whom = Inquiry(attempt.state, probed, api_key, run, known)
    found = call_in_thread(attempt, lambda: whom.ask(WORKER_SECONDS, is_patient=True))
    if found is not None:
        memory.save(attempt, server, found, run)
    return survey.combined(probed, known, found)


def _age(known: Known) -> float:
    return clock.seconds_between(known.told_at, clock.now())


def find(attempt: RunningAttempt, spec: JobSpec, settings: JobSettings) -> ServerFacts:
    """Find the server; start the embedded one if the job names it."""
    has_waited = attempt.phase in REFUSED
    if spec.server != config.EMBEDDED:
        if attempt.phase != WAITING_FOR_SERVER:  # else keep the phase until the server accepts
            attempt.enter_phase(phases.CONNECTING)
        url, key = spec.server, settings.api_key
    else:
        attempt.enter_phase(phases.PREPARING)
        running = embedded.ensure_up(attempt.state.server, settings.cache, _report_start(attempt))
        url, key = running.url, None
    asked, seen = (None, spec.model) if spec.is_model_chosen else (spec.model, None)
    facts = call_in_thread(attempt, lambda: probe.probe(url, key, asked, seen))
    if spec.is_model_chosen and facts.model != spec.model:
        _use_other_model(attempt, spec, facts)
    facts = replace(facts, is_embedded=spec.server == config.EMBEDDED)
    facts = fresh_facts(attempt, spec.server, facts, key)
    if call_in_thread(attempt, lambda: queries.is_asleep(facts, key)):
        attempt.log_event("server asleep", words="it loads its model first")
    facts = replace(facts, is_asleep=None)  # what follows may wake it: it will be needed
    attempt.record_metrics(server=facts.url, model=facts.model, dialect=facts.dialect)
    if has_waited:  # it is available again
        attempt.record_metrics(last_refusal=None)
    return facts


def _use_other_model(attempt: RunningAttempt, spec: JobSpec, facts: ServerFacts) -> None:
    """The server no longer lists the model that submit chose. One that serves a single model now
    was started anew with it; among several, only a person can say which. Raises `ModelUnknown`."""
    gone = quote(spec.model or "")
    if len(facts.models) > 1:
        raise ModelUnknown(
            f"the server at {facts.url} no longer offers {gone}, the model that submit found "
            f"there. It offers {offered(facts)}. Load that model there and retry, or submit again "
            "with --model"
        )
    attempt.log_event("another model", submit_found=gone, now=quote(facts.model))


def offered(facts: ServerFacts) -> str:
    """The names of the models for chats that a server lists, for a message."""
    more = len(facts.models) - _MOST_NAMED
    names = ", ".join(quote(name) for name in facts.models[:_MOST_NAMED])
    return f"{names} and {count(more, 'other')}" if more > 0 else names


def _report_start(attempt: RunningAttempt) -> weights.Progress:
    now = ""

    def tell(what: str, done: int, total: int) -> None:
        nonlocal now
        if what != now:
            now = what
            attempt.enter_phase(what)
        if total > 1:
            attempt.progress(done, total, "bytes")
        if not attempt.heartbeat():
            raise WorkCancelled("cancelled while the server was being prepared")

    return tell


@contextlib.contextmanager
def other_looked_for(
    attempt: RunningAttempt, spec: JobSpec, ghosts: GhostPrefills
) -> Iterator[None]:
    """Wraps a try to send. If the server has not accepted the request, and another one takes the
    job, the next try is there: after the same pause, and within the same limits, as at one server.
    So two servers that are both full are asked no more often than one."""
    try:
        yield
    except NEVER_ACCEPTED as error:
        is_of_server = not isinstance(error, NotEnoughMemory)  # that is the worker's own
        if is_of_server and spec.others and _may_move(attempt, ghosts, error):
            any(_is_taken(attempt, spec, url, error) for url in spec.others)
        raise


def _may_move(attempt: RunningAttempt, ghosts: GhostPrefills, error: BaseException) -> bool:
    """Not what a server may have: also the request that a gateway lost after it was sent."""
    before = [*attempt.earlier, *attempt.repeated]
    was_sent = any(one.phase not in phases.BEFORE_SENDING for one in before)
    return not (was_sent or ghosts.is_doubtful) or isinstance(error, ConnectionRefused)


def _is_taken(attempt: RunningAttempt, spec: JobSpec, url: str, error: BaseException) -> bool:
    """Whether this server answers, fits, and has the job now."""
    wanted = replace(spec, server=url, has_key=False)
    try:
        settings = job_settings.read(attempt, wanted)
        key = settings.api_key
        facts = call_in_thread(attempt, lambda: probe.probe(url, key, None, spec.model))
        if spec.model is not None and facts.model != spec.model:
            return False
        facts = fresh_facts(attempt, url, facts, key)
    except WorkCancelled:
        raise
    except KtjobError:
        return False
    if not _fits(attempt, spec, facts):
        return False
    others = tuple(dict.fromkeys((spec.server, *spec.others)))
    mine = replace(
        wanted, has_key=key is not None, others=tuple(one for one in others if one != url)
    )
    target = Target(url, "", facts, settings.parallel)
    if not attempt.move(url, mine.to_json(), lambda store: capacity.of(store, target)):
        return False
    attempt.log_event("another server", was=spec.server, now=url, because=str(error))
    return True


def _fits(attempt: RunningAttempt, spec: JobSpec, facts: ServerFacts) -> bool:
    tokens = attempt.job.weight - spec.max_tokens
    limits = fit.Limits(facts.window, facts.pool, facts.page)
    return fit.judge(tokens, spec.max_tokens, limits, exact=False).fits


def offer(attempt: RunningAttempt, spec: JobSpec, *, has_key: bool) -> Callable[[Store], None]:
    """What to do when a server has answered this job: let it have a job that waits for another
    server, may have any, and wants the model that has just answered, if none waits for it. The
    first is one that runs and finds no server (`retry.rest`): it sees the answer itself, and would
    be passed by all behind it if they were given away."""

    def take(store: Store) -> None:
        mine = store.attempt(store.job(attempt.job_id))
        answered = None if mine is None else mine.figures.get("model")

        def spec_here(job: Job) -> str | None:
            if '"others"' not in job.spec or kinds.kind_of(job.spec) is not None:
                return None
            theirs = JobSpec.from_json(job.spec)
            if spec.server not in theirs.others or theirs.model not in (None, answered):
                return None
            if _may_compute(store, job):
                return None
            others = tuple(one for one in (theirs.server, *theirs.others) if one != spec.server)
            mine = replace(theirs, server=spec.server, others=others, has_key=has_key)
            return mine.to_json()

        if not _is_sought(store, spec_here):
            store.hand_over(spec.server, spec_here)

    return take


def _is_sought(store: Store, spec_here: Callable[[Job], str | None]) -> bool:
    """Whether a job that runs, has sent nothing, and waits for a server to accept its request may
    have this one."""
    found = [job for job in store.in_status(Status.RUNNING) if spec_here(job)]
    attempts = [[one.phase for one in store.attempts(job.id)] for job in found]
    return any(
        phases.BEFORE_SENDING.issuperset(seen) and seen[-1] == WAITING_FOR_SERVER
        for seen in attempts
    )


def _may_compute(store: Store, job: Job) -> bool:
    """Whether a server may still compute a request that this job repeats."""
    return any(own_requests.may_compute(one) for one in rerun.attempts_before(store, job))
