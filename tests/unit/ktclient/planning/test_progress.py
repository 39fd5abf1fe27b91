"""What is shown of a prefill: from recorded looks at real servers, and at others' work."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from ktclient.planning import prefill_time
from ktclient.planning.own_requests import OwnRequest, OwnWork
from ktclient.planning.prefill_time import Curve, Sample
from ktclient.planning.progress import HISTORY, STREAM, History, Prefill, Prompt
from ktclient.servers import gauges
from ktclient.servers.gauges import COUNTER, LOADS, METRICS, Reading

DATA = Path(__file__).parents[3] / "data"
H100 = json.loads((DATA / "prefill/h100.json").read_text())
TOKENS = 586_776
IDLE = Reading(METRICS, 1_000, 0, is_busy=False)


def counted(tokens: int, waiting: int = 0) -> Reading:
    return Reading(METRICS, tokens, waiting)


def alone(tokens: int = 10_000, past: History | None = None) -> Prefill:
    """A prefill that found its server idle, sent at 100 s."""
    prefill = Prefill(Prompt(tokens, tokens), past or History())
    prefill.read(IDLE, 99.0)
    prefill.sent(100.0)
    return prefill


def of_long() -> History:
    """What the recording `long` taught."""
    end = H100["first_token"]["long"]["seconds"]
    looks = [Sample(done, at) for at, done in H100["polls"]["long"] if at < end]
    kept = tuple(prefill_time.progress([*looks, Sample(TOKENS, end)]))
    lag = prefill_time.lag_of(end, TOKENS, prefill_time.fit_model(kept))
    return History((kept,), lag, prefill_time.fit_model([], [kept], lag=lag))


def test_nothing_moves_and_nothing_is_known() -> None:
    """Unknown is shown as unknown."""
    shown = alone().now(130.0)
    assert (shown.phase, shown.done, shown.eta, shown.total) == ("waiting", None, None, None)
    assert shown.tokens_per_second is None and not shown.is_estimate


def test_it_counts_from_where_the_counter_stood() -> None:
    """Not what was read for others before."""
    prefill = alone()
    for step in range(1, 6):
        prefill.read(counted(1_000 + 1_000 * step), 100.0 + 2 * step)
    shown = prefill.now(110.0)
    assert (shown.phase, shown.done, shown.total) == ("prefill", 5_000, 10_000)
    assert shown.tokens_per_second == pytest.approx(500)
    assert shown.eta == pytest.approx(10, rel=0.2)
    assert (shown.source, shown.is_estimate) == (METRICS, False)


def test_what_the_server_had_in_its_cache_is_not_waited_for() -> None:
    """The first that is told is nearly all of it: so is the time."""
    prefill = alone(TOKENS, of_long())
    before = prefill.now(100.1).eta
    prefill.told(TOKENS - 20, TOKENS, 100.2)
    after = prefill.now(100.2).eta
    assert before is not None and before > 30 and after is not None and after < 1


def test_the_speed_is_the_server_s_and_not_that_of_looking() -> None:
    """A chunk of 4,096 tokens every 4 s, looked at ten times a second."""
    prefill = alone()
    for tenth in range(1, 100):
        prefill.read(counted(1_000 + 4_096 * (tenth // 40)), 100.0 + tenth / 10)
        if tenth in (40, 41, 79):
            assert prefill.now(100.0 + tenth / 10).tokens_per_second is None  # one end of a chunk
    assert prefill.now(110.0).tokens_per_second == pytest.approx(1_024)


def test_a_few_tokens_beyond_the_prompt_are_its_last_page() -> None:
    """And not somebody else's, whose would be thousands."""
    prefill = alone()
    prefill.read(counted(1_000 + 10_200), 110.0)
    shown = prefill.now(110.0)
    assert (shown.done, shown.total, shown.shared) == (10_000, 10_000, None)
    prefill.read(counted(1_000 + 10_600), 111.0)
    shown = prefill.now(111.0)
    assert (shown.done, shown.total) == (10_600, None) and shown.shared


