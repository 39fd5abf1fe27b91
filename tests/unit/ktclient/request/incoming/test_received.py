"""The last bytes of a response, kept for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import known_secrets
from ktclient.request.incoming import received
from ktclient.request.incoming.received import Received


@given(st.lists(st.integers(1, 70), max_size=40))
def test_the_last_bytes_are_kept_and_all_are_counted(sizes: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(received, "KEPT_BYTES", 20)
        patched.setattr(received, "_BEFORE_BYTES", 5)
        kept, sent = Received(), ""
        for number, size in enumerate(sizes):
            piece = chr(ord("a") + number % 26) * size
            sent += piece
            kept.take(piece.encode())
        assert (kept.bytes, kept.text) == (len(sent), sent[-20:])


def test_a_key_is_hidden_also_where_the_beginning_is_cut() -> None:
    known_secrets.know("a-secret-of-some-length")
    kept = Received()
    kept.take(b"a-secret-of-some-length" + b"x" * (received.KEPT_BYTES - 10))
    assert "of-some" not in kept.text and kept.text.endswith("xxx")


def test_bytes_that_are_no_text_are_shown() -> None:
    kept = Received()
    kept.take(b"\xffa")
    assert kept.text == "\ufffda"
