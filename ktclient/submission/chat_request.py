"""One request body of /v1/chat/completions becomes a job: check it against its server, store it.

`preflight` and `enqueue` do the same for a document and a task, `batch.preflight` for the lines of
a file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from jobs.model import Job, NewJob, NewRequest
from jobs.store.store import Store
from ktclient.config import settings as config
from ktclient.errors import ModelUnknown
from ktclient.planning import forecast as forecasts
from ktclient.planning import prefill_time, preflight, thinking, token_count
from ktclient.planning.forecast import Forecast, Learned
from ktclient.planning.options import MAX_ATTEMPTS
from ktclient.planning.thinking import Thinking
from ktclient.prompts.tasks import Kind, Task
from ktclient.request.body import Body
from ktclient.servers import models, selection
from ktclient.servers.selection import Target
from ktclient.submission import capacity, lent_keys, prefix
from ktclient.submission.spec import JobSpec
from ktclient.tokens.estimate import Estimate
from ktclient.wording import quote
from server_bundle.embedded import server as embedded

MOST_USUAL_ANSWER = 16_384
"""Tokens. The limit of an answer where the body sets none, if a quarter of the window is not less:
a program that sets none expects no limit, and what is reserved is not there for other jobs."""
LEAST_USUAL_ANSWER = 1024
FORESEEN_FROM = 1_000
"""Characters. What is cached of a shorter text is read in no time anyway (as `LEAST_TOKENS` of
`planning.calibration`)."""


@dataclass(frozen=True)
class ChatOptions:
    """What is said beside the body."""

    server: str | None = None
    model: str | None = None
    """The model to request instead of the body's own."""
    is_quick: bool = False
    """Whether a long body may be counted by a sample of it, where that decides nothing."""
    is_model_listed: bool = False
    """Whether the server must list the model."""
    max_tokens: int | None = None
    """The limit of an answer where the body sets none; None: by the window."""
    timeout: float | None = None
    """Seconds for the whole request; None: set by the forecast, and extended while it makes
    progress."""
    priority: int = 0
    label: str | None = None
    max_attempts: int = MAX_ATTEMPTS
    patience: float = forecasts.PATIENCE_SECONDS
    """Seconds that a busy server may take to report its facts."""
    submit_key: str | None = None
    request: NewRequest | None = None
    others: tuple[str, ...] = ()
    """Servers that may take the job before it is sent: their URLs."""


@dataclass(frozen=True)
class KnownServer:
    """A server that was found and queried, and what is known of its speed."""

    target: Target
    learned: Learned


@dataclass(frozen=True)
class CheckedChat:
    """A body, and what is known of it before it is sent."""

    body: Body
    known: KnownServer
    forecast: Forecast
    max_tokens: int
    model: str | None
    """None: the model that the server serves."""

    @property
    def target(self) -> Target:
        return self.known.target


def check(
    body: Body, options: ChatOptions, settings: config.Settings, known: KnownServer | None = None
) -> CheckedChat:
    """Find the server and check the body against it. `body` must be valid (`body.problems`).
    `known`: the server, if it was found and queried a moment ago.

    Raises `BadInput`, `NoServer` and its leaves, `Unauthorized`, `WrongAddress`, `ModelUnknown`,
    and what starting an embedded server raises. A body that does not fit is no error here: the
    forecast's verdict says it.
    """
    preflight.check(options.max_tokens, options.max_attempts, options.timeout)
    preflight.check_priority(options.priority)
    text = body.text
    if known is None:
        target = _target(body, text, options, settings)
        known = KnownServer(target, forecasts.model_of(target, settings))
    target = known.target
    said = Thinking(*body.thinking, is_left=True)
    thinking.require(said, target.facts, settings)
    most = body.max_tokens or options.max_tokens or usual_answer(target)
    is_sampled = options.is_quick and len(text) >= token_count.SAMPLED_FROM
    around = forecasts.Around(
        is_one=body.is_one_text,
        thinking=said,
        surplus=body.surplus_tokens,
        sample_below=_room(target, settings) if is_sampled else None,
        begins=prefix.of_fields(body),
        foresees=len(text) >= FORESEEN_FROM,
        learned=known.learned,
    )
    before = forecasts.from_target(text, most, options.timeout, target, settings, around)
    return CheckedChat(body, known, before, most, target.chosen_model)


def _target(body: Body, text: str, options: ChatOptions, settings: config.Settings) -> Target:
    """The server, with what it says of itself."""
    target = selection.choose(settings, options.server, options.model or body.model)
    if options.is_model_listed:
        _require_listed(target, settings)
    most = body.max_tokens or options.max_tokens or usual_answer(target)
    return forecasts.resolve_target(
        text, most, target, settings, lambda what, done, total: None, options.patience
    )