def test_the_last_reading_before_it_is_sent_counts() -> None:
    """An upload takes a while."""
    prefill = Prefill(Prompt(10_000, 10_000))
    prefill.read(IDLE, 90.0)
    prefill.read(counted(1_000), 99.0)
    prefill.sent(100.0)
    prefill.read(counted(5_000), 102.0)
    assert prefill.now(102.0).done == 4_000 and prefill.shared is None


@pytest.mark.parametrize(
    "readings",
    [
        [Reading(METRICS, 1_000, 0, is_busy=True)],
        [IDLE, counted(5_096)],
    ],
    ids=["busy", "moving"],
)
def test_a_server_that_served_others_gives_an_estimate(readings: list[Reading]) -> None:
    """Whoever else it serves, its counter is one sum."""
    prefill = Prefill(Prompt(10_000, 10_000))
    for number, reading in enumerate(readings):
        prefill.read(reading, 90.0 + number)
    prefill.sent(100.0)
    prefill.read(counted(9_000), 104.0)
    shown = prefill.now(104.0)
    assert shown.is_estimate and "other requests" in str(shown.shared)


def test_behind_others_it_waits_until_the_queue_is_empty() -> None:
    """What they read is not shown as its own; then its own is counted, as an estimate."""
    prefill = Prefill(Prompt(10_000, 10_000), of_long())
    prefill.read(Reading(LOADS, 50_000, 0, is_busy=True), 99.0)
    prefill.sent(100.0)
    prefill.read(Reading(LOADS, 60_000, 1), 105.0)
    shown = prefill.now(105.0)
    assert (shown.phase, shown.done, shown.total, shown.eta) == ("waiting", None, None, None)
    prefill.read(Reading(LOADS, 64_000, 0), 110.0)
    shown = prefill.now(110.0)
    assert (shown.phase, shown.done, shown.is_estimate) == ("prefill", 4_000, True)


def test_who_comes_later_waits_behind_and_disturbs_nobody() -> None:
    """Nobody overtakes in sglang; its own health probes also stand in that queue (recorded)."""
    prefill = alone()
    prefill.read(counted(5_000, waiting=1), 105.0)
    shown = prefill.now(105.0)
    assert (shown.phase, shown.done, shown.is_estimate) == ("prefill", 4_000, False)


def test_a_counter_beyond_the_prompt_counts_others_too() -> None:
    """No bar, no time, and the reason."""
    prefill = alone()
    for step in range(1, 6):
        prefill.read(counted(1_000 + 3_000 * step), 100.0 + 2 * step)
    shown = prefill.now(110.0)
    assert (shown.total, shown.eta, shown.is_estimate) == (None, None, True)


def test_a_counter_that_begins_again_is_taken_up_where_it_was() -> None:
    """A restart, or tokens that others gave back: never a negative, never a jump."""
    prefill = alone()
    prefill.read(counted(5_000), 105.0)
    prefill.read(counted(10), 107.0)
    assert prefill.now(107.0).done == 4_000
    prefill.read(counted(510), 109.0)
    shown = prefill.now(109.0)
    assert (shown.done, shown.is_estimate) == (4_500, True)


def test_what_the_server_says_of_the_prompt_itself_is_believed_before_its_counters() -> None:
    """llama.cpp's total is exact, whatever was expected."""
    prefill = alone(9_000)
    prefill.told(2_000, 8_000, 102.0)
    prefill.read(counted(99_000), 103.0)
    shown = prefill.now(103.0)
    assert (shown.done, shown.total, shown.source) == (2_000, 8_000, STREAM)
    assert not shown.is_estimate


def test_the_first_token_is_predicted_before_anything_moves() -> None:
    """From the recording `long`: `pair` took 34.65 s."""
    prefill = alone(TOKENS, of_long())
    shown = prefill.now(100.0)
    assert shown.source == HISTORY
    assert shown.eta == pytest.approx(H100["first_token"]["pair_long"]["seconds"], rel=0.1)
    assert prefill.now(300.0).eta is None, "overdue is unknown"


