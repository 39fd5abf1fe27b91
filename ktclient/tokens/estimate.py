"""Estimate the tokens of a text, without the server's own count.

The result is a range, not a number: nothing here knows the model's vocabulary. It is calibrated on
two whole novels with DeepSeek V4's: War and Peace has 4.1 characters per token, 红楼梦 0.73 tokens
per character; on short English prose SmolLM2's is within 10 % of the former.
"""

from __future__ import annotations

from dataclasses import dataclass

_LETTERS_PER_TOKEN = 4.4
_OTHER_SCRIPT_TOKENS = 0.8
"""Tokens per character outside ASCII."""
LOW, HIGH = 0.6, 1.35
"""How far text may differ from prose: source code and tables have more tokens, repetition fewer."""


@dataclass(frozen=True)
class Estimate:
    """Tokens; a count below `low` or above `high` is very unlikely."""

    low: int
    likely: int
    high: int


def estimate(text: str) -> Estimate:
    """Estimated tokens of `text`, from its characters. Takes a few ms per million characters."""
    in_ascii = text.encode("ascii", "ignore")
    ascii_count = len(in_ascii)
    digits = ascii_count - len(in_ascii.translate(None, b"0123456789"))
    likely = (
        (ascii_count - digits) / _LETTERS_PER_TOKEN
        + digits / 2
        + (len(text) - ascii_count) * _OTHER_SCRIPT_TOKENS
    )
    return Estimate(int(likely * LOW), int(likely), int(likely * HIGH) + 1)