def _room(target: Target, settings: config.Settings) -> int:
    """Tokens in the target's pool that no job has or waits for. Where there are fewer than a new
    one may need, it has to wait, and its weight has to be exact."""
    known = forecasts.limits(target)
    with Store.open(settings.state) as store:
        return (known.pool or _UNLIMITED) - store.open_weight(target.server)


_UNLIMITED = 10**12


def _require_listed(target: Target, settings: config.Settings) -> None:
    """Raises `ModelUnknown`. A server that tells no names, or has more than are kept, decides
    itself."""
    facts, asked = target.facts, target.model
    offered = (embedded.MODEL,) if target.is_embedded else facts.models if facts else ()
    if asked is None or not offered or asked in offered or len(offered) >= models.MOST_NAMED:
        return
    if asked == settings.model_of(settings.of_url(target.server)):
        return  # a server need not list a name that it takes
    names = quote(", ".join(offered[:_MOST_TOLD]))
    more = " and others" if len(offered) > _MOST_TOLD else ""
    raise ModelUnknown(
        f"there is no model {quote(asked)}. The server offers {names}{more}; the name of a server "
        'in config.toml, SERVER/MODEL and "default" are possible too'
    )


_MOST_TOLD = 8


def usual_answer(target: Target) -> int:
    """The limit of an answer, in tokens, where nobody sets one."""
    known = forecasts.limits(target)
    least = min((size for size in (known.window, known.pool) if size), default=None)
    if least is None:
        return MOST_USUAL_ANSWER
    return max(min(LEAST_USUAL_ANSWER, least // 2), min(MOST_USUAL_ANSWER, least // 4))


def store(
    opened: Store, checked: CheckedChat, options: ChatOptions, settings: config.Settings
) -> Job:
    """Store the job. Returns the job that exists already under the same submit key, if any. Whoever
    calls must then make sure that a runner is alive.

    Raises `DoesNotFit` and `StoreUnusable`; nothing is stored then.
    """
    checked.forecast.verdict.require()
    target = checked.target
    with lent_keys.lending(settings, target.server):
        capacities = {target.server: capacity.of(opened, target)}
        return opened.submit_all([_job(checked, options, settings)], capacities)[0]


def _job(checked: CheckedChat, options: ChatOptions, settings: config.Settings) -> NewJob:
    count, target = checked.forecast.count, checked.target
    spec = JobSpec(
        task=Task(Kind.REQUEST),
        server=target.server,
        model=checked.model,
        is_model_chosen=target.model is None,
        max_tokens=checked.max_tokens,
        timeout=checked.forecast.deadline,
        is_lasting=options.timeout is None,
        counted=None if count.is_rough else Estimate(count.low, count.tokens, count.high),
        has_key=settings.has_key_for(target.server),
        is_short=not target.is_embedded and is_short(_uncached(checked), count.high),
        is_relayed=True,
        others=options.others,
        prefix=prefix.of_body(checked.body),
        thinking="" if checked.forecast.words is None else str(checked.forecast.words),
    )
    return NewJob(
        pool=target.server,
        spec=spec.to_json(),
        document=checked.body.to_bytes(),
        title=title(checked.body),
        weight=count.high + checked.max_tokens,
        max_attempts=options.max_attempts,
        priority=options.priority,
        label=options.label,
        submit_key=options.submit_key,
        request=options.request,
    )


def _uncached(checked: CheckedChat) -> prefill_time.Estimate | None:
    """The prefill of the whole prompt: a repetition may find an empty cache."""
    belief, _ = checked.known.learned
    return None if belief is None else belief.first_token(checked.forecast.count.tokens)


SHORT_SECONDS = 5.0
SHORT_TOKENS = 2_000
"""What is repeated at most if a worker that others share is killed: a prefill of so many seconds,
or tokens where nothing is known of the server's speed."""


def is_short(expected: prefill_time.Estimate | None, tokens: int) -> bool:
    """Whether a request may share a worker. `expected`: seconds of its prefill, if known."""
    if expected is not None:
        return expected.high <= SHORT_SECONDS
    return tokens <= SHORT_TOKENS


_TITLE_CHARACTERS = 60


def title(body: Body) -> str:
    """A few words of the last message of the user, for lists of jobs: its end, because a question
    stands behind its document."""
    asked = [one for one in body.messages if one.get("role") == "user"] or list(body.messages)
    text = replace(body, fields={"messages": asked[-1:]}).text[-4 * _TITLE_CHARACTERS :]
    words = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return words if len(words) <= _TITLE_CHARACTERS else "…" + words[1 - _TITLE_CHARACTERS :]
