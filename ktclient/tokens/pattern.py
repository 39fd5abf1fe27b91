r"""How a pre-tokenizer cuts text into pieces, as one pattern for tiktoken.

The result is *equal*, not similar, to what the `tokenizers` library does, or `NotConvertible`. Each
recipe is for exactly one pre-tokenizer, and tests/unit/ktclient/tokens/test_pattern.py compares it
with that library on every code point. Two things differ between the two engines:

- tiktoken drops what its pattern does not match, `tokenizers` keeps it as a piece: every recipe
  matches every character.
- in a sequence of splits, a later split sees only the pieces of the earlier one, even with a
  lookahead: its classes are intersected with what the earlier one left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LINE = "line"
"""After a line end, before a letter, digit or Han character (blanks may come first): in these
patterns every alternative with a line end stops at the last one of a run of white space."""
WORD = "word"
"""Between anything and the blank or line end after it: GPT-2's pattern has no alternative in
which white space follows something else."""

BORDERS: Mapping[str, str] = {
    LINE: r"\n(?=[ \t\u3000]{0,64}[0-9A-Za-z\u4e00-\u9fa5])",
    WORD: r"\S(?=[ \n])",
}
"""For Python's re: text may be cut after a match, and the parts counted one by one."""


class NotConvertible(Exception):
    """A tokenizer for which tiktoken cannot give equal tokens; the message says why."""


@dataclass(frozen=True)
class Split:
    """`pattern` in tiktoken's syntax; `border`, a key of `BORDERS`."""

    pattern: str
    border: str


def _spaces(inside: str = r"\S") -> str:
    r"""`\s+(?!\S)|\s+` for tiktoken's engine, where `inside` is what counts as following.

    The engine keeps a state for each character of a `\s+` that it may have to give back, and
    panics at a million of them. So blocks are consumed atomically while at least two blanks follow,
    which changes nothing: only the last blank of a run is ever given back.
    """
    return rf"(?>(?:\s{{64}}(?=\s{{2}}))*)\s+(?!{inside})|\s+"


def _pattern(plain: str, spaces: str) -> str:
    """One group for the alternatives without lookahead: the engine compiles it to one automaton."""
    return f"(?:{plain})|{spaces}"


_TAIL = r"|\s+(?!\S)|\s+"
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_GPT4 = _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
_QWEN2 = _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
_QWEN35 = (
    _CONTRACTIONS
    + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+"
)
_O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    rf"{_CONTRACTIONS}?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    rf"{_CONTRACTIONS}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+"
)
_KIMI = (
    r"[\p{Han}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
    rf"[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}&&[^\p{{Han}}]]+{_CONTRACTIONS}?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"
    rf"[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}&&[^\p{{Han}}]]*{_CONTRACTIONS}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
)
_SINGLE: Mapping[str, Split] = {
    regex + _TAIL: Split(_pattern(regex, _spaces()), LINE)
    for regex in (
        _GPT4,  # Llama 3, GLM 4 and later
        _QWEN2,  # Qwen 2 to 3
        _QWEN35,
        _O200K,  # gpt-oss, MiniMax M2
    )
}
"""Pre-tokenizers that are a single Split. Each has an alternative for every character: letters,
digits, white space and the rest."""

# GPT-2's own pattern, which ByteLevel includes: with `\p{N}+`, or with digits split one by one.
_GPT2_CONTRACTIONS = r"'s|'t|'re|'ve|'m|'ll|'d"
_GPT2 = Split(
    _pattern(rf"{_GPT2_CONTRACTIONS}| ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+", _spaces()), WORD
)
_GPT2_DIGITS = Split(
    _pattern(
        rf"{_GPT2_CONTRACTIONS}| ?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+",
        _spaces(r"[^\s\p{N}]"),  # a run of blanks before a digit ends its piece: none is given back
    ),
    WORD,
)

_DEEPSEEK = (
    r"\p{N}{1,3}",
    "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^"""
    "\r\n"
    r"""\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+["""
    "\r\n"
    r"""]*|\s*["""
    "\r\n"
    r"""]+|\s+(?!\S)|\s+""",
)
"""DeepSeek V3, R1 and V4."""


