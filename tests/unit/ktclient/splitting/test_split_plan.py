"""What a document in parts is planned to be, what is said about its parts, and what is stored."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ktclient.prompts.tasks import Kind, Task
from ktclient.splitting import part_prompts, reduce
from ktclient.splitting.chunks import Chunk
from ktclient.splitting.reduce import Item
from ktclient.splitting.split_plan import Plan
from ktclient.submission.spec import JobSpec
from ktclient.tokens.estimate import Estimate

CHUNKS = (Chunk(1, 0, 0, 20, "Chapter 1"), Chunk(2, 13, 20, 40, "Chapter 1"))
PLAN = Plan(CHUNKS, (Estimate(9, 10, 11), Estimate(12, 12, 12)), 64, 2_000, 2)
TEXT = "It was dark. It was " + "raining. It stopped."


@given(st.lists(st.integers(1, 900), min_size=1, max_size=200), st.integers(1_000, 5_000))
def test_groups_are_neighbours_that_fit_and_become_one(sizes: list[int], room: int) -> None:
    """All items, in order; within the room where it has room for three; fewer at each level."""
    while True:
        found = reduce.groups(sizes, room)
        assert [place for group in found for place in group] == list(range(len(sizes)))
        assert all(group for group in found)
        if len(found) == 1:
            break
        assert len(found) <= (len(sizes) + 1) // 2
        fits = [sum(sizes[place] for place in group) <= room for group in found]
        assert all(fits) or room < 3 * max(sizes)
        sizes = [max(1, room // 3 - 1)] * len(found)


def test_levels_are_as_many_as_it_takes() -> None:
    """To the one at the end, whose request is counted too."""
    assert reduce.levels(1, 100, 1_000) == [1]
    assert reduce.levels(10, 100, 1_000) == [1]
    assert reduce.levels(11, 100, 1_000) == [2, 1]
    assert reduce.levels(60, 300, 1_000)[-2:] == [3, 1]


def test_a_part_knows_its_place_and_what_it_repeats() -> None:
    """Which of how many, of which chapter; the end of the part before is not taken for its own."""
    first, second = (part_prompts.part_document(TEXT, chunk, PLAN) for chunk in CHUNKS)
    assert first == "[Part 1 of 2: Chapter 1]\n\nIt was dark. It was "
    assert "(The end of part 1:)\nIt was" in second and "(Part 2 begins here:)\nraining." in second


def test_a_part_may_know_nothing() -> None:
    """As it was told to say it, in either language; and not where it says more."""
    assert part_prompts.has_nothing("Nothing in this part.") and part_prompts.has_nothing(
        ' "nothing in this part"\n'
    )
    assert part_prompts.has_nothing(part_prompts.NOTHING[1])
    assert not part_prompts.has_nothing("Nothing in this part of the country grew. But it rained.")
    task = Task(Kind.ASK, "Who?")
    assert part_prompts.NOTHING[0] in part_prompts.part_task(task, CHUNKS[0], PLAN).text


def test_answers_go_on_under_their_numbers_and_are_data() -> None:
    """A document of the next request, as any other."""
    items = [Item(1, 1, "Dark. <p>", 9), Item(2, 5, "Rain.", 9)]
    told = part_prompts.combining_document(items, PLAN)
    assert told.startswith("[1] Chapter 1\nDark. <") and "\n\n[2-5]\nRain." in told
    for kind in (Kind.SUMMARIZE, Kind.ASK, Kind.PROMPT):
        for is_last in (True, False):
            words = part_prompts.combining_task(Task(kind, "Who?"), PLAN, is_last=is_last).text
            assert "such as [3]" in words and ("Who?" in words) is (kind is not Kind.SUMMARIZE)


def test_the_plan_is_stored_with_the_job_as_something_that_older_versions_refuse() -> None:
    """Version 2; a request in one piece stays version 1."""
    plain = JobSpec(Task(Kind.SUMMARIZE), "http://x", None, 100, 60.0)
    split = JobSpec(Task(Kind.SUMMARIZE), "http://x", None, 100, 60.0, split=PLAN)
    assert JobSpec.from_json(split.to_json()) == split
    assert '"version": 1' in plain.to_json() and '"version": 2' in split.to_json()
    assert '"conduct": "split"' in split.to_json() and "conduct" not in plain.to_json()
