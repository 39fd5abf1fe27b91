"""Whether document, question and answer fit into a server, with the arithmetic as text. Pure.

sglang refuses a request if prompt + answer >= window, or if its KV pool cannot hold the prompt. Its
scheduler admits less than that: a request in between waits forever and blocks all requests behind
it (sglang #28530; fixed upstream in 0.5.13, not in sglang-kt 0.7.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from ktclient import wording
from ktclient.errors import DoesNotFit

CLIP = 4096
"""Tokens. sglang's admission counts no more of an answer than this
(SGLANG_CLIP_MAX_NEW_TOKENS_ESTIMATION)."""
DEFAULT_PAGE = 256
"""Tokens, used if the pool is known and its page is not: DeepSeek V4's, the largest seen."""
_RESERVED = 6
"""Input is refused above min(window, pool) - 6 (sglang managers/tp_worker.py:287)."""
_WORTHWHILE_ANSWER = 16


class Kind(str, Enum):
    """What can be done with a request."""

    FITS = "fits"
    ALONE = "fits alone"
    """It fits, but a second one like it must wait until it has ended."""
    SPLIT = "split"
    """It does not fit in one request."""
    IMPOSSIBLE = "impossible"
    """No split helps: the answer alone is too long."""


@dataclass(frozen=True)
class Limits:
    """Tokens; None is unknown. `window` of one request, `pool` of all together."""

    window: int | None
    pool: int | None = None
    page: int | None = None

    def most_prompt(self, max_tokens: int) -> int | None:
        """The longest prompt that leaves room for such an answer, in tokens; None without a limit.
        May be below 0."""
        bounds = []
        if self.window is not None:
            bounds.append(self.window - 1 - max_tokens)
        if self.pool is not None:
            admitted = self.pool - 1 - min(max_tokens, CLIP) - self._page
            bounds += [self.pool - 1 - max_tokens, admitted, self.pool - _RESERVED]
            if self.window is not None:
                bounds.append(self.window - _RESERVED)
        return min(bounds, default=None)

    def most_answer(self, prompt: int) -> int:
        """The longest answer that fits with such a prompt, in tokens; 0 if none does."""
        low, high = 0, max(self.window or 0, self.pool or 0)
        while low < high:  # binary search: most_prompt falls as the answer grows
            middle = (low + high + 1) // 2
            most = self.most_prompt(middle)
            low, high = (middle, high) if most is None or prompt <= most else (low, middle - 1)
        return low

    @property
    def _page(self) -> int:
        return DEFAULT_PAGE if self.page is None else self.page


@dataclass(frozen=True)
class Verdict:
    """`reason`: the arithmetic; `cure`: what to do, empty if nothing need be done."""

    kind: Kind
    reason: str
    cure: str
    numbers: dict[str, int | None]

    @property
    def fits(self) -> bool:
        return self.kind in (Kind.FITS, Kind.ALONE)

    def require(self) -> None:
        """Raises `DoesNotFit` unless it fits."""
        if not self.fits:
            raise DoesNotFit(f"it does not fit: {self.reason}. {self.cure}")


def judge(prompt: int, max_tokens: int, limits: Limits, *, exact: bool) -> Verdict:
    """The verdict on a prompt and the longest answer to it, in tokens."""
    most = limits.most_prompt(max_tokens)
    numbers = {
        "prompt": prompt,
        "max_tokens": max_tokens,
        "window": limits.window,
        "pool": limits.pool,
        "most_prompt": most,
    }
    reason = _reason(prompt, max_tokens, limits, exact)
    if most is None or prompt <= most:
        kind = Kind.ALONE if _fills(prompt + max_tokens, limits) else Kind.FITS
        cure = (
            "A second request of this size would wait until this one has ended"
            if kind is Kind.ALONE
            else ""
        )
        return Verdict(kind, reason, cure, numbers)
    kind = Kind.SPLIT if most > 0 else Kind.IMPOSSIBLE
    return Verdict(kind, reason, _advice(prompt, most, max_tokens, limits), numbers)


def check(prompt_tokens: int, max_tokens: int, window: int, *, exact: bool) -> None:
    """Raise `DoesNotFit` unless prompt + answer < window (sglang's own rule is the strict one)."""
    judge(prompt_tokens, max_tokens, Limits(window), exact=exact).require()


def _fills(tokens: int, limits: Limits) -> bool:
    return limits.pool is not None and 2 * tokens >= limits.pool


def _reason(prompt: int, max_tokens: int, limits: Limits, exact: bool) -> str:
    about = "" if exact else "about "
    total = prompt + max_tokens
    words = (
        f"{about}{wording.count(prompt, 'token')} of document and question + "
        f"{max_tokens:,} for the answer = {about}{total:,}, and "
    )
    if _is_by_pool(max_tokens, total, limits):
        assert limits.pool is not None
        words += f"the server's KV pool is {limits.pool:,}"
        required = prompt + min(max_tokens, CLIP) + limits._page
        if total < limits.pool <= required:
            words += (
                f", of which {required:,} must be free before it starts (including {limits._page} "
                "for a page): it would wait forever and block all requests behind it"
            )
        return words
    return words + (f"the window is {limits.window:,}" if limits.window else "no limit is known")


def _is_by_pool(max_tokens: int, total: int, limits: Limits) -> bool:
    """Whether the KV pool is the limit to name, and not the window."""
    if limits.pool is None or limits.window is None:
        return limits.pool is not None
    if (limits.most_prompt(max_tokens) or 0) <= 0:  # the answer alone fills the smaller one
        return limits.pool < limits.window
    return total < limits.window


def _advice(prompt: int, most: int, max_tokens: int, limits: Limits) -> str:
    if most <= 0:
        which = "KV pool" if _is_by_pool(max_tokens, prompt + max_tokens, limits) else "window"
        return f"The answer alone fills the {which}: lower --max-tokens."
    parts = math.ceil(prompt / most)
    fewer = limits.most_answer(prompt)
    shorter = f"Lower --max-tokens to {fewer:,}. Or cut" if fewer >= _WORTHWHILE_ANSWER else "Cut"
    return (
        f"{shorter.replace('Or cut', 'Or: Cut')} the document to "
        f"{wording.count(most, 'token')}, split it into {parts:,} parts, "
        f"or use a server with {_larger(prompt + max_tokens, limits)}."
    )


def _larger(total: int, limits: Limits) -> str:
    """What must be larger, with the sglang flags that set it."""
    window = "a larger window"
    if limits.pool is None:
        return window
    pool = (
        "a larger KV pool (sglang: --mem-fraction-static higher; DeepSeek V4 also: "
        "--swa-full-tokens-ratio lower)"
    )
    window = f"{window} (sglang: --context-length)"
    if limits.window is None or total < limits.window:
        return pool
    return f"{window} and {pool}" if total >= limits.pool else window
