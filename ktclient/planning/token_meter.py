"""Count many stretches of one text, to cut it: exactly if the vocabulary is available here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ktclient.config.settings import Settings
from ktclient.planning import token_count
from ktclient.planning.token_count import Count
from ktclient.servers import queries
from ktclient.servers.dialects import llamacpp
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.tokens import estimate

_SAMPLE = 8_000
"""Characters of each of three samples that the server counts, in a fraction of a second."""
_SAMPLE_DOUBT = 1.1
"""How much the text between the samples may differ, as a factor."""


@dataclass(frozen=True)
class Meter:
    """`stretch`: approximate tokens of a stretch of text, never exceeded by more than a factor of
    `doubt`; `whole`: the count of a whole message, including its template."""

    stretch: Callable[[str], float]
    whole: Callable[[str], Count]
    doubt: float


def meter(text: str, facts: ServerFacts, settings: Settings) -> Meter:
    """The meter for this text on this server."""
    exact = token_count.exact_counter(facts, settings)
    if exact is not None:
        return Meter(exact.tokens, exact.count, 1.0)
    factor = _sampled(text, facts, settings)
    if factor is None:
        return Meter(
            _likely, lambda message: token_count.rough(message, "no vocabulary"), estimate.HIGH
        )
    if facts.dialect == llamacpp.NAME:  # it counts a part exactly, in milliseconds
        return Meter(
            lambda part: _likely(part) * factor,
            lambda message: token_count.best(message, facts, settings),
            _SAMPLE_DOUBT,
        )
    return Meter(
        lambda part: _likely(part) * factor,
        lambda message: _by_samples(message, factor),
        _SAMPLE_DOUBT,
    )


def _likely(part: str) -> float:
    return float(estimate.estimate(part).likely)


def _by_samples(message: str, factor: float) -> Count:
    most = int(_likely(message) * factor * _SAMPLE_DOUBT) + token_count.UNKNOWN_TEMPLATE
    return Count(most, False, "the server's tokenizer, by samples")


def _sampled(text: str, facts: ServerFacts, settings: Settings) -> float | None:
    """The ratio of the server's count to the estimate; the largest of three samples; None if
    unknown."""
    middle = (len(text) - _SAMPLE) // 2
    samples = [text[:_SAMPLE], text[max(0, middle) :][:_SAMPLE], text[-_SAMPLE:]]
    factors, key = [], settings.key_for(facts.whose_key)
    for sample in samples:
        counted = None if facts.is_asleep else queries.count(facts, key, sample)
        if counted is None:
            return None
        factors.append(counted / max(1.0, _likely(sample)))
    return max(factors)
