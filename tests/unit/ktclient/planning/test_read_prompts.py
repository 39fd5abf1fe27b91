"""What a server probably has in its cache, and estimates that earlier prompts correct."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from jobs import clock
from ktclient.planning import read_prompts
from ktclient.planning.read_prompts import KEPT, ReadPrompt
from ktclient.planning.token_count import Count
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.tokens import estimate

BOOK = "".join(f"Line {number}: the ferry was late again. " for number in range(2_000))
"""About 17,000 tokens."""
SGLANG = ServerFacts("http://x", "sglang", "m", 100_000, pool=100_000, has_prefix_cache=True)
LLAMA = ServerFacts("http://x", "llama.cpp", "m", 100_000, max_running=1, has_prefix_cache=True)


@dataclass
class Notes:
    """A store's notes of one server."""

    rows: dict[str, dict[str, object]] = field(default_factory=dict)

    def remember(self, pool: str, name: str, value: dict[str, object]) -> None:
        self.rows[name] = value

    def recall(self, pool: str, name: str) -> dict[str, object] | None:
        return self.rows.get(name)


def asked(question: str, text: str = BOOK) -> str:
    return f"{text}\n\nAnswer from the text above: {question}"


def tokens_of(text: str) -> int:
    """As this server counts: a fifth more than the estimate, and a template of 30."""
    return round(estimate.estimate(text).likely * 1.2) + 30


def read(text: str, job: str = "a", begins: str = "", **more: Any) -> ReadPrompt:
    found = read_prompts.take(job, text, begins, None)
    return replace(found, tokens=tokens_of(text), answer=100, **more)


def rough(text: str) -> Count:
    return Count(estimate.estimate(text).likely, False, "estimated", is_rough=True)


def exact(text: str) -> Count:
    return Count(tokens_of(text), True, "counted")


@pytest.mark.parametrize("facts", [SGLANG, LLAMA])
def test_the_second_question_needs_only_the_question(facts: ServerFacts) -> None:
    """By a count or an estimate, within twenty tokens of what the server will compute; and the
    estimate becomes as good as a count."""
    one, two = asked("Who is it?"), asked("Where was it, and when was it over?")
    for count in (exact(two), rough(two)):
        known, cached = read_prompts.predict([read(one)], two, "", count, facts)
        assert cached is not None and cached.job == "a" and known.exact == count.exact
        assert known.tokens == pytest.approx(tokens_of(two), abs=20)
        truly = tokens_of(two) - tokens_of(two[len(BOOK) + 30 :])
        assert cached.tokens == pytest.approx(truly, abs=60)
        assert str(cached) == "cached: 99 %" and cached.share == cached.tokens / known.tokens


@pytest.mark.parametrize("facts", [SGLANG, LLAMA])
def test_the_next_turn_of_a_chat_has_the_answer_before_in_the_cache(facts: ServerFacts) -> None:
    """And the same turn asked again has it to its end."""
    first, answer = asked("Who is it?"), "\n\n" + "It is a ferry that is late again. " * 200
    turn = read_prompts.continued(read(first), first, answer, "")
    assert turn.tokens == tokens_of(first) + 100 and turn.answer == 0
    turn = replace(turn, tokens=tokens_of(first + answer))
    second = f"{first}{answer}\n\nWhere was it?"
    for text, whole in ((second, first + answer), (first, first)):
        cached = read_prompts.predict([turn], text, "", exact(text), facts)[1]
        assert cached is not None and cached.tokens == pytest.approx(tokens_of(whole), abs=60)


def test_a_common_beginning_is_found_in_longer_and_shorter_texts() -> None:
    """To a 64th of the text, never more than there is."""
    for part in (0.2, 0.5, 0.9):
        other = BOOK[: int(len(BOOK) * part)] + "From here on it is another story. " * 500
        shared = read(asked("Who?")).shared(asked("Who?", other), "")
        assert 0.95 * len(BOOK) * part - len(BOOK) / 64 < shared <= len(BOOK) * part
    assert read(BOOK).shared(BOOK, "") == len(BOOK) == read(BOOK).shared(BOOK + "more", "")
    assert read(BOOK).shared("", "") == 0 == read("").shared(BOOK, "")
    assert read(BOOK).shared("x" + BOOK, "") == 0
    odd = "\ud800" + BOOK  # not every text of a body can be encoded
    assert read(odd).shared(odd, "") == len(odd)


def test_what_begins_in_another_way_shares_nothing() -> None:
    """With another system prompt or effort the document comes behind other tokens."""
    count = exact(asked("Who?"))
    found = read_prompts.predict(
        [read(asked("Who?"), begins="high")], asked("Who?"), "", count, LLAMA
    )
    assert found == (count, None)


def test_a_server_without_a_prefix_cache_has_nothing() -> None:
    text, reads = asked("Who?"), [read(asked("Why?"))]
    for facts in (None, replace(SGLANG, has_prefix_cache=False)):
        assert read_prompts.predict(reads, text, "", exact(text), facts)[1] is None
    assert read_prompts.predict([], text, "", exact(text), SGLANG)[1] is None


