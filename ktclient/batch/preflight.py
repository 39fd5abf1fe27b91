"""Check a batch file: its server, tokens, time, and the model of each request. Stores nothing."""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from jobs.errors import KtjobError
from ktclient import wording
from ktclient.batch.file import Line, Problem
from ktclient.batch.spec import Request
from ktclient.config import settings as config
from ktclient.config.servers import ANY
from ktclient.documents import document as documents
from ktclient.documents import turn_marks
from ktclient.errors import DoesNotFit
from ktclient.planning import forecast as forecasts
from ktclient.planning import prefill_time, read_prompts, thinking
from ktclient.planning.options import MAX_ATTEMPTS, MAX_TOKENS
from ktclient.planning.prefill_time import PrefillModel
from ktclient.planning.read_prompts import ReadPrompt
from ktclient.planning.several import choice
from ktclient.planning.thinking import Thinking
from ktclient.planning.token_count import Count
from ktclient.prompts import generation
from ktclient.request.body import Body
from ktclient.servers import probe, selection, survey
from ktclient.servers.selection import Target
from ktclient.submission import chat_request, prefix
from ktclient.submission.conditions import Conditions
from ktclient.tokens import estimate
from ktclient.tokens.estimate import Estimate
from ktclient.wording import quote
from server_bundle.embedded import server as embedded
from server_bundle.embedded import weights

_MOST_TOLD = 10
SHARE_SECONDS = 2.0
"""How long another server may take to report its window and pool."""


@dataclass(frozen=True)
class Options:
    """How to run a batch file. Values in its requests take precedence."""

    results: str
    errors: str | None = None
    """A separate file for lines that failed."""
    max_tokens: int | None = None
    """Upper limit for any answer. None: each request's own value, or `MAX_TOKENS`."""
    timeout: float | None = None
    model: str | None = None
    server: str | None = None
    max_attempts: int = MAX_ATTEMPTS
    priority: int = 0
    retry_failed: bool = False
    conditions: Conditions = field(default_factory=Conditions)
    tellings: tuple[tuple[str, str], ...] = ()
    """The notifications of the batch's end, as returned by `delivery.parse_targets`."""
    usual_max_tokens: int | None = None
    """The limit of an answer where neither `max_tokens` nor its request sets one. None:
    `MAX_TOKENS`."""
    is_by_window: bool = False
    """Set that limit by the server's window, as for a chat over HTTP."""
    effort: str | None = None
    """How hard to think, for requests that say nothing about thinking."""
    force: bool = False
    """Replace a results file, or one of errors, that another program wrote."""

    def answer_limit(self, body: Body) -> int:
        """Maximum tokens of the answer to this request."""
        if body.max_tokens is None:
            return self.max_tokens or self.usual_max_tokens or MAX_TOKENS
        return min(body.max_tokens, self.max_tokens or body.max_tokens)


@dataclass(frozen=True)
class Batch:
    """A checked batch file. `seconds`: to prefill all of it; None if unknown. `shares`: the other
    servers that get some of its requests."""

    title: str
    target: Target
    requests: tuple[Request, ...]
    tokens: int
    seconds: float | None
    by: str
    notes: tuple[str, ...]
    shares: tuple[Target, ...] = ()


def prepare(
    name: str,
    lines: Sequence[Line],
    options: Options,
    settings: config.Settings,
    on_progress: weights.Progress = lambda what, done, total: None,
) -> Batch:
    """Find the server, and check each request against it. Of several servers (`--server any`), the
    checks are made for the best of them. Raises `DoesNotFit` listing all that do
    not fit."""
    batch, too_long = assess(name, lines, options, settings, on_progress)
    if too_long:
        raise DoesNotFit(_what_does_not_fit(title_of(name), too_long))
    return batch