def test_a_recorded_prefill_is_followed_to_its_end() -> None:
    """`pair`, polled once a second, after `long`: from 20 % on within a tenth (its polls are
    coarse: a second of 35), and no jump of more than a fifth."""
    prefill, end = alone(TOKENS, of_long()), H100["first_token"]["pair_long"]["seconds"]
    shown: list[tuple[float, float]] = []
    for at, done in H100["polls"]["pair_long"]:
        if at >= end:
            break
        prefill.read(counted(1_000 + done), 100.0 + at)
        known = prefill.now(100.0 + at)
        assert known.eta is not None and not known.is_estimate
        shown.append((at, known.eta))
        if done > 0.2 * TOKENS:
            assert at + known.eta == pytest.approx(end, rel=0.1)
    assert len(shown) > 15
    for (before, eta), (now, later) in itertools.pairwise(shown[1:]):
        expected = max(0.0, eta - (now - before))
        assert (
            later <= max(expected * 1.2, expected + 1.0) + 1e-6 and later >= expected / 1.2 - 1e-6
        )


def recorded(flavour: str, path: str) -> str:
    for line in (DATA / f"sglang/{flavour}.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row.get("path") == path and row.get("status") == 200:
            return str(row["body"])
    raise AssertionError(f"{path} was not recorded")


EXACT = [json.loads(one) for one in (DATA / "sglang/loads-0.5.23.jsonl").read_text().splitlines()]


def of_recording(name: str, tokens: int, chunk: int | None = 4096) -> tuple[Prefill, list[float]]:
    """A request of the recording of sglang 0.5.23, before its first reading after it was sent, and
    when it was sent and had its first token."""
    times = [one["t"] for one in EXACT if one.get("name") == name and one["ev"] != "usage"]
    prefill = Prefill(Prompt(tokens, tokens), chunk=chunk)
    before = [one for one in EXACT if one["ev"] == "poll" and one["t"] < times[0]]
    prefill.read(exact(before[-1]), before[-1]["t"])
    prefill.sent(times[0])
    return prefill, times


def exact(poll: dict[str, Any]) -> Reading:
    reading = gauges.of_loads({"version": poll["version"], "loads": [poll["loads"]]})
    assert reading.source == COUNTER
    return reading


def polls_between(times: list[float]) -> list[dict[str, Any]]:
    return [one for one in EXACT if one["ev"] == "poll" and times[0] < one["t"] < times[1]]


@pytest.mark.promise
def test_sglang_0_5_23_counts_computed_chunks_exactly() -> None:
    """Real ones, of 4,096 tokens and a rest, behind two that were cached; /metrics counts a chunk
    that has only begun. It is read from the first chunk on, before any is counted. The speed is the
    server's own, whenever it is polled."""
    prefill, times = of_recording("long", 19_784)
    found = []
    for number, poll in enumerate(polls_between(times)):
        prefill.read(exact(poll), poll["t"])
        shown = prefill.now(poll["t"])
        assert (shown.phase, shown.source, shown.shared) == ("prefill", COUNTER, None)
        assert shown.done == 2 + 4_096 * number < poll["prefill_compute"]
        found.append(shown.tokens_per_second)
    assert len(found) == 4
    spent = [one["loads"]["total_prefill_busy_us"] for one in polls_between(times)]
    assert found[2] == pytest.approx(4_096e6 / (spent[2] - spent[1]))
    assert found[3] == pytest.approx(2 * 4_096e6 / (spent[3] - spent[1]))


def test_what_was_cached_is_counted_as_done_where_the_chunk_is_known() -> None:
    """11,869 tokens of 24,356, by what the server holds: the rest is what it says itself
    (`num_waiting_uncached_tokens` is exact, but in the last chunk). Without the size of a chunk
    only what it computes counts."""
    prefill, times = of_recording("half", 24_356)
    blind, _ = of_recording("half", 24_356, chunk=None)
    for number, poll in enumerate(polls_between(times)):
        prefill.read(exact(poll), poll["t"])
        blind.read(exact(poll), poll["t"])
        shown = prefill.now(poll["t"])
        assert shown.done == 11_869 + 4_096 * number
        assert 24_356 - shown.done == poll["loads"]["num_waiting_uncached_tokens"]
        assert blind.now(poll["t"]).done == (4_096 * number or None)
    assert len(prefill.looks) == 3 and prefill.looks[0].tokens == 11_869


def test_beside_others_the_exact_count_is_an_estimate_too() -> None:
    """It is a sum for all, and dated by the poll: the server may have computed for the other."""
    prefill, times = of_recording("beside", 9_812)
    for poll in polls_between(times):
        prefill.read(exact(poll), poll["t"])
        assert prefill.now(poll["t"]).is_estimate
        assert prefill.looks[-1].seconds == poll["t"] - times[0]


def test_a_chunk_is_dated_between_two_polls_however_long_it_took() -> None:
    """A server that stood still meanwhile says less time than passed."""
    prefill = Prefill(Prompt(10_000, 10_000), chunk=1_000)
    for at, tokens, busy in [(99.0, 0, 0.0), (102.0, 1_000, 1.5), (109.0, 2_000, 3.0)]:
        prefill.read(Reading(COUNTER, tokens, 0, tokens > 0, busy, tokens), at)
        if tokens == 0:
            prefill.sent(100.0)
            prefill.read(Reading(COUNTER, 0, 0, True, 0.0, 1_000), 101.0)
            prefill.read(Reading(COUNTER, 0, 0, True, 0.0, 1_000), 101.5)
    assert [(one.tokens, one.seconds) for one in prefill.looks[-2:]] == [(1_000, 2.0), (2_000, 3.5)]
    prefill.read(Reading(COUNTER, 2_000, 0, True, 3.0, 3_000), 119.0)
    prefill.read(Reading(COUNTER, 3_000, 0, True, 4.5, 4_000), 121.0)
    assert prefill.looks[-1].seconds == 19.0, "it was not there at the poll before"


@pytest.mark.parametrize(
    ("version", "source"),
    [
        ("0.5.23", COUNTER),
        ("0.5.24rc1", COUNTER),
        ("0.10.0.post1", COUNTER),
        *((one, LOADS) for one in ("0.5.17", "0.5.9", "0.0.0.dev0", "", "v1", None, 7)),
    ],
)
def test_exact_counts_are_known_by_the_release(version: object, source: str) -> None:
    """Older ones have the same fields, and fill them later; a server without them is not exact."""
    body = {**EXACT[0]["body"], "version": version}
    assert gauges.of_loads(body).source == source
    bare = {name: 1 for name in ("num_used_tokens", "num_waiting_reqs", "num_running_reqs")}
    assert gauges.of_loads({**body, "loads": [bare]}).source == LOADS
    assert gauges.of_loads({**body, "loads": []}).source == LOADS
    two = gauges.of_loads({**body, "loads": [{**EXACT[3]["loads"], "dp_rank": n} for n in (0, 1)]})
    assert source == LOADS or two.tokens == 2 * EXACT[3]["loads"]["total_prefill_uncached_tokens"]


@pytest.mark.parametrize("flavour", ["kt-0.7.2", "upstream-0.5.17"])
def test_recorded_answers_are_understood(flavour: str) -> None:
    """The body of /metrics as it came, and that of /v1/loads."""
    metrics = gauges.of_metrics(recorded(flavour, "/metrics"))
    assert metrics is not None and metrics.tokens > 0 and metrics.source == METRICS
    loads = gauges.of_loads(json.loads(recorded(flavour, "/v1/loads")))
    assert (loads.tokens, loads.waiting, loads.is_busy) == (0, 0, False)


def test_ranks_of_one_replica_count_the_same_tokens() -> None:
    """Replicas' counts are added."""
    line = 'sglang:realtime_tokens_total{dp_rank="%s",mode="prefill_compute",tp_rank="%s"} %s'
    text = "\n".join(line % row for row in ((0, 0, 10.0), (0, 1, 10.0), (1, 0, 5.0)))
    found = gauges.of_metrics(text)
    assert found is not None and found.tokens == 15
    assert gauges.of_metrics("<html>sglang</html>") is None


GHOST = OwnWork((OwnRequest("m7j8v4br", ended=4.0, left=6.0, tokens=3_000),))
KNOWN = History(belief=prefill_time.PrefillModel(((1.0, Curve(1 / 500, 0.0)),), 0.05))
"""500 tokens a second."""


def behind(ahead: OwnWork, first: Reading) -> Prefill:
    prefill = Prefill(Prompt(5_000, 5_000), KNOWN, ahead)
    prefill.read(first, 99.0)
    prefill.sent(100.0)
    return prefill


def test_a_busy_server_computes_our_own_ghost() -> None:
    """The reason names it, the time is that of both, and its tokens are not counted as this
    prompt's."""
    prefill = behind(GHOST, Reading(METRICS, 10_000, 0, is_busy=True))
    assert not prefill.serves_others and prefill.shared == GHOST.reason()
    assert prefill.expected() is not None and prefill.expected().seconds == 16.0  # type: ignore[union-attr]
    shown = prefill.now(101.0)
    assert (shown.phase, shown.eta, shown.source) == ("waiting", 15.0, HISTORY)
    prefill.read(counted(13_000), 106.0)
    assert (prefill.now(106.0).phase, prefill.now(106.0).done) == ("waiting", None)
    prefill.read(counted(14_000), 108.0)
    shown = prefill.now(108.0)
    assert (shown.phase, shown.done, shown.is_estimate) == ("prefill", 1_000, True)
    assert prefill.shared == GHOST.reason()
    prefill.read(counted(14_000 + 5_000), 117.0)
    assert prefill.shared == GHOST.reason(), "more than the prompt, and still not others"


def test_the_queue_is_believed_before_the_ghosts_tokens() -> None:
    """While this request waits there, the time left is known too; then it counts from its turn."""
    prefill = behind(GHOST, Reading(METRICS, 10_000, 0, is_busy=True))
    prefill.read(counted(11_000, waiting=1), 102.0)
    assert (prefill.now(102.0).phase, prefill.now(102.0).eta) == ("waiting", 14.0)
    prefill.read(counted(12_000), 104.0)
    assert prefill.now(104.0).done == 1_000


def test_an_idle_server_has_no_ghost() -> None:
    """Upstream sglang ends an aborted prefill: what it says of itself counts more. A running job of
    ours may still be on its way to it."""
    prefill = behind(GHOST, IDLE)
    assert (prefill.shared, prefill.ahead) == (None, OwnWork())
    assert prefill.expected() == prefill.predicted()
    running = OwnWork((OwnRequest("aaaa", left=6.0), *GHOST.requests))
    prefill = behind(running, IDLE)
    assert prefill.ahead == running.running() and "was reading your job aaaa" in str(prefill.shared)


def test_a_server_that_tells_nothing_may_read_our_other_job() -> None:
    """So the time of this prefill is no measure for later ones. A ghost is no reason: most servers
    have none."""
    prefill = Prefill(Prompt(5_000, 5_000), KNOWN, OwnWork((OwnRequest("aaaa", left=6.0),)))
    prefill.sent(100.0)
    assert "was reading your job aaaa" in str(prefill.shared)
    alone = Prefill(Prompt(5_000, 5_000), KNOWN, GHOST)
    alone.sent(100.0)
    assert alone.shared is None


def test_a_late_first_answer_is_no_proof_of_others() -> None:
    """By then the server is busy with this request."""
    prefill = Prefill(Prompt(5_000, 5_000), KNOWN)
    prefill.sent(100.0)
    prefill.read(Reading(METRICS, 10_000, 0, is_busy=True), 103.0)
    assert prefill.shared == "the server first answered after the request was sent"
    assert not prefill.serves_others
