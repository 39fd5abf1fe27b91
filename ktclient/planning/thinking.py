"""Whether a request thinks and how hard, and what that costs before its text: the words that a chat
template puts there, in tokens."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from ktclient import urls
from ktclient.config.settings import Settings
from ktclient.errors import BadInput
from ktclient.planning.token_count import DEEPSEEK_V4_TEMPLATE, THINKING_WORDS, Count
from ktclient.servers import queries
from ktclient.servers.dialects import llamacpp, sglang
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.tokens import bundled, deepseek_effort, model_file
from ktclient.tokens.deepseek_effort import Encoder

_MAX = "max"
_ENCODER_FILE = Path("encoding") / "encoding_dsv4.py"
"""Of a model's folder, as DeepSeek publishes it (sglang-kt 0.7.2 chat_encoding.py)."""
_ENCODER_BYTES = 1 << 20
"""As sglang-kt reads at most."""
_SECONDS = 60.0
"""How long an answer about a server's model is used."""


@dataclass(frozen=True)
class Thinking:
    """What a request says of thinking."""

    is_on: bool | None = None
    """None: nothing, or not the same to all servers."""
    effort: str | None = None
    """As the request names it, so it may be any name."""
    is_left: bool = False
    """Whether the server decides where nothing is said; else ktjob turns thinking off where it
    knows how."""

    def on(self, facts: ServerFacts) -> bool | None:
        """Whether the request as sent to this server thinks; None: unknown."""
        if self.is_on is None and not self.is_left and facts.dialect == sglang.NAME:
            return False
        return self.is_on

    def effort_for(self, facts: ServerFacts) -> str | None:
        """The effort as sent to this server."""
        is_usual = self.is_on and self.effort is None and not self.is_left
        is_ours = facts.dialect == sglang.NAME and bundled.is_deepseek_v4(facts.model)
        return deepseek_effort.USUAL if is_usual and is_ours else self.effort


@dataclass(frozen=True)
class Words:
    """The words before the text, of a DeepSeek V4 that thinks or may think."""

    tokens: frozenset[int]
    """How many there may be: one number if it is sure."""
    read_as: frozenset[str]
    """The efforts that the server may take for the one that is sent."""
    effort: str | None
    """The one that is sent."""

    @property
    def least(self) -> int:
        return min(self.tokens)

    @property
    def most(self) -> int:
        return max(self.tokens)

    @property
    def template(self) -> list[int]:
        """Tokens that the whole template may have, with what is around one message."""
        return sorted(DEEPSEEK_V4_TEMPLATE + one for one in self.tokens)

    def to_dict(self) -> dict[str, object]:
        """For --json: names of efforts, and tokens."""
        read = sorted(self.read_as, key=_strength)
        return {"effort": self.effort, "read_as": read, "template_tokens": self.template}

    def __str__(self) -> str:
        """Such as "high, 83 tokens of template"."""
        read = " or ".join(sorted(self.read_as, key=_strength))
        if self.effort is not None and self.read_as != {self.effort}:
            read = f"{self.effort}, which this server reads as {read}"
        return f"{read}, {' or '.join(map(str, self.template))} tokens of template"


def words(thinking: Thinking, facts: ServerFacts | None, settings: Settings) -> Words | None:
    """The words before the text; None if there are none, or if the model is not DeepSeek V4.

    Reads the model's own encoder if the server runs here. Never raises for what it cannot read."""
    if facts is None or (is_on := thinking.on(facts)) is False:
        return None
    if is_on is None and facts.dialect == llamacpp.NAME:
        return None  # its count is by its own template, as it is used where nothing is said
    found = _encoders(facts, settings)
    if not found:
        return None
    effort = thinking.effort_for(facts)
    tokens = {one.tokens(effort) for one in found}
    if is_on is None:
        tokens.add(0)
    return Words(frozenset(tokens), frozenset(one.read(effort) for one in found), effort)


def counted(
    count: Count, thinking: Thinking, facts: ServerFacts | None, settings: Settings
) -> Count:
    """The same count for a request that thinks, or may think."""
    found = words(thinking, facts, settings)
    if found is not None:
        more = found.most - found.least
        by = count.by
        if more:
            by += f"; words about thinking may add {more}"
        return replace(
            count,
            tokens=count.tokens + found.least,
            exact=count.exact and not more,
            by=by,
            may_add=more,
            is_bounded=count.exact and more > 0,
        )
    if facts is None or facts.dialect != sglang.NAME or thinking.on(facts) is False:
        return count
    by = f"{count.by}; words about thinking may add {THINKING_WORDS}"
    return replace(count, exact=False, by=by, may_add=THINKING_WORDS)


def starts_otherwise(
    one: Thinking, other: Thinking, facts: ServerFacts, settings: Settings
) -> bool:
    """Whether what stands before the text may differ, so that the two share no cached prefix."""
    if one == other or (one.on(facts), one.effort_for(facts)) == (
        other.on(facts),
        other.effort_for(facts),
    ):
        return False
    starts = [_start(words(each, facts, settings)) for each in (one, other)]
    return starts[0] != starts[1] or len(starts[0]) > 1