def assess(
    name: str,
    lines: Sequence[Line],
    options: Options,
    settings: config.Settings,
    on_progress: weights.Progress = lambda what, done, total: None,
) -> tuple[Batch, list[Problem]]:
    """The same, with the requests that do not fit beside it."""
    longest = max(lines, key=lambda line: len(line.body))
    body = Body.from_bytes(longest.body)
    most = options.answer_limit(body)
    target, shares = _servers(body.text, most, options, settings)
    target = forecasts.resolve_target(body.text, most, target, settings, on_progress)
    if options.is_by_window:
        options = replace(options, usual_max_tokens=chat_request.usual_answer(target))
    if options.effort is not None:
        generation.parse(effort=options.effort)
        thinking.require(Thinking(True, options.effort), target.facts, settings)
        lines = [_thinking(line, options.effort) for line in lines]
    naming = _Naming(target, target.model, settings)
    scale = _Scale(target, options, settings)
    requests = tuple(scale.request(line, naming) for line in lines)
    notes = [*naming.notes(), *scale.notes()]
    seconds = scale.seconds if scale.belief is not None else None
    title = title_of(name)
    known = scale.tokens, seconds, scale.by, tuple(notes)
    return Batch(title, target, requests, *known, shares), scale.too_long


def _servers(
    text: str, most: int, options: Options, settings: config.Settings
) -> tuple[Target, tuple[Target, ...]]:
    """The server, and those that share the requests with it if the batch may have any: all that
    serve its model, answer now, and have room for the longest request (`text`, `most` tokens)."""
    is_any = options.server == ANY or (options.server is None and settings.is_any)
    if not is_any:
        return selection.choose(settings, options.server, options.model), ()
    need = choice.Need(estimate.estimate(text).likely, most, "")
    chosen = choice.read(settings).take(need, options.model)
    target = selection.choose(settings, chosen.server, options.model)
    target = replace(target, why=chosen.why, others=chosen.others)
    shares = []
    for url in chosen.others:
        with contextlib.suppress(KtjobError):  # it is away, or has another model now
            one = selection.choose(settings, url, target.chosen_model)
            if one.facts is not None:
                facts = survey.survey(one.server, one.facts, settings, SHARE_SECONDS)
                shares.append(replace(one, facts=facts))
    return target, tuple(shares)


def _thinking(line: Line, effort: str) -> Line:
    """The line with this effort, if it says nothing about thinking."""
    body = Body.from_bytes(line.body)
    return (
        line if body.tells_of_thinking else replace(line, body=body.with_effort(effort).to_bytes())
    )


def title_of(name: str) -> str:
    """The file's name, for people."""
    return "standard input" if name == documents.STDIN else documents.display_name(Path(name).name)


def _what_does_not_fit(title: str, too_long: list[Problem]) -> str:
    listed = "".join(f"\n  line {one.number} {one.message}" for one in too_long[:_MOST_TOLD])
    more = len(too_long) - _MOST_TOLD
    rest = f"\n  and {more:,} more" if more > 0 else ""
    return f"{title} cannot be run, and nothing was stored:{listed}{rest}"


class _Naming:
    """Which model each request is for. Batch files often name models that a self-hosted server does
    not have: then the server's own model is used."""

    def __init__(self, target: Target, named: str | None, settings: config.Settings) -> None:
        self._named = named
        key = settings.key_for(target.server)
        self._known = probe.names(target.facts.url, key) if target.facts and not named else ()
        self._serves = target.facts.model if target.facts else embedded.MODEL
        self._chosen = target.chosen_model
        self._others: Counter[str] = Counter()

    def of(self, body: Body) -> tuple[str | None, bool]:
        """The model, and whether neither the line nor an option asked for it."""
        if self._named is not None:
            return self._named, False
        if body.model in self._known:
            return body.model, False
        if body.model is not None:
            self._others[body.model] += 1
        return self._chosen, self._chosen is not None

    def notes(self) -> list[str]:
        return [
            f"{wording.count(lines, 'line')} {'names' if lines == 1 else 'name'} {quote(name)}, "
            f"which the server does not serve; {self._serves} is used"
            for name, lines in self._others.items()
        ]


