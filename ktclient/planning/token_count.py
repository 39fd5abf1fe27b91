"""Count the prompt tokens of a message, by the best method available for a server.

In this order: the tokenizer.json in the model's folder, if the server runs here; the bundled
DeepSeek V4 vocabulary; the server's own tokenizer; an estimate. Used in the process that submits:
nothing here starts a thread, but a server may be queried.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs import parsing
from ktclient import urls
from ktclient.config.settings import Settings
from ktclient.servers.dialects import llamacpp, vllm
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.tokens import (
    bundled,
    deepseek_effort,
    estimate,
    model_file,
    ranks,
    tokenizers_library,
)
from ktclient.tokens import vocabulary as tokens_vocabulary
from ktclient.tokens.pattern import NotConvertible

if TYPE_CHECKING:
    from ktclient.tokens.counter import Counter

DEEPSEEK_V4_TEMPLATE = 4
"""Tokens around one user message with thinking off: begin of sentence and User before it,
Assistant and </think> after (encoding_dsv4.py of deepseek-ai/DeepSeek-V4-Flash, which sglang uses
for the architecture DeepseekV4ForCausalLM; that repository has no chat template). The recordings
in real/sglang-kt-0.7.2-cpu have 3: a stand-in model with a template without the thinking mark."""
THINKING_WORDS = deepseek_effort.MOST_WORDS
"""How many tokens longer a template may be with thinking on, if nothing better is known."""
UNKNOWN_TEMPLATE = 16
"""Allowance for an unknown template, in tokens. SmolLM2's, with its system message, is 31."""


_SAMPLES, _SAMPLE_CHARACTERS = 64, 1000
"""Evenly spread over a text, so that tables and code in it count with their share."""
SAMPLED_FROM = 4 * _SAMPLES * _SAMPLE_CHARACTERS
"""Characters. Of a shorter text all is counted."""
_SAMPLED_STRAY = 0.2
"""By which share of the sample's count the whole may differ from it."""
_COUNTER_SECONDS = 60.0
"""How long a process uses a server's vocabulary before it asks again which one that is."""


