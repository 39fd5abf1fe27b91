"""How many prompt tokens a message is, and who was asked: the best that can be had for a server.

In this order: the tokenizer.json of the model's folder, when the server runs here; DeepSeek V4's
vocabulary, which we bring; the server's own tokenizer; an estimate. For the process that submits:
nothing here starts a thread, but a server may be asked.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ktclient import urls
from ktclient.config.settings import Settings
from ktclient.servers.dialects import llamacpp
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.tokens import bundled, estimate, ranks, tokenizers_library
from ktclient.tokens import vocabulary as tokens_vocabulary
from ktclient.tokens.pattern import NotConvertible

if TYPE_CHECKING:
    from ktclient.tokens.counter import Counter

DEEPSEEK_V4_TEMPLATE = 4
"""Tokens around one user message with thinking off: begin of sentence and User before it,
Assistant and </think> after (encoding_dsv4.py of deepseek-ai/DeepSeek-V4-Flash, which sglang uses
for the architecture DeepseekV4ForCausalLM; that repository has no chat template). The recordings
in real/sglang-kt-0.7.2-cpu have 3: a stand-in model with a template without the thinking mark."""
UNKNOWN_TEMPLATE = 16
"""Allowance where the template is not known. SmolLM2's, with its system message, is 31."""


@dataclass(frozen=True)
class Count:
    """Prompt tokens, the chat template's included."""

    tokens: int
    exact: bool
    """Whether the server will say the same number."""
    by: str
    """Who was asked, and why it is not exact if it is not."""

    is_rough: bool = False
    """Whether it is only an estimate by the characters."""

    @property
    def low(self) -> int:
        """Hardly fewer: pieces and an unknown template are off by a hundredth or some dozens."""
        return self._other_end(estimate.LOW, -1)

    @property
    def high(self) -> int:
        """Hardly more."""
        return self._other_end(estimate.HIGH, 1)

    def _other_end(self, factor: float, sign: int) -> int:
        if self.exact:
            return self.tokens
        if self.is_rough:
            return math.ceil(self.tokens * factor)
        return max(0, self.tokens + sign * (self.tokens // 100 + 2 * UNKNOWN_TEMPLATE))

    def __str__(self) -> str:
        return f"{'' if self.exact else '~'}{self.tokens:,}"


def best(
    message: str, facts: ServerFacts | None, settings: Settings, *, may_ask: bool = True
) -> Count:
    """Prompt tokens of one user message on this server; None stands for one not known yet.

    `may_ask`: where the vocabulary is not to be had here, the server may be asked to count. That
    stalls sglang for all others, a long text for ten seconds and more.

    Asks the server only for what cannot be known here. Never raises for what it cannot read:
    the next best is taken, and `by` says so.
    """
    from ktclient.servers import queries

    if facts is None:
        return rough(message, "no server was asked")
    key = settings.key_for(facts.url)
    folder = queries.model_folder(facts, key) if urls.is_local(facts.url) else None
    here = _by_folder(message, Path(folder), settings.cache) if folder else None
    if here is not None:
        return here
    if bundled.is_deepseek_v4(f"{facts.model} {folder or ''}"):
        return _by(message, bundled.deepseek_v4(), "DeepSeek V4's vocabulary", DEEPSEEK_V4_TEMPLATE)
    counted = queries.count(facts, key, message) if may_ask else None
    if counted is not None:
        exact = facts.dialect == llamacpp.NAME  # the others count in pieces, and no template
        return Count(counted, exact, "the server's tokenizer" + ("" if exact else ", in pieces"))
    return rough(message, "its vocabulary is not to be had")


def rough(message: str, why: str) -> Count:
    """By its characters, which costs nothing."""
    return Count(estimate.estimate(message).likely, False, f"an estimate: {why}", is_rough=True)


class Exact:
    """A vocabulary that is had here, ready to count many stretches of text."""

    def __init__(self, vocabulary: ranks.Ranks, by: str, template: int | None) -> None:
        from ktclient.tokens.counter import Counter

        self._counter: Counter = Counter(vocabulary)
        self._by, self._template = by, template

    def tokens(self, text: str) -> int:
        """Of a stretch of text, without a template."""
        return self._counter.count(text)

    def count(self, message: str) -> Count:
        """Of a whole message."""
        doubt = self._counter.doubts(message)
        return _with_template(self.tokens(message), self._by, self._template, doubt)


def exact_counter(facts: ServerFacts, settings: Settings) -> Exact | None:
    """The server's vocabulary, where it can be had here and counts quickly."""
    from ktclient.servers import queries

    folder = queries.model_folder(facts, settings.api_key) if urls.is_local(facts.url) else None
    if folder:
        path = tokens_vocabulary.file_in(Path(folder))
        try:
            return Exact(
                tokens_vocabulary.of_file(path, settings.cache), str(path), _template(Path(folder))
            )
        except (OSError, NotConvertible):
            pass  # the next best
    if bundled.is_deepseek_v4(f"{facts.model} {folder or ''}"):
        return Exact(bundled.deepseek_v4(), "DeepSeek V4's vocabulary", DEEPSEEK_V4_TEMPLATE)
    return None


def _by(message: str, vocabulary: ranks.Ranks, by: str, template: int | None) -> Count:
    return Exact(vocabulary, by, template).count(message)


def _with_template(count: int, by: str, template: int | None, doubt: str | None) -> Count:
    if template is None:
        unknown = f"allowing {UNKNOWN_TEMPLATE} for its chat template"
        doubt = f"{doubt}; {unknown}" if doubt else unknown
    total = count + (UNKNOWN_TEMPLATE if template is None else template)
    return Count(total, doubt is None, by if doubt is None else f"{by}, {doubt}")


def _by_folder(message: str, folder: Path, cache: Path) -> Count | None:
    """By the vocabulary in this folder; None without one that can be used."""
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
    """Tokens of the chat template in this model's folder; None when not known."""
    if (folder / "chat_template.jinja").exists():
        return None
    try:
        config = json.loads((folder / "config.json").read_bytes())
        tokenizer = json.loads((folder / "tokenizer_config.json").read_bytes())
        is_v4 = "DeepseekV4ForCausalLM" in config["architectures"]
        return DEEPSEEK_V4_TEMPLATE if is_v4 and not tokenizer.get("chat_template") else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
