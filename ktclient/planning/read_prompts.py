"""What a server has read lately for ktjob, and so how much of a new prompt its prefix cache has.

Of each prompt that was answered, the notes of its server keep the size and digests of its
beginnings, but no text: a new prompt that begins alike has these digests too. What other clients
had read there meanwhile is not known, so this is a prediction. The sizes also show by how much an
estimate from characters is wrong for this model and its chat template.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from jobs import clock
from ktclient.planning.token_count import Count
from ktclient.servers.dialects import llamacpp
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.memory import Memory
from ktclient.tokens import estimate

KEPT = 8
"""Prompts for each model of a server."""
LASTS_SECONDS = 3600.0
"""How long a prompt counts if it is unknown whether the server was restarted since (as in
`servers.memory`)."""
LEAST_TOKENS = 64
"""What is predicted to be cached at least: system messages of chat templates are shorter."""
_MARKS = 64
_FINE = 64
_FINE_STRETCH = 4096
"""Digests are taken at so many places of a text, and every `_FINE` characters of its last
`_FINE_STRETCH`, where a question ends the document."""
_TEMPLATE_END = 8
"""Tokens that a chat template has behind the text, about (DeepSeek V4: 2, SmolLM2: 6)."""
_TEMPLATE_TOKENS = 128
"""Tokens of a chat template and its system message, which no estimate from the text counts, at
most (DeepSeek V4 with thinking: 92, SmolLM2: 31)."""
_PROVED_TOKENS = 256
_PROVED_BY = 2
"""So many prompts in a row that the cache should have served for `_PROVED_TOKENS` or more, and of
which it had less than half, prove that it does not."""
_LIKE = 4.0
"""Estimates are corrected by a prompt of at most so many times the size, or as many times less."""


@dataclass(frozen=True)
class ReadPrompt:
    """One prompt. `marks`: positions in its text (characters), each with the digest of all before
    it. `rough`: its tokens as estimated from the characters; `tokens`: as its server counted them;
    `answer`: those of the answer; `cached`: those that came from the cache, None if the server does
    not say; `foreseen`: as many as that were predicted."""

    job: str
    at: str
    run: str | None
    marks: tuple[tuple[int, str], ...]
    characters: int
    rough: int
    tokens: int = 0
    answer: int = 0
    cached: int | None = None
    foreseen: int = 0

    def shared(self, text: str, begins: str) -> int:
        """Characters at the beginning of `text` that this prompt began with too, at least."""
        found = 0
        pairs = zip(_digests(text, begins, [at for at, _ in self.marks]), self.marks, strict=False)
        for mine, mark in pairs:
            if mine != mark:
                break
            found = mark[0]
        return found


@dataclass(frozen=True)
class Cached:
    """`tokens` of a prompt that its server probably has in its cache, because it read them for
    `job`; `share` of the prompt, from 0 to 1."""

    job: str
    tokens: int
    share: float

    def __str__(self) -> str:
        return f"cached: {math.floor(self.share * 100)} %"


def take(
    job: str, text: str, begins: str, run: str | None, places: Sequence[int] = ()
) -> ReadPrompt:
    """A prompt that is about to be sent. `begins`: a name of what the server reads before the text
    (`planning.beginning`); `places`: where a later text probably ceases to be the same."""
    step = max(_FINE, -(-len(text) // _MARKS))
    fine = max(0, len(text) - _FINE_STRETCH)
    regular = (*range(step, fine, step), *range(fine + _FINE, len(text), _FINE))
    ends = sorted({*regular, *places, len(text)})
    marks = tuple(_digests(text, begins, [at for at in ends if at]))
    return ReadPrompt(job, "", run, marks, len(text), estimate.estimate(text).likely)


def continued(read: ReadPrompt, text: str, answer: str, begins: str) -> ReadPrompt:
    """A prompt, as its server counted it, together with its answer, as the next request of the same
    chat repeats both: that is in the cache too."""
    whole = take(read.job, text + answer, begins, read.run, (len(text),))
    return replace(
        whole,
        tokens=read.tokens + read.answer,
        cached=read.cached,
        foreseen=read.foreseen,
    )


def record(memory: Memory, server: str, model: str, place: int, read: ReadPrompt) -> None:
    """Keep a prompt that was answered, instead of the one `KEPT` jobs before. `place`: the number
    of its job."""
    row = asdict(replace(read, at=clock.now()))
    memory.remember(server, _name(model, place), row)


def recall(memory: Memory, server: str, model: str, run: str | None) -> list[ReadPrompt]:
    """The prompts that this run of a server has read, the newest first."""
    rows = (memory.recall(server, _name(model, place)) for place in range(KEPT))
    found = [one for one in map(_of_row, rows) if one is not None and _is_of(one, run)]
    return sorted(found, key=lambda one: one.at, reverse=True)


def predict(
    reads: Sequence[ReadPrompt], text: str, begins: str, count: Count, facts: ServerFacts | None
) -> tuple[Count, Cached | None]:
    """The count, corrected by earlier prompts if it is only estimated, and what of it is probably
    cached; None if nothing is, or if that is not known. `reads`: the newest first."""
    count, cached = foresee(reads, text, begins, count, facts)
    return count, cached if cached is not None and _is_trusted(reads, facts) else None


def foresee(
    reads: Sequence[ReadPrompt], text: str, begins: str, count: Count, facts: ServerFacts | None
) -> tuple[Count, Cached | None]:
    """The same, whether or not this server's cache has proved to serve such prompts."""
    found = [(one.shared(text, begins), one) for one in reads if one.tokens]
    shared, best = max(found, key=lambda pair: pair[0], default=(0, None))
    if best is None or not shared:
        return _corrected(reads, count), None
    tail = estimate.estimate(text[shared:]).likely
    rest = round(tail * best.tokens / max(1, best.rough)) + _TEMPLATE_END
    known = best.tokens * shared // best.characters
    count = _believed(count, known + rest)
    tokens = max(0, count.tokens - rest)
    if facts is not None and facts.page:
        tokens -= tokens % facts.page
    if tokens < LEAST_TOKENS or not _is_kept(reads, best, count.tokens, facts):
        return count, None
    return count, Cached(best.job, tokens, tokens / count.tokens)