class _Scale:
    """Counts requests, and sums up their tokens and time."""

    def __init__(self, target: Target, options: Options, settings: config.Settings) -> None:
        self._target, self._options, self._settings = target, options, settings
        self.belief, self.by = forecasts.model_of(target, settings)
        self.tokens = 0
        self.seconds = 0.0
        self.too_long: list[Problem] = []
        self._unbounded = self._cut = 0
        self._misread = Counter[str]()
        self._marks, self._harmless = forecasts.marks_of(target, settings), Counter[str]()
        self._earlier: deque[ReadPrompt] = deque(maxlen=read_prompts.KEPT)
        self._read = forecasts.reads_of(target, settings)

    def request(self, line: Line, naming: _Naming) -> Request:
        body = Body.from_bytes(line.body).harmless(self._marks, self._harmless)
        most = self._options.answer_limit(body)
        self._unbounded += body.max_tokens is None
        self._cut += most < (body.max_tokens or most)
        said = Thinking(*body.thinking)
        if (why := thinking.refusal(said, self._target.facts, self._settings)) is not None:
            self._misread[why] += 1
        around = forecasts.Around(body.is_one_text, said, body.surplus_tokens)
        count, verdict = forecasts.assess(body.text, most, self._target, self._settings, around)
        if not verdict.fits:
            words = f"({verdict.reason}). {verdict.cure}"
            self.too_long.append(Problem(line.number, words, "context_length_exceeded", "body"))
        self.tokens += count.tokens
        counted = None if count.is_rough else Estimate(count.low, count.tokens, count.high)
        model, is_chosen = naming.of(body)
        expected = None if self.belief is None else self.belief.first_token(count.tokens)
        if self.belief is not None:
            self.seconds += self._seconds(body, count, self.belief)
        is_short = chat_request.is_short(expected, count.high)
        return Request(
            custom_id=line.custom_id,
            body=line.body,
            model=model,
            is_model_chosen=is_chosen,
            is_short=is_short and not self._target.is_embedded,
            max_tokens=most,
            timeout=self._timeout(expected),
            weight=count.high + most,
            counted=counted,
        )

    def _seconds(self, body: Body, count: Count, belief: PrefillModel) -> float:
        """To its first token, without what the server has in its cache by then: read for the lines
        before this one, or for earlier jobs."""
        text = body.text
        if len(text) < prefix.LEAST_CHARACTERS:
            return belief.first_token(count.tokens).seconds
        begins = prefix.of_fields(body)
        reads = [*self._earlier, *self._read]
        count, cached = read_prompts.predict(reads, text, begins, count, self._target.facts)
        read = read_prompts.take("", text, begins, None)
        self._earlier.appendleft(replace(read, tokens=count.tokens))
        return belief.first_token(count.tokens, 0 if cached is None else cached.tokens).seconds

    def _timeout(self, expected: prefill_time.Estimate | None) -> float:
        """That of an empty cache."""
        if self._options.timeout is not None:
            return self._options.timeout
        if expected is None:
            return prefill_time.LEAST_TIMEOUT_SECONDS
        return prefill_time.timeout(expected)

    def notes(self) -> list[str]:
        notes = [f"{wording.count(lines, 'line')}: {why}" for why, lines in self._misread.items()]
        bound = self._options.max_tokens or self._options.usual_max_tokens or MAX_TOKENS
        if self._unbounded:
            notes.append(
                f"{wording.count(self._unbounded, 'line')} without max_tokens: {bound:,} is used; "
                "change it with --max-tokens"
            )
        if self._cut:
            notes.append(
                f"{wording.count(self._cut, 'line')} with more than --max-tokens {bound:,}: "
                "limited to it"
            )
        if self._harmless:
            notes.append(turn_marks.said("the requests", self._harmless))
        return notes
