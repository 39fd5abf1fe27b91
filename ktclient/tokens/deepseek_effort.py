"""The words that DeepSeek V4's chat template puts before the first message when the model thinks.

V4 has no Jinja template: each server has an encoder of its own, and each reads the names of efforts
its own way. All counts are of that encoder's own output (tests/data/deepseek_effort.json), in
DeepSeek's tokens. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

USUAL = "high"
"""The effort for thinking if none is given: all encoders know it, none puts its longest words for
it, and some none at all."""
_PREVIEW_MAX = 79
_OFFICIAL_MAX = 92
BUDGET_LINE = 26
"""Of V4.1: the same for each effort, whose number it names."""
MOST_WORDS = _OFFICIAL_MAX
"""Tokens: the longest of all."""


@dataclass(frozen=True)
class Encoder:
    """How one server's encoder reads an effort, and how many tokens it puts before the text."""

    words: Mapping[str, int]
    """Effort that it knows -> tokens before the first message."""
    unsaid: str
    """The effort if a request that thinks names none."""
    unknown: str
    """The effort that it takes for a name that it does not know."""
    other_names: Mapping[str, str] = field(default_factory=dict)

    def read(self, effort: str | None) -> str:
        """The effort that it takes for this name."""
        if effort is None:
            return self.unsaid
        effort = self.other_names.get(effort, effort)
        return effort if effort in self.words else self.unknown

    def tokens(self, effort: str | None) -> int:
        """Tokens before the first message with thinking on."""
        return self.words[self.read(effort)]


_PREVIEW = {"high": 0, "max": _PREVIEW_MAX}
_OFFICIAL = {"low": 0, "high": _PREVIEW_MAX, "max": _OFFICIAL_MAX}
_RECIPE_NAMES = {"minimal": "low", "xhigh": "high", "ultra": "max"}

OLD = Encoder(_PREVIEW, "high", "high")
"""sglang to 0.5.17, sglang-kt 0.6.2 (encoding_dsv4.py): words for "max" only."""
PROFILES = {
    "preview": Encoder(_PREVIEW, "high", "high"),
    "official": Encoder(_OFFICIAL, "low", "low"),
}
"""sglang 0.5.20 to 0.5.22: by the model's own encoder; a name that it does not know is none."""
FORK = {
    "preview": Encoder(_PREVIEW, "max", "max"),
    "official": Encoder(_OFFICIAL, "max", "max"),
}
"""sglang-kt 0.7.2 (serving_chat.py, resolve_dsv4_reasoning_controls): nothing said, and any name
that it does not know, is "max"."""
RECIPE = Encoder(_OFFICIAL, "high", "high", _RECIPE_NAMES)
"""sglang 0.5.23: the package deepseek-recipe 0.2.0, for any V4."""
RECIPE_41 = Encoder(
    {"low": BUDGET_LINE, "high": BUDGET_LINE, "max": BUDGET_LINE}, "high", "high", _RECIPE_NAMES
)
"""V4.1 with it, and the encoding_dsv41.py of 0.5.22: one line with a number from 1 to 100."""

_KT = re.compile(r"sglang-kt 0\.(\d+)")
_SGLANG = re.compile(r"sglang (\d+)\.(\d+)\.(\d+)")
_NAME_41 = re.compile(r"deepseek[-_ .]?v4[._-]?1(?!\d)", re.IGNORECASE)
_FORK_WITH_PROFILES = 7
_OLD_TO, _RECIPE_FROM = (0, 5, 17), (0, 5, 23)
PROFILE_NAMES = ("preview", "official")


def is_v41(name: str) -> bool:
    """Whether a served model's name, or the path of its folder, is DeepSeek V4.1's."""
    return bool(_NAME_41.search(name))


def encoders(engine: str | None, profile: str | None, *, v41: bool) -> tuple[Encoder, ...]:
    """The encoders that a server of DeepSeek V4 may have: one if it is sure which. `engine`: as
    `ServerFacts.engine`. `profile`: the name of the model's own encoder, if its folder says it."""
    if v41:
        return (RECIPE_41,)
    profiles = PROFILE_NAMES if profile is None else (profile,)
    if found := _KT.match(engine or ""):
        is_old = int(found.group(1)) < _FORK_WITH_PROFILES
        return (OLD,) if is_old else tuple(FORK[name] for name in profiles)
    if found := _SGLANG.match(engine or ""):
        release = tuple(map(int, found.groups()))
        if release >= _RECIPE_FROM:
            return (RECIPE,)
        if release <= _OLD_TO:
            return (OLD,)
        return tuple(PROFILES[name] for name in profiles)
    return (*(FORK[name] for name in profiles), OLD, RECIPE)


def profile_in(source: str) -> str | None:
    """Which names of efforts a model's own `encoding/encoding_dsv4.py` knows, by the constants that
    it defines (sglang-kt 0.7.2 chat_encoding.py reads the same ones); None if it has neither."""
    names = set(re.findall(r"^([A-Z_]+)\s*(?::[^=\n]*)?=", source, re.MULTILINE))
    usual = re.search(
        r"^DEFAULT_REASONING_EFFORT\s*(?::[^=\n]*)?=\s*[\"'](\w+)[\"']", source, re.MULTILINE
    )
    if "REASONING_EFFORT_PROMPTS" in names and usual and usual.group(1) == "low":
        return "official"
    return "preview" if "REASONING_EFFORT_MAX" in names else None
