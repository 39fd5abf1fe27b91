"""An output without a word of an answer, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ktclient.answers.without_words import Ending, words

pytestmark = pytest.mark.each_python

CUT = Ending("length", True, 1024, 1024, False, False, "ktjob result k7 --thoughts")


def test_it_says_what_thinking_took_and_what_to_set() -> None:
    """For a document, a part of one, and a line of a batch."""
    assert words(CUT) == (
        "sent only thoughts of 1,024 tokens, cut off by max_tokens before a word of the answer. "
        "Submit it again with --max-tokens above 1,024, or with --thinking off. "
        "The thoughts are kept: ktjob result k7 --thoughts"
    )
    part, line = words(replace(CUT, is_part=True)), words(replace(CUT, is_body=True, tokens=None))
    assert "the whole document again with a higher --max-tokens, or" in part
    assert "only thoughts, cut off" in line and "Submit the line again with a max_tokens" in line
    assert "--" not in line.removesuffix("--thoughts")


def test_a_model_that_stopped_by_itself_needs_no_more_tokens() -> None:
    stopped = words(replace(CUT, reason="stop", tokens=7))
    assert "thoughts of 7 tokens and no answer (finish_reason stop)" in stopped
    assert "--max-tokens" not in stopped and "check the server's reasoning parser" in stopped


def test_blanks_are_no_thoughts() -> None:
    assert "only blanks" in words(replace(CUT, has_thoughts=False))