def beginning(one: Thinking, facts: ServerFacts | None, settings: Settings) -> str:
    """A name of what a chat template puts before the text, equal for requests that begin alike.
    Of a template that is not known, what is sent decides: it may ignore that, or put it behind the
    text."""
    if facts is None:
        return f"{one.is_on} {one.effort}"
    found = words(one, facts, settings)
    if found is not None or (one.on(facts) is False and _encoders(facts, settings)):
        return str(sorted(_start(found)))
    return f"{one.on(facts)} {one.effort_for(facts)}"


def _start(found: Words | None) -> frozenset[tuple[int, str]]:
    """How the template may begin. Words of one length are the same ones, but for the line of V4.1,
    which names its effort."""
    if found is None:
        return frozenset({(0, "")})
    is_v41 = found.tokens == {deepseek_effort.BUDGET_LINE}
    names = found.read_as if is_v41 else {""}
    return frozenset((many, name) for many in found.tokens for name in names)


def require(thinking: Thinking, facts: ServerFacts | None, settings: Settings) -> None:
    """Raises `BadInput` for what `refusal` says."""
    if (why := refusal(thinking, facts, settings)) is not None:
        raise BadInput(why)


def refusal(thinking: Thinking, facts: ServerFacts | None, settings: Settings) -> str | None:
    """Why this effort is not to be sent: the server surely does not know it, and would take it for
    the hardest, or for none. None: it may be sent."""
    effort = thinking.effort
    if facts is None or effort is None or thinking.on(facts) is False:
        return None
    found = words(thinking, facts, settings)
    if found is None:
        return _not_in_template(effort, facts, settings)
    if effort == _MAX or found.read_as != {_MAX}:
        return None
    known = _known_by_all(_encoders(facts, settings))
    server = facts.engine or "this server"
    return (
        f"{server} does not know the effort {effort} for this model: it takes it for {_MAX}, "
        f"without a word. Use one of {', '.join(known)} (--effort)"
    )


def _not_in_template(effort: str, facts: ServerFacts, settings: Settings) -> str | None:
    """llama.cpp shows its template, and gives it any value, which it may ignore."""
    if facts.dialect != llamacpp.NAME or facts.is_asleep:
        return None
    told = queries.model_told(facts, settings.key_for(facts.whose_key)) or {}
    template = told.get("chat_template")
    if not isinstance(template, str) or not template or "effort" in template:
        return None
    return (
        f"the chat template of {facts.model} knows no effort, so {effort} would be ignored: "
        "leave --effort out (--thinking on or off may work)"
    )


def _known_by_all(found: tuple[Encoder, ...]) -> list[str]:
    known = set.intersection(*(set(one.words) for one in found))
    return sorted(known, key=_strength)


_ORDER = ("low", "medium", "high", _MAX)


def _strength(effort: str) -> int:
    return _ORDER.index(effort) if effort in _ORDER else len(_ORDER)


_known: dict[tuple[str, str, str | None], tuple[float, tuple[Encoder, ...]]] = {}
_MOST_KNOWN = 64


def _encoders(facts: ServerFacts, settings: Settings) -> tuple[Encoder, ...]:
    """The encoders that this server may have; empty if its model is not DeepSeek V4."""
    key = (facts.url, facts.model, facts.engine)
    made_at, found = _known.get(key, (float("-inf"), ()))
    if time.monotonic() - made_at < _SECONDS:
        return found
    found = _ask(facts, settings)
    while len(_known) >= _MOST_KNOWN:
        _known.pop(next(iter(_known)), None)
    _known[key] = (time.monotonic(), found)
    return found


def _ask(facts: ServerFacts, settings: Settings) -> tuple[Encoder, ...]:
    told: dict[str, object] = {}
    if facts.dialect == sglang.NAME:
        told = queries.model_told(facts, settings.key_for(facts.whose_key)) or {}
    folder = told.get("model_path")
    names = f"{facts.model} {folder if isinstance(folder, str) else ''}"
    kinds = f"{told.get('model_type')} {told.get('architectures')}"
    if not bundled.is_deepseek_v4(names) and "DeepseekV4" not in kinds:
        return ()
    v41 = deepseek_effort.is_v41(names) or "deepseek_v41" in kinds or "DeepseekV41" in kinds
    profile = _profile(folder) if urls.is_local(facts.url) and isinstance(folder, str) else None
    return deepseek_effort.encoders(facts.engine, profile, v41=v41)


def _profile(folder: str) -> str | None:
    """By the model's own encoder. A server without one takes the preview's."""
    path = Path(folder)
    try:
        if not (path / "config.json").is_file():
            return None  # a name of the hub, or a folder inside of a container
        source = model_file.read(path / _ENCODER_FILE, _ENCODER_BYTES)
    except FileNotFoundError:
        return "preview"
    except (OSError, ValueError):
        return None
    return deepseek_effort.profile_in(source.decode(errors="replace")) or "preview"
