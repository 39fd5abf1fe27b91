"""What others wrote is read in a notification, and does nothing there."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktclient.notify import command, delivery
from ktclient.notify.foreign_text import harmless, line
from ktclient.records.snapshot import Snapshot

pytestmark = pytest.mark.each_python

ACTS = re.compile(r"@|[<>]|\][\[(]|&#?[0-9A-Za-z]+;")
"""What a service acts on: mentions, markup, links, entities."""
UNSEEN = (
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"
    "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e\u034f"
    "\U000e0001\U000e0041\U000e007f\U000e0100\ufe0f"
    "\u2028\u2029\x00\x07\x1b\x7f\x85\x9b\ud800\ue000"
    "\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
)
MENTIONS = (
    *("@everyone", "@here", "@channel", "<!channel>", "<!here|now>", "<@U123>", "<@&456>", "<#C1>"),
    *("<!subteam^S1>", "!channel&gt;", "&lt;!channel&gt;", "&#64;everyone", "<https://e.org|us>"),
    *("[bank](https://e.org)", "![](https://e.org/x.png)", "[a][b]", "<a href=x>", "<img src=x>"),
    *(
        "<b>bold</b>",
        "</b>",
        "<script>",
        "<t:1:R>",
        "</cmd:1>",
        "@\u200beveryone",
        "<\u2060!channel>",
    ),
)
JOB = Snapshot(
    id="abc",
    state="FAILED",
    title="report.pdf",
    task="ask",
    server="http://gpu1:30000",
    max_tokens=64,
    timeout=60.0,
    attempt=1,
    max_attempts=2,
    phase=None,
    done=None,
    total=None,
    unit=None,
    cancel_requested=False,
    cause="bad_request",
    message="the server refused it",
    created_at="2026-01-01T00:00:00.000Z",
    started_at=None,
    finished_at=None,
    phase_at=None,
    figures={},
    tokens_per_second=None,
    eta_seconds=None,
    progress_source=None,
    is_estimate=False,
    label="nightly",
)


@pytest.mark.parametrize("character", UNSEEN)
def test_nothing_unseen_is_left(character: str) -> None:
    """At any place."""
    assert line(f"{character}re{character}port{character}") in ("report", "re port")
    assert harmless(f"{character}re{character}port", 80) in ("report", "re port")


@given(st.text())
def test_any_text_is_one_line_that_is_seen(text: str) -> None:
    """Also when it was made harmless once already."""
    clean = harmless(text, 80)
    assert len(clean) <= 80 and harmless(clean, 80) == clean
    for character in clean:
        assert character == " " or unicodedata.category(character)[0] not in "CZ"
    assert not ACTS.search(clean)


@pytest.mark.parametrize("words", MENTIONS)
def test_no_mention_no_link_and_no_markup_is_left(words: str) -> None:
    """By the patterns of the services themselves, as far as apprise has them."""
    discord = pytest.importorskip("apprise.plugins.discord")
    slack = pytest.importorskip("apprise.plugins.slack")
    clean = harmless(f"a {words} b", 80)
    assert not ACTS.search(clean)
    assert not discord.USER_ROLE_DETECTION_RE.search(clean)
    plugin = slack.NotifySlack
    for pattern in (plugin._re_channel_support, plugin._re_user_id_support):
        assert not pattern.search(clean)
    assert not plugin._re_url_support.search(clean)


@pytest.mark.parametrize(
    "text",
    ["report.pdf", "Bericht über Öl (2).docx", "红楼梦.txt", "café", "a & b", "x[1].csv", "50% #1"],
)
def test_ordinary_names_stay_as_they_are(text: str) -> None:
    """Accents and other scripts too."""
    assert harmless(text, 80) == line(text) == text


def test_a_long_name_keeps_its_end() -> None:
    """Its extension says what it is."""
    short = harmless("x" * 300 + ".pdf", 80)
    assert len(short) == 80 and short.endswith(".pdf") and "…" in short


def test_all_of_a_message_is_harmless_and_short_enough_for_every_service() -> None:
    """Title, label, server and reason may all come from others; what to type stays."""
    evil = "@everyone <!channel>\r\nX-Priority: 5\u202e[x](http://e.org)&lt;" * 100
    words = delivery.message(replace(JOB, title=evil, label=evil, server=evil, message=evil))
    assert len(words.title) <= 250 and words.title.isprintable()
    assert len(words.body) <= 2000 and len(words.body.encode()) <= 4096
    assert not ACTS.search(words.title + words.body) and "failed" in words.title
    assert words.body.splitlines()[-1] == "ktjob show abc" and len(words.body.splitlines()) == 3


def test_a_command_gets_names_and_reasons_on_one_line() -> None:
    """They may be put into a header or a line of a log; signs are left for it to quote."""
    evil = "a\r\nX-Evil: 1\u202e\x1b[2J <@U1>"
    told = command._carried_fields(replace(JOB, title=evil, label=evil, message=evil))
    for name in ("KTJOB_TITLE", "KTJOB_LABEL", "KTJOB_MESSAGE"):
        assert told[name] == "a X-Evil: 1[2J <@U1>"
