"""Keys are found in every spelling, and what is no key is left alone."""

from __future__ import annotations

import base64
import html
import itertools
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import known_secrets
from jobs.known_secrets import Stream

KEY = "made+up/key&of=the\"test'12%"
"""With all that encodings change."""


@pytest.mark.parametrize(
    "shown",
    [
        KEY,
        f"Bearer {KEY}",
        quote(KEY),
        quote(KEY, safe=""),
        quote(KEY, safe="").replace("%2F", "%2f"),
        html.escape(KEY),
        json.dumps({"key": KEY}),
        f"sent with '{KEY}'.",
    ],
)
def test_a_known_key_is_hidden_in_every_spelling(shown: str) -> None:
    """Nothing of it is left but what its encoding adds."""
    known_secrets.know(KEY)
    hidden = known_secrets.hide(f"<<{shown}>>")
    assert "***" in hidden and hidden.startswith("<<") and hidden.endswith(">>")
    for part in ("made", "key&of", "key%26of", "12%"):
        assert part not in hidden.lower()


@pytest.mark.parametrize("user", ["", "u:", "us:", "use:", "a-long-user-name:"])
def test_in_base64_of_user_and_password(user: str) -> None:
    """At each of the three places in a group of three bytes."""
    known_secrets.know("swordfish-of-the-test")
    encoded = base64.b64encode(f"{user}swordfish-of-the-test".encode()).decode()
    hidden = known_secrets.hide(f"Basic {encoded}")
    assert "***" in hidden
    left = hidden.removeprefix("Basic ").replace("***", "")
    assert b"swordfish" not in base64.b64decode(left + "=" * (-len(left) % 4))
    assert len(left) <= len(encoded) - 24


def test_a_key_that_is_a_word_is_hidden_only_as_a_word_of_foreign_text() -> None:
    """Placeholders, short ones, and those that somebody made up of letters."""
    known_secrets.know("deepseek")
    assert known_secrets.hide("deepseek-v4") == "deepseek-v4"
    assert known_secrets.hide_foreign("key deepseek, not deepseekv4") == "key ***, not deepseekv4"
    assert not Stream("password").is_needed and Stream("password1").is_needed
    known_secrets.know("none1")
    assert known_secrets.hide("none1 none12") == "none1 none12"
    assert known_secrets.hide_foreign("key none1, not none12") == "key ***, not none12"
    known_secrets.know("abc")
    assert known_secrets.hide_foreign("abc") == "abc"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Incorrect API key: sk-abcdefghijkl12", "Incorrect API key: ***"),
        ("token hf_abcdefghijklmnop is bad", "token *** is bad"),
        ("got 'Bearer abc123def'", "got 'Bearer ***'"),
        ("Bearer token required", "Bearer token required"),
        ("risk-assessment-management", "risk-assessment-management"),
        ("GET /v1?api_key=abc&b=1", "GET /v1?api_key=***&b=1"),
        ("GET /v1?a=1&key=abc", "GET /v1?a=1&key=***"),
        ("/x?token=abc#f", "/x?token=***#f"),
        ("http://me:secret@host/path", "http://***@host/path"),
        ("https://me@host", "https://***@host"),
        ("mail me@host", "mail me@host"),
        ('{"api_key": "abc", "b": 1}', '{"api_key": "***", "b": 1}'),
        ("api_key='abc'", "api_key='***'"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.abc", "***"),
        ("max_tokens=5, key words: a", "max_tokens=5, key words: a"),
    ],
)
def test_shapes_in_foreign_text(said: str, shown: str) -> None:
    """Keys that this process does not know."""
    assert known_secrets.hide_foreign(said) == shown
    assert known_secrets.hide_foreign(shown) == shown


@given(st.text(alphabet="abk-", max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_a_stream_hides_what_the_whole_text_would(text: str, cuts: list[int]) -> None:
    """However it is cut; nothing else is changed, lost or reordered."""
    key = "ab-kab-ka"
    whole = text + key + text
    borders = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    hidden = Stream(key)
    out = "".join(hidden.take(whole[begin:end]) for begin, end in itertools.pairwise(borders))
    out += hidden.rest()
    assert key not in out
    parts = out.split("***")
    assert len(parts) >= 2 and whole.startswith(parts[0])
    if key not in text + key[:-1] and key not in key[1:] + text and "***" not in text:
        assert out.startswith(text) or key in text + key


def test_most_of_a_key_at_the_end_of_a_cut_text_is_hidden() -> None:
    """And what is only its beginning is the text's own."""
    hidden = Stream("0123456789abc")
    assert hidden.take("see 0123456789ab") == "see "
    assert hidden.rest() == "***"
    assert hidden.take("room 012") == "room "
    assert hidden.rest() == "012"


def test_a_text_without_a_key_passes_at_once() -> None:
    """Nothing is held where nothing may be hidden."""
    for none in (None, "", "short"):
        assert not Stream(none).is_needed
        assert Stream(none).take("short") == "short"
