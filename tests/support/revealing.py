"""A vocabulary in which every border between pieces shows in the tokens.

Its only merges join the last byte of one character with the first byte of the next: two
characters in one piece share a token, across a border they do not. (Two ASCII characters never
do: a character could then be joined on one side only, which hides its other side.)
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from ktclient.tokens.tokenizer_json import _letters

_LETTER = {byte: letter for letter, byte in _letters().items()}
_LAST = range(0xC0)
_FIRST = (*range(0x80), *range(0xC2, 0xF5))
PAIRS = [(x, y) for x in _LAST for y in _FIRST if x > 0x7F or y > 0x7F]

GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _split(regex: str) -> dict[str, object]:
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}


def _byte_level(use_regex: bool) -> dict[str, object]:
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": use_regex,
    }


def sequence(*steps: dict[str, object]) -> dict[str, object]:
    """A pre-tokenizer of several."""
    return {"type": "Sequence", "pretokenizers": list(steps)}


_DEEPSEEK = (
    r"\p{N}{1,3}",
    "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
)
PRE_TOKENIZERS: dict[str, dict[str, object]] = {
    "deepseek": sequence(*map(_split, _DEEPSEEK), _byte_level(False)),
    "llama3": sequence(_split(GPT4), _byte_level(False)),
    "qwen2": sequence(_split(GPT4.replace(r"\p{N}{1,3}", r"\p{N}")), _byte_level(False)),
    "qwen35": sequence(
        _split(
            GPT4.replace(r"\p{N}{1,3}", r"\p{N}")
            .replace(r"?\p{L}+", r"?[\p{L}\p{M}]+")
            .replace(r" ?[^\s\p{L}\p{N}]+", r" ?[^\s\p{L}\p{M}\p{N}]+")
        ),
        _byte_level(False),
    ),
    "gpt-oss": sequence(_split(O200K), _byte_level(False)),
    "gpt2": _byte_level(True),
    "smollm2": sequence({"type": "Digits", "individual_digits": True}, _byte_level(True)),
}


def tokenizer_json(pre_tokenizer: object, normalizer: object = None) -> bytes:
    """A tokenizer.json with this vocabulary."""
    vocab = {_LETTER[byte]: byte for byte in range(256)}
    merges = [[_LETTER[x], _LETTER[y]] for x, y in PAIRS]
    vocab.update({"".join(merge): 256 + i for i, merge in enumerate(merges)})
    described = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "model": {"type": "BPE", "vocab": vocab, "merges": merges, "ignore_merges": False},
    }
    return json.dumps(described).encode()


def characters() -> Iterator[str]:
    """Every code point that can stand in text; by default all of the first plane but its large
    uniform stretches, and a share of the rest. KTJOB_ALL_CODE_POINTS=1: all without exception."""
    everything = range(0x110000)
    few = (*range(0x3200), *range(0xA600, 0xAC00), *range(0xFA00, 0x1_0000), *everything[::499])
    for code in everything if os.environ.get("KTJOB_ALL_CODE_POINTS") else few:
        if not 0xD800 <= code < 0xE000:
            yield chr(code)
