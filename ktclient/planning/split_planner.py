"""Split a document that is too long for one request: the split is planned before the document is
stored, so that the caller learns what it will take."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from ktclient.config.settings import Settings
from ktclient.documents import turn_marks
from ktclient.documents.document import Document
from ktclient.documents.turn_marks import TurnMarks
from ktclient.errors import BadInput
from ktclient.planning import fit, prefill_time, token_meter
from ktclient.planning import forecast as forecasts
from ktclient.planning.forecast import Forecast
from ktclient.planning.token_count import THINKING_WORDS, Count
from ktclient.planning.token_meter import Meter
from ktclient.prompts import tasks
from ktclient.prompts.generation import GenerationSettings
from ktclient.prompts.tasks import Task
from ktclient.servers.selection import Target
from ktclient.splitting import chunks as splitting_chunks
from ktclient.splitting import part_prompts
from ktclient.splitting.split_plan import HEADING_TOKENS, Plan
from ktclient.tokens import estimate
from ktclient.tokens.estimate import Estimate
from server_bundle.embedded import server as embedded
from server_bundle.embedded import weights

Split = int | Literal["auto", "never"]
"""When to split: if a document is too long for one request ("auto"), never, or into parts of at
most this many tokens."""
MOST_PARTS = 64
""""auto" makes no more parts than this: a file that was named by mistake is refused."""
LEAST_PART = 512
"""Tokens of a part, including its question. Shorter parts are more question than text."""
_OVERLAP, _MOST_OVERLAP = 1 / 64, 256
"""How much of the previous part a part repeats: a share of it, and a maximum in tokens."""
_SHARE_OF_ANSWER = 8
"""A part's answer may have one token per this many tokens of the part, and twice the whole answer's
tokens."""
_LEAST_ANSWER = 16
_TOGETHER = 3
"""At least this many answers must fit into one combining request, or combining never ends."""
_TRIES = 6
_AROUND = 192
"""An upper bound in tokens for the note about a part, its heading, and a chat template."""


def parse(text: str) -> Split:
    """Parse the value of --split. Raises `BadInput`."""
    if text == "auto":
        return "auto"
    if text == "never":
        return "never"
    try:
        tokens_of_part = int(text.replace(",", ""))
    except ValueError:
        words = f"--split {text}: use auto, never, or the maximum tokens of a part"
        raise BadInput(words) from None
    return check(tokens_of_part)


def check(split: Split) -> Split:
    """Raises `BadInput` for parts that are too small."""
    if isinstance(split, int) and split < LEAST_PART:
        raise BadInput(f"parts of {split} tokens are too small: the minimum is {LEAST_PART}")
    if isinstance(split, str) and split not in ("auto", "never"):
        raise BadInput(f"split must be 'auto', 'never' or a number of tokens, not {split!r}")
    return split


def is_needed(one: Forecast, task: Task, split: Split) -> bool:
    """Whether to split this request. Several questions in one request are never split; each
    question alone can be."""
    if split == "never" or task.questions:
        return False
    if isinstance(split, int):
        return one.count.tokens > split or one.verdict.kind is fit.Kind.SPLIT
    return one.verdict.kind is fit.Kind.SPLIT and not _fits_with_shorter_answer(one)


def _fits_with_shorter_answer(one: Forecast) -> bool:
    """Whether half the requested answer or more would fit: then one request is worth more, and the
    verdict says so."""
    prompt, most = one.verdict.numbers["prompt"], one.verdict.numbers["max_tokens"]
    assert prompt is not None and most is not None
    return forecasts.limits(one.target).most_answer(prompt) >= most / 2


@dataclass(frozen=True)
class SplitRequest:
    """What to ask about a document, and how."""

    task: Task
    most: int
    """Tokens of the final answer."""
    split: Split
    manner: GenerationSettings
    timeout: float | None
    attempts: int
    marks: TurnMarks = field(default_factory=turn_marks.of_model)
    """The turn marks of the model: parts are counted as they are sent."""


def plan(
    one: Forecast,
    document: Document,
    wish: SplitRequest,
    settings: Settings,
    on_progress: weights.Progress,
) -> Forecast:
    """The forecast with the plan to split it; the forecast unchanged if the window leaves no room
    for parts. Its time then covers all parts, its deadline applies to each. Raises what starting an
    embedded server raises: only its tokenizer can say where to cut."""
    room = _room(forecasts.limits(one.target), wish)
    if room is None:
        return one
    least = math.ceil(estimate.estimate(document.text).low / room.part)
    if wish.split == "auto" and least > MOST_PARTS:
        return _too_many(one, least, room.part)
    target = _up(one.target, settings, on_progress)
    assert target.facts is not None
    meter = token_meter.meter(document.text, target.facts, settings)
    chinese = tasks.is_chinese(document.text)
    found = _fitted(document.text, wish, meter, room, chinese)
    if found is None:
        return one
    expected = _time(found, target, settings)
    longest = _longest(found, target, settings)
    usual = prefill_time.LEAST_TIMEOUT_SECONDS if longest is None else prefill_time.timeout(longest)
    deadline = usual if wish.timeout is None else wish.timeout
    if one.count.is_rough and meter.doubt == 1.0:  # the vocabulary is here
        count = _of_parts(found)
        verdict = forecasts.verdict_of(count, wish.most, forecasts.limits(target))
        one = replace(one, count=count, verdict=verdict)
    return replace(one, target=target, split=found, expected=expected, deadline=deadline)


def _of_parts(plan: Plan) -> Count:
    """The whole document's tokens, by those of its parts without what each repeats of the one
    before."""
    shares = ((one.end - one.start) / max(1, one.end - one.lead) for one in plan.chunks)
    parts = zip(shares, plan.sizes, strict=True)
    tokens = sum(share * size.likely for share, size in parts)
    return Count(round(tokens), False, "counted in parts")


def _too_many(one: Forecast, parts: int, size: int) -> Forecast:
    cure = f"Split, it would take {parts:,} requests or more; to do that: --split {size}. "
    return replace(one, verdict=replace(one.verdict, cure=cure + one.verdict.cure))


def _up(target: Target, settings: Settings, on_progress: weights.Progress) -> Target:
    if target.facts is not None:
        return target
    from ktclient.servers import probe

    running = embedded.ensure_up(settings.state.make_root().server, settings.cache, on_progress)
    return replace(target, facts=probe.probe(running.url, None))


@dataclass(frozen=True)
class _Room:
    """Tokens of a part's message, of its answer, and of the answers that are combined."""

    part: int
    answer: int
    together: int