@dataclass(frozen=True)
class Count:
    """Prompt tokens, including the chat template's."""

    tokens: int
    exact: bool
    """Whether the server will report the same number."""
    by: str
    """The method, and the reason if the count is not exact."""

    is_rough: bool = False
    """Whether it is only estimated from the characters."""
    is_sampled: bool = False
    """Whether only parts of the text were counted."""
    may_add: int = 0
    """Tokens that the template may have besides these."""
    is_bounded: bool = False
    """Whether it is exact but for `may_add`."""

    @property
    def low(self) -> int:
        """A safe lower bound: pieces and an unknown template cost a hundredth or a few dozen
        tokens."""
        return self._other_end(estimate.LOW, -1)

    @property
    def high(self) -> int:
        """A safe upper bound."""
        return self._other_end(estimate.HIGH, 1) + self.may_add

    def _other_end(self, factor: float, sign: int) -> int:
        if self.exact or self.is_bounded:
            return self.tokens
        if self.is_rough:
            return math.ceil(self.tokens * factor)
        if self.is_sampled:
            return math.ceil(self.tokens * (1 + sign * _SAMPLED_STRAY))
        return max(0, self.tokens + sign * (self.tokens // 100 + 2 * UNKNOWN_TEMPLATE))

    def __str__(self) -> str:
        return f"{'' if self.exact else '~'}{self.tokens:,}"

    @property
    def in_words(self) -> str:
        """As text for people: "~4,697 tokens"."""
        return f"{self} {'token' if self.tokens == 1 else 'tokens'}"


def best(
    message: str, facts: ServerFacts | None, settings: Settings, *, may_ask: bool = True
) -> Count:
    """Prompt tokens of one user message on this server; `facts` is None if no server is known yet.

    `may_ask`: if the vocabulary is not available here, the server may be asked to count. That
    stalls sglang for all other clients, by ten seconds and more for a long text.

    Queries the server only for what cannot be determined here. Never raises for what it cannot
    read: it takes the next best method, and `by` says so.
    """
    from ktclient.servers import queries

    if facts is None:
        return rough(message, "no server is known")
    if (loaded := _loaded_counter(facts)) is not None:
        return loaded.count(message)
    key = settings.key_for(facts.whose_key)
    folder = queries.model_folder(facts, key) if urls.is_local(facts.url) else None
    here = _by_folder(message, Path(folder), settings.cache) if folder else None
    if here is not None:
        return here
    if bundled.is_deepseek_v4(f"{facts.model} {folder or ''}"):
        return _bundled(f"{facts.model} {folder or ''}").count(message)
    if facts.is_asleep:
        return rough(message, "the server is asleep, and is not woken for that")
    counted = queries.count(facts, key, message) if may_ask else None
    if counted is not None:
        exact = facts.dialect in (llamacpp.NAME, vllm.NAME)  # others: in pieces, and no template
        return Count(counted, exact, "the server's tokenizer" + ("" if exact else ", in pieces"))
    return rough(message, "its vocabulary is not available")


def rough(message: str, why: str = "") -> Count:
    """Estimated from its characters, which costs nothing. `why`: the reason, if it needs one."""
    by = "estimated from the number of characters" + (f": {why}" if why else "")
    return Count(estimate.estimate(message).likely, False, by, is_rough=True)


class Exact:
    """A vocabulary available here, ready to count many stretches of text."""

    def __init__(
        self, vocabulary: ranks.Ranks, by: str, template: int | None, doubt: str | None = None
    ) -> None:
        from ktclient.tokens.counter import Counter

        self._counter: Counter = Counter(vocabulary)
        self.by, self._template, self._doubt = by, template, doubt

    def tokens(self, text: str) -> int:
        """Tokens of a stretch of text, without a template."""
        return self._counter.count(text)

    def count(self, message: str) -> Count:
        """Tokens of a whole message, with its template."""
        doubt = self._counter.doubts(message) or self._doubt
        return _with_template(self.tokens(message), self.by, self._template, doubt)


def _bundled(name: str) -> Exact:
    """DeepSeek V4's vocabulary, for a model of this name or folder."""
    is_other = deepseek_effort.is_v41(name)
    doubt = "with which V4.1's was not compared" if is_other else None
    by = "DeepSeek V4's vocabulary"
    return Exact(bundled.deepseek_v4(), by, DEEPSEEK_V4_TEMPLATE, doubt)


def exact_counter(facts: ServerFacts, settings: Settings) -> Exact | None:
    """The server's vocabulary, if it is available here and counts quickly; else None."""
    from ktclient.servers import queries

    key = settings.key_for(facts.whose_key)
    folder = queries.model_folder(facts, key) if urls.is_local(facts.url) else None
    if folder:
        path = tokens_vocabulary.file_in(Path(folder))
        try:
            return Exact(
                tokens_vocabulary.of_file(path, settings.cache), str(path), _template(Path(folder))
            )
        except (OSError, NotConvertible):
            pass  # try the next method
    if bundled.is_deepseek_v4(f"{facts.model} {folder or ''}"):
        return _bundled(f"{facts.model} {folder or ''}")
    return None


_counters: dict[tuple[str, str], tuple[float, Exact | None]] = {}
"""By URL and model, with the time at which they were made. A few: a gateway has few servers."""
_MOST_COUNTERS = 4


def sampled(message: str, facts: ServerFacts, settings: Settings) -> Count | None:
    """A count of parts of a long text, which costs a hundredth of a second once the vocabulary is
    loaded; it stays loaded in this process. None for a short text, or if no vocabulary is available
    here."""
    if len(message) < SAMPLED_FROM:
        return None
    exact = _counter_of(facts, settings)
    if exact is None:
        return None
    step = len(message) / _SAMPLES
    starts = (int(step * (number + 0.5)) - _SAMPLE_CHARACTERS // 2 for number in range(_SAMPLES))
    found = sum(exact.tokens(message[at : at + _SAMPLE_CHARACTERS]) for at in starts)
    tokens = math.ceil(found * len(message) / (_SAMPLES * _SAMPLE_CHARACTERS))
    return Count(tokens, False, f"a sample, by {exact.by}", is_sampled=True)


def _loaded_counter(facts: ServerFacts) -> Exact | None:
    """The vocabulary that this process has loaded for that server lately."""
    made_at, known = _counters.get((facts.url, facts.model), (-math.inf, None))
    return known if time.monotonic() - made_at < _COUNTER_SECONDS else None


def _counter_of(facts: ServerFacts, settings: Settings) -> Exact | None:
    known = _loaded_counter(facts)
    if known is None:
        known = exact_counter(facts, settings)
        while len(_counters) >= _MOST_COUNTERS:
            _counters.pop(next(iter(_counters)), None)
        _counters[facts.url, facts.model] = (time.monotonic(), known)
    return known


def _by(message: str, vocabulary: ranks.Ranks, by: str, template: int | None) -> Count:
    return Exact(vocabulary, by, template).count(message)


def _with_template(count: int, by: str, template: int | None, doubt: str | None) -> Count:
    if template is None:
        unknown = f"allowing {UNKNOWN_TEMPLATE} for its chat template"
        doubt = f"{doubt}; {unknown}" if doubt else unknown
    total = count + (UNKNOWN_TEMPLATE if template is None else template)
    return Count(total, doubt is None, by if doubt is None else f"{by}, {doubt}")


def _by_folder(message: str, folder: Path, cache: Path) -> Count | None:
    """Count with the vocabulary in this folder; None if it has no usable one."""
    path = tokens_vocabulary.file_in(folder)
    template = _template(folder)
    try:
        return _by(message, tokens_vocabulary.of_file(path, cache), f"{path}", template)
    except OSError:
        return None
    except NotConvertible as error:
        reason = str(error)
    try:
        counted = tokenizers_library.count(path, message)
    except (tokenizers_library.NotInstalled, ValueError):
        return None
    return _with_template(counted, f"{path} by the tokenizers library ({reason})", template, None)


def _template(folder: Path) -> int | None:
    """Tokens of the chat template in this model's folder; None if unknown."""
    if (folder / "chat_template.jinja").exists():
        return None
    try:
        config = _json_in(folder / "config.json")
        tokenizer = _json_in(folder / "tokenizer_config.json")
        is_v4 = "DeepseekV4ForCausalLM" in config["architectures"]
        return DEEPSEEK_V4_TEMPLATE if is_v4 and not tokenizer.get("chat_template") else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _json_in(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = parsing.of_json(
        model_file.read(path, model_file.CONFIG_BYTES), infinite=True
    )
    return content