def test_the_oldest_leaves_a_pool_that_is_full() -> None:
    """As many tokens as ktjob itself sent there since; llama.cpp keeps former prompts elsewhere."""
    text, old = asked("Who?"), read(asked("Why?"), "old")
    other = [read(asked("What?", f"{n} {BOOK}"), f"b{n}") for n in range(4)]
    for many, is_kept in [(0, True), (1, True), (2, True), (3, False), (4, False)]:
        reads = [*other[:many], old]
        cached = read_prompts.predict(reads, text, "", exact(text), SGLANG)[1]
        assert (cached is not None and cached.job == "old") == is_kept, many
    assert read_prompts.predict([*other, old], text, "", exact(text), LLAMA)[1] is not None
    again = [replace(one, cached=one.tokens - 10) for one in other]
    assert read_prompts.predict([*again, old], text, "", exact(text), SGLANG)[1] is not None


def test_a_cache_that_served_nothing_twice_is_not_trusted_until_it_does() -> None:
    """A server that does not say whether it has one is trusted when it has served one."""
    text = asked("Who?")
    miss, hit = (read(text, foreseen=9_000, cached=cached) for cached in (0, 8_900))
    silent = read(text, foreseen=9_000, cached=None)
    unsure = replace(SGLANG, has_prefix_cache=None)
    for reads, by_facts, unknown in [
        ([miss], True, False),
        ([miss, miss], False, False),
        ([silent, miss, silent, miss], False, False),
        ([miss, miss, hit], False, False),
        ([hit, miss, miss], True, True),
        ([silent], True, False),
        ([replace(miss, foreseen=100)] * 2, True, False),
    ]:
        for facts, is_trusted in ((SGLANG, by_facts), (unsure, unknown)):
            cached = read_prompts.predict(reads, text, "", exact(text), facts)[1]
            assert (cached is not None) == is_trusted, reads
            assert read_prompts.foresee(reads, text, "", exact(text), facts)[1] is not None or (
                facts is unsure
            )


def test_pages_are_cached_whole() -> None:
    text, paged = asked("Who?"), replace(SGLANG, page=256)
    cached = read_prompts.predict([read(asked("Why?"))], text, "", exact(text), paged)[1]
    assert cached is not None and cached.tokens % 256 == 0


def test_an_estimate_is_corrected_by_the_prompt_next_in_size() -> None:
    """A count is not; nor is an estimate of quite another size, of which nothing is known."""
    short, long = read("A short story. " * 60), read(asked("Who?"))
    text = "Quite another story. " * 50
    known, cached = read_prompts.predict([long, short], text, "", rough(text), None)
    assert cached is None and known.tokens == pytest.approx(tokens_of(text), rel=0.05)
    assert known.is_rough and known.by == "estimated; corrected by an earlier prompt on this server"
    for count, reads in [(rough(text), [long]), (exact(text), [short]), (rough(""), [short])]:
        assert read_prompts.predict(reads, text, "", count, None) == (count, None)


@pytest.mark.parametrize("reported", [1_000_000, 1])
def test_a_size_that_a_text_cannot_have_is_not_believed(reported: int) -> None:
    """Whatever a gateway reported of the same text, or of one as long."""
    text = "It was a dark and stormy night. " * 20
    strange = replace(read(text), tokens=reported)
    for asked in (text + "Why?", "x" + text):
        known, _ = read_prompts.predict([strange], asked, "", rough(asked), None)
        assert known == rough(asked)


def test_notes_keep_the_last_prompts_of_a_run_and_no_text() -> None:
    """Of another run, of an hour ago without a run, and what is unreadable, nothing is used."""
    notes = Notes()
    for number in range(KEPT + 3):
        one = replace(read(asked("Who?"), f"job{number}"), run="boot:1")
        read_prompts.record(notes, "s", "m", number, one)
    assert len(notes.rows) == KEPT and "ferry" not in str(notes.rows)
    found = read_prompts.recall(notes, "s", "m", "boot:1")
    assert {one.job for one in found} == {f"job{number}" for number in range(3, KEPT + 3)}
    assert [one.at for one in found] == sorted((one.at for one in found), reverse=True)
    assert replace(found[0], at="", job="") == replace(one, at="", job="")
    assert read_prompts.recall(notes, "s", "m", "boot:2") == []
    assert len(read_prompts.recall(notes, "s", "m", None)) == KEPT, "as long as facts last"
    assert read_prompts.recall(notes, "s", "other", "boot:1") == []
    (first, second), rows = list(notes.rows)[:2], notes.rows
    rows[first] = {**rows[first], "marks": 7}
    rows[second] = {**rows[second], "run": None, "at": clock.ago(4_000)}
    assert len(read_prompts.recall(notes, "s", "m", "boot:1")) == KEPT - 2
