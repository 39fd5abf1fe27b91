from __future__ import annotations

import pytest

from ktclient.request.refusals import busy


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("Rate limit reached for requests", 429),
        ("litellm.RateLimitError: slow down", 429),
        ("Too many requests, please wait.", 429),
        ("The API is currently overloaded", 503),
        ("server busy, please try again.  maximum pending requests exceeded", 503),
        ("Service is too busy.", 503),
        ("Model m is currently loading", 503),
        ("too many tokens", None),
        ("CUDA out of memory", None),
        ("failed while loading the adapter", None),
    ],
)
def test_what_the_words_stand_for(words: str, status: int | None) -> None:
    assert busy.status(words) == status
