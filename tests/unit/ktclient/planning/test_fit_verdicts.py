"""The verdict on a request, against the admission of the scripted server and its validation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fake_sglang import options as fake
from fake_sglang import prompt as fake_prompt
from fake_sglang.requests import Request
from hypothesis import given
from hypothesis import strategies as st

from ktclient.errors import DoesNotFit
from ktclient.planning import fit
from ktclient.planning.fit import Kind, Limits

GUIDE = Limits(1_048_576, 964_864, 256)
sizes = st.integers(1, 3_000_000)
small = st.integers(1, 12_000)


def is_served(prompt: int, max_tokens: int, window: int, pool: int, page: int) -> bool:
    """Whether the scripted kt server takes it, begins it on an idle server, and can end it."""
    options = replace(fake.parse([]), window=window, pool=pool, page=page)
    try:
        fake_prompt._check_lengths(prompt, max_tokens, options)
    except fake_prompt.Refused:
        return False
    request = Request(0, "r", prompt, max_tokens, [])
    return request.wanted(options.clip, page) < pool and prompt + max_tokens < pool


@given(
    st.one_of(sizes, small), st.one_of(sizes, small), sizes, sizes, st.sampled_from([1, 64, 256])
)
def test_what_fits_is_admitted_and_what_is_refused_never_fits(
    prompt: int, max_tokens: int, window: int, pool: int, page: int
) -> None:
    """Both ways: nothing that the server would do is refused either."""
    verdict = fit.judge(prompt, max_tokens, Limits(window, pool, page), exact=True)
    assert verdict.fits == is_served(prompt, max_tokens, window, pool, page)


@given(sizes, sizes, st.integers(1, 4_000_000), sizes)
def test_reason_and_advice_name_one_limit(
    window: int, pool: int, max_tokens: int, prompt: int
) -> None:
    """An answer that fills the KV pool is not measured against the window."""
    verdict = fit.judge(prompt, max_tokens, Limits(window, pool, 256), exact=True)
    if verdict.kind is Kind.IMPOSSIBLE:
        named = "KV pool" if "KV pool" in verdict.reason else "window"
        assert f"The answer alone fills the {named}: " in verdict.cure
        assert str(f"{min(window, pool):,}") in verdict.reason


@given(st.integers(10_000, 3_000_000), st.integers(10_000, 3_000_000), sizes, small)
def test_whoever_follows_the_numbers_is_not_refused_again(
    window: int, pool: int, prompt: int, max_tokens: int
) -> None:
    """The shortened prompt and the shortened answer fit, and one more token does not."""
    limits = Limits(window, pool, 256)
    most = limits.most_prompt(max_tokens)
    assert most is not None
    if most > 0:
        assert fit.judge(most, max_tokens, limits, exact=True).fits
    assert not fit.judge(most + 1, max_tokens, limits, exact=True).fits
    fewer = limits.most_answer(prompt)
    if fewer:
        assert fit.judge(prompt, fewer, limits, exact=True).fits
    assert not fit.judge(prompt, fewer + 1, limits, exact=True).fits


@pytest.mark.parametrize(
    ("prompt", "max_tokens", "kind"),
    [
        (20_000, 1_024, Kind.FITS),
        (625_341, 1_024, Kind.ALONE),
        (960_511, 4_096, Kind.ALONE),
        (960_512, 4_096, Kind.SPLIT),
        (1_100_000, 1_024, Kind.SPLIT),
        (10, 964_864, Kind.IMPOSSIBLE),
    ],
)
def test_the_guides_deployment(prompt: int, max_tokens: int, kind: Kind) -> None:
    """Its window is larger than its pool: from 960,512 on a prompt would hang, not be refused."""
    assert fit.judge(prompt, max_tokens, GUIDE, exact=True).kind is kind


def test_the_gap_is_explained_with_its_cures() -> None:
    """Between what is refused and what is admitted: the numbers, an answer that fits, the flags."""
    with pytest.raises(DoesNotFit) as refused:
        fit.judge(960_600, 4_096, GUIDE, exact=True).require()
    words = str(refused.value)
    for part in ("964,864", "964,952", "wait forever", "--max-tokens to 4,007", "2 parts"):
        assert part in words
    assert "--mem-fraction-static" in words and "--swa-full-tokens-ratio" in words


def test_nothing_known_is_said_so() -> None:
    """And nothing is refused for it."""
    verdict = fit.judge(10**9, 1_024, Limits(None), exact=False)
    assert verdict.kind is Kind.FITS
    assert "no limit is known" in verdict.reason