def _deepseek() -> Split:
    r"""Three splits in sequence, in one pattern.

    The first two cut text into stretches of three kinds: up to three digits, kana or Han, and the
    rest. The third cuts each stretch on its own: its alternatives are written once for the rest and
    once for kana and Han, which include marks, punctuation (U+30FB), symbols (U+309B) and three
    unassigned code points besides letters. On digits it matches nothing. Characters that it does
    not match (controls, formats, private, unassigned) form a piece up to the next match: one such
    character before a letter belongs to the letter.
    """
    han = r"\u4e00-\u9fa5\u3040-\u30ff"
    no_han = rf"&&[^{han}]"
    rest_letters = rf"[\p{{L}}\p{{M}}{no_han}]"
    han_letters = rf"[\p{{L}}\p{{M}}&&[{han}]]"
    odd = rf"[^\s\p{{L}}\p{{M}}\p{{P}}\p{{S}}\p{{N}}{han}]"
    han_odd = r"[\u3040\u3097\u3098]"
    plain = (
        rf"[^\r\n\p{{L}}\p{{P}}\p{{S}}\p{{N}}{han}]?{rest_letters}+",
        rf"{han_odd}?{han_letters}+",
        r"\p{N}{1,3}",
        r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+""",
        rf" ?[\p{{P}}\p{{S}}{no_han}]+[\r\n]*",
        r"[\u30a0\u30fb\u309b\u309c]+",
        r"\s*[\r\n]+",
    )
    unmatched = (
        rf"(?>(?:{odd}{{64}}(?={odd}{{2}}))*){odd}+(?!{rest_letters})",  # blocks: as in _spaces
        rf"(?>(?:{han_odd}{{64}}(?={han_odd}{{2}}))*){han_odd}+(?!{han_letters})",
    )
    spaces = _spaces(rf"[^\s\p{{N}}{han}]")
    return Split("|".join([_pattern("|".join(plain), spaces), *unmatched]), LINE)


_TIKTOKEN: Mapping[str, Split] = {_KIMI + _TAIL: Split(_pattern(_KIMI, _spaces()), LINE)}
"""Patterns that are written for tiktoken."""

_SEQUENCES: Mapping[tuple[str, ...], Split] = {
    _DEEPSEEK: _deepseek(),
    **{(regex,): split for regex, split in _SINGLE.items()},
}


def from_pre_tokenizer(described: object) -> Split:
    """The split that `pre_tokenizer` of a tokenizer.json describes. Raises `NotConvertible`."""
    steps = _steps(described)
    if not steps or steps[-1].get("type") != "ByteLevel" or steps[-1].get("add_prefix_space"):
        raise NotConvertible(f"its pre-tokenizer is {_names(steps)}, not byte-level")
    before, uses_regex = steps[:-1], steps[-1].get("use_regex", True)
    if uses_regex and not before:
        return _GPT2
    if uses_regex and before == [{"type": "Digits", "individual_digits": True}]:
        return _GPT2_DIGITS
    split = None if uses_regex else _SEQUENCES.get(tuple(_regex(step) for step in before))
    if split is None:
        raise NotConvertible(f"its pre-tokenizer, {_names(steps)}, splits in an unknown way")
    return split


def from_tiktoken(pattern: str) -> Split:
    """The split of a vocabulary that comes with tiktoken's pattern. Raises `NotConvertible`."""
    if pattern not in _TIKTOKEN:
        raise NotConvertible("it splits text with an unknown pattern")
    return _TIKTOKEN[pattern]


def _steps(described: object) -> list[Mapping[str, object]]:
    if not isinstance(described, Mapping):
        return []
    if described.get("type") != "Sequence":
        return [described]
    inner = described.get("pretokenizers")
    if not isinstance(inner, Sequence):
        return []
    return [step for one in inner for step in _steps(one)]


def _names(steps: Sequence[Mapping[str, object]]) -> str:
    return ", ".join(str(step.get("type")) for step in steps) or "none"


def _regex(step: Mapping[str, object]) -> str:
    """A Split's regular expression; empty for anything else."""
    pattern = step.get("pattern")
    isolated = step.get("behavior") == "Isolated" and not step.get("invert")
    if step.get("type") != "Split" or not isolated or not isinstance(pattern, Mapping):
        return ""
    return str(pattern.get("Regex", ""))
