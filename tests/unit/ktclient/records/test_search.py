"""Lists of jobs: by state, time, label and server, and by the words in them, in any language."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from jobs import clock
from jobs.model import Capacity, Job, NewJob, Outcome, Piece
from jobs.processes import identity
from jobs.store.job_queries import Filter
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import times
from ktclient.errors import BadInput
from ktclient.prompts.tasks import task
from ktclient.records import search
from ktclient.records.search import Words
from ktclient.submission.spec import JobSpec

SERVER = "http://gpu1.lan:30000"
NOW = datetime(2026, 11, 25, 15, 30, tzinfo=timezone(timedelta(hours=8)))


def new(title: str = "text", ask: str | None = None, **more: object) -> NewJob:
    spec = JobSpec(task(False, ask, None), SERVER, None, 10, 60.0)
    return replace(NewJob(SERVER, spec.to_json(), b"text", title), **more)  # type: ignore[arg-type]


def put(store: Store, job: NewJob) -> Job:
    return store.submit(job, Capacity(slots=100))


def answered(store: Store, job: NewJob, *pieces: str) -> Job:
    """A job whose answer came so."""
    stored = put(store, job)
    store.claim(stored.id, identity.mine())
    told = [Piece(seq, "answer", text) for seq, text in enumerate(pieces)]
    store.append(stored.id, 1, [*told, Piece(99, "thinking", "secretly")])
    store.finish(stored.id, 1, Outcome.SUCCEEDED, None, None)
    return store.job(stored.id)


@pytest.mark.parametrize(
    ("words", "text", "found"),
    [
        ("storm", "A STORM came", True),
        ("STRASSE", "Die Straße ist lang", True),
        ("ΣΊΣΥΦΟΣ", "σίσυφος", True),
        ("café", "un cafe\u0301 noir", True),
        ("黛玉", "林黛玉进贾府", True),
        ("黛玉 贾府", "林黛玉进贾府", True),
        ("黛玉 大观园", "林黛玉进贾府", False),
        ('"came late"', "the ferry came\n  late", True),
        ('"came late"', "late it came", False),
        ("late came", "the ferry came\nlate", True),
        ("a.c", "abc", False),
        ("50%", "50% of it", True),
        ('"50% of', "50% of it", True),
    ],
)
def test_words(words: str, text: str, found: bool) -> None:
    """Every word, in any case and composition, a phrase over line ends; nothing is a pattern."""
    assert (Words(words).find({"answer": text}) is not None) is found


@pytest.mark.parametrize("words", ["", "  ", '""', '"'])
def test_no_word_is_refused(words: str) -> None:
    """In words."""
    with pytest.raises(BadInput, match="at least one word"):
        Words(words)


def test_words_may_be_in_several_places_and_the_best_is_shown() -> None:
    """Where most of them are; and what is around, on one line."""
    fields = {"answer": "x " * 100 + "the ferry\nsank " + "y " * 100, "document": "storm.txt"}
    found = Words("storm ferry sank").find(fields)
    assert found is not None and found.where == "answer"
    assert "the ferry sank" in found.text and found.text[0] == found.text[-1] == "…"
    assert len(found.text) < 90
    found = Words("storm").find(fields)
    assert found == search.Found("document", "storm.txt")


def test_what_is_around_is_right_where_folding_makes_text_longer() -> None:
    """A hundred ß are two hundred s."""
    found = Words("needle").find({"answer": "ß" * 300 + " the Needle here " + "ß" * 300})
    assert found is not None and " the Needle here " in found.text


def test_what_is_searched(state: StateDir) -> None:
    """Names, labels, questions, answers across their pieces, failures; not mere thoughts."""
    with Store.open(state) as store:
        name = put(store, new("红楼梦.txt"))
        question = put(store, new(ask="Who sank the Ferry?"))
        label = put(store, new(label="nightly"))
        answer = answered(store, new(), "the light", "house keep", "er")
        failed = put(store, new())
        store.claim(failed.id, identity.mine())
        store.finish(failed.id, 1, Outcome.FAILED, "stream_cut", "it was cut")

        def look(words: str) -> list[tuple[str, str]]:
            listing = search.listing(store, Filter(), Words(words), None)
            assert listing.total == len(listing.jobs) == len(listing.found)
            return [
                (job.id, hit.where) for job, hit in zip(listing.jobs, listing.found, strict=True)
            ]

        assert look("楼梦") == [(name.id, "document")]
        assert look("ferry") == [(question.id, "asked")]
        assert look("NIGHT") == [(label.id, "label")]
        assert look("lighthouse keeper") == [(answer.id, "answer")]
        assert look("cut") == [(failed.id, "failure")]
        assert look("secretly") == []


@pytest.mark.promise
def test_documents_are_searched_on_demand(state: StateDir) -> None:
    """Two Chinese characters, a word in any case, and words of which one is in the question; each
    document once, however many jobs have it."""
    with Store.open(state) as store:
        chinese = "话说贾雨村因见甄士隐".encode()
        two = [put(store, new(ask=ask, document=chinese)) for ask in ("Who came?", "Who left?")]
        ferry = put(store, new("log", document=b"x " * 9_000 + b"The FERRY sank" + b" y" * 9_000))
        broken = put(store, new("bytes", document=b"\xff storm"))

        def look(words: str, *, documents: bool = True) -> list[tuple[str, str]]:
            read: list[tuple[int, int]] = []
            sought = Words(words)
            texts = search.Documents(store, sought, lambda *now: read.append(now))
            found = search.listing(store, Filter(), sought, None, texts if documents else None)
            size = len(chinese) + 36_014 + 7
            assert read[-1:] == ([(3, size)] if documents else []) and not texts.unread
            return [(job.id, hit.where) for job, hit in zip(found.jobs, found.found, strict=True)]

        assert look("雨村") == [(one.id, "content") for one in reversed(two)]
        assert look("雨村", documents=False) == []
        assert look("雨村 left") == [(two[1].id, "asked")]
        assert look("ferry") == [(ferry.id, "content")]
        assert look("storm") == [(broken.id, "content")]
        assert look("雨林") == []


def test_a_search_reads_so_much_and_says_what_it_left_out(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the newest jobs first; the others are still found by their questions."""
    monkeypatch.setattr(search, "MOST_BYTES", 20)
    with Store.open(state) as store:
        jobs = [
            put(store, new(ask="Why?", document=f"{number} the ferry".encode()))
            for number in range(5)
        ]
        words = Words("ferry")
        texts = search.Documents(store, words, lambda count, size: None)
        found = search.listing(store, Filter(), words, None, texts)
        assert [job.id for job in found.jobs] == [jobs[4].id, jobs[3].id] and texts.unread == 3
        words = Words("why")
        texts = search.Documents(store, words, lambda count, size: None)
        assert len(search.listing(store, Filter(), words, None, texts).jobs) == 5


