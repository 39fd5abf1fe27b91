"""Amounts of bytes as people read them."""

from __future__ import annotations

import pytest

from server_bundle.transfers import size as sizes


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (2_200, "2.2 kB"), (899_742_281, "900 MB"), (5.34e9, "5.3 GB")],
)
def test_sizes_for_people(size: float, words: str) -> None:
    assert sizes.in_size(size) == words
