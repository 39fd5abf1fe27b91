"""What a given-up prefill may still cost, and in which words that is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_sglang.asking import start
from fake_sglang.process import fake_sglang

from ktclient.planning import prefill_time
from ktclient.planning.prefill_time import GUIDE, Curve, PrefillModel, Sample
from ktclient.servers import probe
from ktclient.worker import abort, ghost_prefill
from ktclient.worker.ghost_prefill import Ghost

TOKENS = 600_000


def learned(curve: Curve) -> PrefillModel:
    """From one prefill of so many tokens that was looked at on its way."""
    marks = range(0, TOKENS + 1, TOKENS // 20)
    return prefill_time.fit_model(
        [], [[Sample(tokens, curve.seconds(0, tokens)) for tokens in marks]]
    )


@pytest.mark.parametrize("tokens", [20_000, TOKENS])
def test_the_bound_grows_with_what_earlier_prefills_took(tokens: int) -> None:
    """Three times as slow a server is waited for about three times as long, and never for less
    than its prefill takes."""
    quick = Curve(GUIDE.base, GUIDE.growth)
    slow = Curve(3 * GUIDE.base, GUIDE.growth)
    short, long = (ghost_prefill.ghost_seconds(tokens, learned(curve)) for curve in (quick, slow))
    assert quick.seconds(0, tokens) <= short <= 1.5 * quick.seconds(0, tokens)
    assert long / short == pytest.approx(3, rel=0.05)


def test_the_bound_grows_faster_than_the_prompt() -> None:
    """Attention looks back: the second half costs more than the first."""
    belief = learned(GUIDE)
    half, whole = (ghost_prefill.ghost_seconds(tokens, belief) for tokens in (TOKENS // 2, TOKENS))
    assert whole > 2.2 * half


def test_where_nothing_is_learned_the_slowest_is_assumed() -> None:
    """300 tokens/s, slower than the guide's server at the end of a long document."""
    assert ghost_prefill.ghost_seconds(TOKENS, None) == 2_000 > GUIDE.seconds(0, TOKENS)


@pytest.mark.parametrize(
    ("ghost", "words"),
    [
        (Ghost(0.4, 10), ""),
        (Ghost(-5.0), ""),
        (Ghost(42.0), ", for up to 42 s more"),
        (Ghost(1_440.0, 480_000), ", for up to 24 min more (about 480,000 tokens)"),
    ],
)
def test_the_words(ghost: Ghost, words: str) -> None:
    """Nothing is said of what is over, and no tokens where nobody counted them."""
    assert str(ghost) == words


def test_a_cancel_names_the_seconds_while_the_server_computes(tmp_path: Path) -> None:
    """A real question to a server in mid-prefill; silence needs no words."""
    with fake_sglang(tmp_path, "--prefill-seconds", "600") as server:
        facts = probe.probe(server.url, None)
        assert abort.wait_and_report(facts, None, Ghost(1_440.0)) == ""
        connection = start(server)
        told = abort.wait_and_report(facts, None, Ghost(1_440.0, 480_000))
        connection.close()
    assert "does, for up to 24 min more (about 480,000 tokens); until then" in told