def _is_kept(
    reads: Sequence[ReadPrompt], read: ReadPrompt, tokens: int, facts: ServerFacts | None
) -> bool:
    """Whether the pool has room for this prompt, the new one, and what ktjob sent in between: the
    oldest is evicted first. llama.cpp keeps former prompts in memory besides its slots (seen with
    xllamacpp 2026.10: the prompt before the last one was cached too)."""
    if facts is None or facts.has_prefix_cache is False:
        return False
    if facts.pool is None or facts.dialect == llamacpp.NAME:
        return True
    later = reads[: reads.index(read)]
    new = sum(one.tokens - (one.cached or 0) + one.answer for one in later)
    return read.tokens + read.answer + new + tokens <= facts.pool


def _is_trusted(reads: Sequence[ReadPrompt], facts: ServerFacts | None) -> bool:
    """Whether its last prompts do not prove that the cache serves none. Of a server that does not
    say whether it has one, they must prove that it does."""
    tried = [one for one in reads if one.foreseen >= _PROVED_TOKENS and one.cached is not None]
    hits = [(one.cached or 0) >= one.foreseen / 2 for one in tried[:_PROVED_BY]]
    if facts is None or facts.has_prefix_cache is None:
        return any(hits)
    return len(hits) < _PROVED_BY or any(hits)


def _corrected(reads: Sequence[ReadPrompt], count: Count) -> Count:
    """An estimate from characters, as wrong as that of the earlier prompt next in size was."""
    if not count.is_rough or count.tokens < 1:
        return count
    sizes = [(abs(math.log(one.rough / count.tokens)), one) for one in reads if one.rough > 0]
    off, nearest = min(sizes, key=lambda pair: pair[0], default=(math.inf, None))
    if nearest is None or off > math.log(_LIKE) or not nearest.tokens:
        return count
    return _believed(count, round(count.tokens * nearest.tokens / nearest.rough))


def _believed(count: Count, tokens: int) -> Count:
    """An estimate corrected to so many tokens. A size that its text cannot have is not believed: a
    gateway may report anything, and the earlier text may be of another kind."""
    if not count.is_rough or not count.low <= tokens <= count.high + _TEMPLATE_TOKENS:
        return count
    by = f"{count.by}; corrected by an earlier prompt on this server"
    return replace(count, tokens=tokens, by=by)


def _digests(text: str, begins: str, places: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Of the beginnings of a text that end at these places, in order, as far as it has them."""
    so_far, start = hashlib.blake2b(begins.encode("utf-8", "surrogatepass"), digest_size=8), 0
    for place in places:
        if place > len(text):
            return
        so_far.update(text[start:place].encode("utf-8", "surrogatepass"))
        start = place
        yield place, so_far.copy().hexdigest()


def _is_of(read: ReadPrompt, run: str | None) -> bool:
    if run is not None and read.run is not None:
        return run == read.run
    try:
        return 0 <= clock.seconds_between(read.at, clock.now()) <= LASTS_SECONDS
    except ValueError:
        return False


def _of_row(row: dict[str, Any] | None) -> ReadPrompt | None:
    """Unreadable data counts as none: it is only used for predictions."""
    try:
        marks = tuple((int(at), str(digest)) for at, digest in (row or {})["marks"])
        return ReadPrompt(**{**(row or {}), "marks": marks})
    except (KeyError, TypeError, ValueError):
        return None


def _name(model: str, place: int) -> str:
    return f"prompt {place % KEPT} of {model}"