def test_more_than_a_batch_is_searched_and_counted(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newest first; what is left out is counted."""
    monkeypatch.setattr(search, "_BATCH", 3)
    with Store.open(state) as store:
        for number in range(10):
            answered(store, new(f"{number}.txt"), "even" if number % 2 == 0 else "odd")
        listing = search.listing(store, Filter(), Words("even"), 2)
        assert [job.title for job in listing.jobs] == ["8.txt", "6.txt"] and listing.total == 5
        plain = search.listing(store, Filter(), None, 2)
        assert [job.title for job in plain.jobs] == ["9.txt", "8.txt"] and plain.total == 10


def test_filters(state: StateDir) -> None:
    """Each alone and together; parts only on request."""
    with Store.open(state) as store:
        old = put(store, new("old", label="nightly-1"))
        later = clock.of(datetime.now(timezone.utc) + timedelta(hours=1))
        done = answered(store, new("done", label="Nightly-2"), "x")
        part = put(store, new("part", parent=old.id, part="1"))

        def titles(**wanted: object) -> list[str]:
            found = Filter(**wanted)  # type: ignore[arg-type]
            jobs = [job.title for job in store.listed(found, 10)]
            assert store.count(found) == len(jobs)
            return jobs

        assert titles() == ["done", "old"]
        assert titles(parts=True) == ["part", "done", "old"]
        assert titles(states=("QUEUED",)) == ["old"]
        assert titles(states=("SUCCEEDED", "QUEUED")) == ["done", "old"]
        assert titles(label="nightly*") == ["old"] and titles(label="?ightly-2") == ["done"]
        assert titles(pool="gpu1") == ["done", "old"] and titles(pool="gpu2") == []
        assert titles(since=later) == [] and titles(until=later) == ["done", "old"]
        assert titles(since=done.created_at, states=("SUCCEEDED",)) == ["done"]
        assert store.listed(Filter(), 10, before=done.seq)[0].id == old.id
        assert part.parent == old.id


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2d", "2026-11-23T07:30:00.000Z"),
        ("90M", "2026-11-25T06:00:00.000Z"),
        ("1w", "2026-11-18T07:30:00.000Z"),
        ("2026-11-20T18:00Z".replace("Z", "+00:00"), "2026-11-20T18:00:00.000Z"),
        ("2026-11-20t18:00z", "2026-11-20T18:00:00.000Z"),
    ],
)
def test_moments(text: str, stored: str) -> None:
    """Spans and times with a zone mean the same everywhere."""
    assert times.parse_past(text, "--since", NOW) == stored


def test_days_begin_at_the_readers_midnight() -> None:
    """Yesterday, today and a date."""
    today = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    assert times.parse_past("today", "--since") == clock.of(today)
    date = datetime(2026, 11, 20).astimezone()
    assert times.parse_past("2026-11-20", "--since") == clock.of(date)
    assert times.parse_past("Yesterday", "--since") < times.parse_past("today", "--since")


@pytest.mark.parametrize("text", ["", "soon", "2", "2y", "-3d", "2026-13-01", "9" * 12 + "d"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    """With the option's name and what can be written."""
    with pytest.raises(BadInput, match=r"--since .*yesterday"):
        times.parse_past(text, "--since")


def test_a_span_beyond_all_time_is_all_time() -> None:
    """Not an overflow."""
    assert times.parse_past("999999999w", "--since", NOW) < "1930"
