"""A job's output as a page gets it: more of it, or all of it again, and never a word twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.page_jobs import put

from jobs.model import Job, Outcome, Piece
from jobs.processes import identity
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.gateway.page import job as page_job
from ktclient.gateway.page.job import Output


@pytest.fixture
def store(state: StateDir) -> Iterator[HttpStore]:
    with HttpStore.open(state) as one:
        yield one


@pytest.fixture
def job(store: HttpStore) -> Job:
    (one,) = put(store, "a text")
    store.claim(one.id, identity.mine())
    return one


def write(store: HttpStore, job: Job, seq: int, text: str, channel: str = "answer") -> None:
    number = store.job(job.id).attempt
    store.append(job.id, number, [Piece(seq, channel, text)])


def read(store: HttpStore, job: Job, output: Output) -> dict[str, object] | None:
    return output.read(store, store.job(job.id))


def test_an_answer_comes_in_pieces(store: HttpStore, job: Job) -> None:
    """Thoughts apart from it; nothing where there is nothing new."""
    output = Output()
    assert read(store, job, output) == {"reset": True, "answer": "", "thoughts": ""}
    write(store, job, 1, "Hm. ", "reasoning")
    assert read(store, job, output) == {"answer": "", "thoughts": "Hm. "}
    write(store, job, 2, "Forty ")
    write(store, job, 3, "two.")
    assert read(store, job, output) == {"answer": "Forty two.", "thoughts": ""}
    assert read(store, job, output) is None
    store.finish(job.id, 1, Outcome.SUCCEEDED, None, None)
    assert read(store, job, output) is None


def test_thoughts_that_show_late_move_the_text(store: HttpStore, job: Job) -> None:
    """A closing tag whose opening one stood in the prompt."""
    output = Output()
    write(store, job, 1, "First I think about it.\n")
    assert read(store, job, output)
    write(store, job, 2, "</think>\n\nThen I answer.")
    assert read(store, job, output) == {
        "reset": True,
        "answer": "Then I answer.",
        "thoughts": "First I think about it.\n",
    }


def test_another_attempt_begins_again(store: HttpStore, job: Job) -> None:
    """Its words replace those of the one before."""
    output = Output()
    (twice,) = put(store, "twice")
    store.claim(twice.id, identity.mine())
    write(store, twice, 1, "Lost words")
    assert read(store, twice, output)
    assert store.requeue(twice.id, 1, "worker_died", "it died")
    store.claim(twice.id, identity.mine())
    write(store, twice, 1, "New")
    assert read(store, twice, output) == {"reset": True, "answer": "New", "thoughts": ""}


def test_a_page_that_comes_back_gets_the_rest(store: HttpStore, job: Job) -> None:
    """By the place that it was told; one that has something else gets all of it."""
    output = Output()
    write(store, job, 1, "One ")
    read(store, job, output)
    place = output.place
    write(store, job, 2, "two")
    assert read(store, job, Output(place)) == {"answer": "two", "thoughts": ""}
    whole = {"reset": True, "answer": "One two", "thoughts": ""}
    attempt, answer, thoughts, checksum = place.split(".")
    for wrong in (
        "nonsense",
        f"{attempt}.{answer}.{thoughts}.1",
        f"7.{answer}.{thoughts}.{checksum}",
        f"{attempt}.99.{thoughts}.{checksum}",
        f"{attempt}.-1.{thoughts}.{checksum}",
    ):
        assert read(store, job, Output(wrong)) == whole


def test_what_can_be_done_depends_on_the_state(store: HttpStore, job: Job) -> None:
    """And the cause and the next steps are those of `ktjob show`."""
    assert _offered(store, job) == {"cancel", "ask", "rerun", "put_first"}
    store.request_cancel(job.id)
    assert _offered(store, job) == {"ask", "rerun", "put_first"}
    store.finish(job.id, 1, Outcome.FAILED, "server_died", "the server died")
    found = page_job.details(store, store.job(job.id))
    ended = {"retry", "ask", "rerun", "export", "delete", "put_first"}
    assert _offered(store, job) == ended
    assert found["message"] == "the server died"
    assert found["next"][0]["command"].startswith("ktserver explain")  # type: ignore[index]
    assert "rid" not in found["attempts"][0]  # type: ignore[index]


def _offered(store: HttpStore, job: Job) -> set[str]:
    can = page_job.details(store, store.job(job.id))["can"]
    assert isinstance(can, dict)
    return {name for name, is_offered in can.items() if is_offered}
