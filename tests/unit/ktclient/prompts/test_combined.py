"""Several questions in one request: its schema, and its answer taken apart whatever was written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktclient.errors import BadInput
from ktclient.prompts import combined, tasks
from ktclient.prompts.tasks import Kind, Task

QUESTIONS = ("Who?", "Where?", "When?")
WHOLE = '{"1": "Emma", "2": "In Highbury", "3": "1815"}'
TEXTS = ["Emma", "In Highbury", "1815"]


def texts(written: str, questions: tuple[str, ...] = QUESTIONS) -> list[str | None]:
    return [answer.text for answer in combined.split(written, questions)]


@pytest.mark.parametrize(
    "written",
    [
        WHOLE,
        json.dumps(json.loads(WHOLE), indent=2),
        f"```json\n{WHOLE}\n```",
        f"Here you are:\n\n{WHOLE}\n\nI hope that this helps {{you}}.",
        f'The user wants {{an object}} like {{"1": "x"}}.</think>{WHOLE}',
        '{1: "Emma", 2: "In Highbury", 3: "1815"}',
        '{"Q1": "Emma", "question 2": "In Highbury", "3.": "1815"}',
        '{"Who?": "Emma", "Where?": "In Highbury", "When?": "1815"}',
        '{"3": "1815", "2": "In Highbury", "1": "Emma"}',
        '{"1": "Emma", "2": "In Highbury", "3": 1815, "4": "unasked"}',
        f'{{"answers": {WHOLE}}}',
        '{"answers": ["Emma", "In Highbury", "1815"]}',
        '{"1": {"question": "Who?", "answer": "Emma"}, "2": "In Highbury", "3": "1815"}',
        f'{{"1": "Emma{WHOLE}',  # DeepSeek V4 with thinking: the beginning twice
    ],
)
def test_an_answer_is_taken_apart_however_it_is_wrapped(written: str) -> None:
    """Fences, words around it, keys of several kinds, an object in an object."""
    assert texts(written) == TEXTS


def test_line_ends_inside_of_strings_do_no_harm() -> None:
    """Models write them raw."""
    assert texts('{"1": "one\ntwo", "2": "", "3": "\\u4e00"}') == ["one\ntwo", "", "一"]


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_of_a_cut_answer_what_is_whole_is_given(length: int) -> None:
    """Never half an answer, wherever max_tokens ended it."""
    kept = texts(WHOLE[:length])
    ends = [WHOLE.index(f'"{text}"') + len(text) + 2 for text in TEXTS]
    assert kept == [text if length >= end else None for text, end in zip(TEXTS, ends, strict=True)]


@pytest.mark.parametrize(
    "written", ["", "Emma, in Highbury.", "{", "{}", "null", '{"1": null}', "[1, 2", '{"9": "x"}']
)
def test_without_answers_all_are_missing(written: str) -> None:
    """And nothing is raised."""
    answers = combined.split(written, QUESTIONS)
    assert combined.unanswered(answers) == [1, 2, 3]


def test_a_number_cut_in_the_middle_is_no_answer() -> None:
    """18 of 1815 would be a wrong one."""
    assert texts('{"1": "Emma", "2": 18') == ["Emma", None, None]


@pytest.mark.parametrize("written", ['{"1": ' * 5_000, "{" * 200_000, '{"1": [' + "[" * 100_000])
def test_nesting_without_end_is_survived(written: str) -> None:
    """Models fall into loops."""
    assert texts(written) == [None, None, None]


@given(
    st.lists(st.text(max_size=30), min_size=1, max_size=6), st.text(alphabet="ab \n`", max_size=9)
)
def test_what_was_put_together_comes_apart(answers: list[str], around: str) -> None:
    """Any text in the answers, braces and quotes too."""
    questions = tuple(f"Question {number}?" for number in range(len(answers)))
    for ascii_only in (True, False):
        numbered = {str(number): text for number, text in enumerate(answers, 1)}
        written = around + json.dumps(numbered, ensure_ascii=ascii_only) + around
        assert texts(written, questions) == answers


@given(st.text(alphabet='{}[]":,12 \\ntrue`Q.', max_size=60), st.integers(1, 3))
def test_whatever_is_written_there_is_an_answer_or_none_to_each(written: str, count: int) -> None:
    """Never an error, never another number of answers."""
    found = combined.split(written, QUESTIONS[:count])
    assert [one.question for one in found] == list(QUESTIONS[:count])
    assert all(one.text is None or isinstance(one.text, str) for one in found)


def test_the_schema_wants_every_answer_in_order() -> None:
    """As OpenAI's response_format."""
    told = combined.response_format(QUESTIONS)
    assert told["type"] == "json_schema"
    wanted = told["json_schema"]
    assert isinstance(wanted, dict) and wanted["strict"] is True and wanted["name"]
    assert list(wanted["schema"]["properties"]) == wanted["schema"]["required"] == ["1", "2", "3"]
    assert wanted["schema"]["additionalProperties"] is False


def test_the_words_have_each_answer_under_its_question() -> None:
    """And say what is missing."""
    words = combined.as_text(combined.split('{"1": "Emma"}', QUESTIONS[:2]))
    assert words == "1. Who?\n\nEmma\n\n2. Where?\n\n(no whole answer)"


def test_the_message_ends_with_the_numbered_questions() -> None:
    """Behind the document, in its language."""
    (task,) = tasks.tasks(False, ["Who?", "Where?"], None, as_one=True)
    message = tasks.message("A long story.", task)
    assert message.startswith("A long story.\n\nAnswer each") and "JSON" in message
    assert message.endswith("\n\n1. Who?\n2. Where?")
    assert "回答" in tasks.message("石头记第一回。", task)


def test_what_cannot_be_asked_together_is_told() -> None:
    """One question, no question, an empty one, or something else."""
    for asks in ([], ["Who?"], ["Who?", " "]):
        with pytest.raises(BadInput):
            tasks.tasks(False, asks, None, as_one=True)
    with pytest.raises(BadInput, match="--summarize and --ask"):
        tasks.tasks(True, ["Who?", "Where?"], None)


def test_several_questions_are_several_tasks_unless_they_are_one() -> None:
    """In order."""
    assert tasks.tasks(False, QUESTIONS, None) == tuple(Task(Kind.ASK, one) for one in QUESTIONS)
    (one,) = tasks.tasks(False, QUESTIONS, None, as_one=True)
    assert one.questions == QUESTIONS