def _room(limits: fit.Limits, wish: SplitRequest) -> _Room | None:
    """None if no part would be long enough."""
    most = limits.most_prompt(1)
    bound = wish.split if isinstance(wish.split, int) else None
    if most is None:
        if bound is None:
            return None
        most = bound + 2 * wish.most
    answer = max(min(2 * wish.most, (bound or most) // _SHARE_OF_ANSWER), _LEAST_ANSWER)
    last = limits.most_prompt(wish.most)
    asked = 2 * _words(wish)
    together = (most - answer if last is None else min(last, most - answer)) - asked
    if together < _TOGETHER * (answer + HEADING_TOKENS):
        answer = together // _TOGETHER - HEADING_TOKENS
    part = limits.most_prompt(answer)
    part = min(one for one in (part, bound, most - answer) if one is not None)
    if answer < _LEAST_ANSWER or part - asked < LEAST_PART // 2:
        return None
    return _Room(part, answer, together)


def _words(wish: SplitRequest) -> int:
    """An upper bound in tokens for everything in a message besides a part's own text."""
    said = f"{wish.task.text}{wish.task.schema}{wish.manner.system or ''}"
    asked = estimate.estimate(said).high + _AROUND
    return asked + (THINKING_WORDS if wish.manner.thinking else 0)


def _fitted(text: str, wish: SplitRequest, meter: Meter, room: _Room, chinese: bool) -> Plan | None:
    """Cut the text, and cut it again into smaller parts until each whole message fits."""
    most = (room.part - _words(wish)) / meter.doubt
    for _ in range(_TRIES):
        overlap = min(most * _OVERLAP, _MOST_OVERLAP)
        chunks = tuple(splitting_chunks.cut(text, meter.stretch, most, overlap))
        draft = Plan(chunks, (), room.answer, room.together, wish.attempts, chinese)
        counts = _counts(text, wish, meter, draft)
        longest = max(count.high for count in counts)
        if longest <= room.part:
            sizes = (Estimate(count.low, count.tokens, count.high) for count in counts)
            return replace(draft, sizes=tuple(sizes))
        most *= room.part / longest * 0.99
    return None


def _counts(text: str, wish: SplitRequest, meter: Meter, draft: Plan) -> list[Count]:
    return [
        meter.whole(
            wish.marks.harmless(wish.manner.with_system(_message(text, chunk, wish.task, draft)))
        )
        for chunk in draft.chunks
    ]


def _message(text: str, chunk: splitting_chunks.Chunk, task: Task, draft: Plan) -> str:
    document = part_prompts.part_document(text, chunk, draft)
    return tasks.message(document, part_prompts.part_task(task, chunk, draft))


def _time(found: Plan, target: Target, settings: Settings) -> prefill_time.Estimate | None:
    """For all parts in sequence: a server that prefills two at a time prefills each more slowly."""
    belief, _ = forecasts.model_of(target, settings)
    if belief is None:
        return None
    times = [belief.first_token(size.likely) for size in found.sizes]
    return prefill_time.Estimate(
        sum(time.seconds for time in times),
        sum(time.low for time in times),
        sum(time.high for time in times),
    )


def _longest(found: Plan, target: Target, settings: Settings) -> prefill_time.Estimate | None:
    belief, _ = forecasts.model_of(target, settings)
    return None if belief is None else belief.first_token(found.largest)
