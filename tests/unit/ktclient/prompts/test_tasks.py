"""What is asked about a document, and what of it a job stores."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ktclient.errors import BadInput
from ktclient.prompts import tasks
from ktclient.prompts.tasks import Kind, Task
from ktclient.submission.spec import VERSION, JobSpec
from ktclient.tokens.estimate import Estimate

ENGLISH = "It was the best of times, it was the worst of times."
CHINESE = "满纸荒唐言,一把辛酸泪!都云作者痴,谁解其中味?"
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"


def test_a_summary_is_wanted_when_nothing_is_said() -> None:
    """The commonest wish needs no option, and may be said."""
    assert tasks.task(False, None, None) == Task(Kind.SUMMARIZE)
    assert tasks.task(True, None, None) == Task(Kind.SUMMARIZE)


def test_a_question_and_a_prompt_keep_their_words() -> None:
    """Nothing is trimmed or changed."""
    assert tasks.task(False, " Who? ", None) == Task(Kind.ASK, " Who? ")
    assert tasks.task(False, None, "Translate.\n") == Task(Kind.PROMPT, "Translate.\n")


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ((True, "q", None), "--summarize and --ask"),
        ((True, None, "p"), "--summarize and --prompt"),
        ((False, "q", "p"), "--ask and --prompt"),
        ((True, "q", "p"), "--summarize and --ask and --prompt"),
        ((True, "", None), "--summarize and --ask"),
    ],
)
def test_two_wishes_at_once_are_refused_by_name(
    chosen: tuple[bool, str | None, str | None], named: str
) -> None:
    """The message names those that were given."""
    with pytest.raises(
        BadInput, match=f"^use only one of --summarize, --ask, --prompt, not {named}$"
    ):
        tasks.task(*chosen)


@pytest.mark.parametrize("blank", ["", "  ", "\n\t", "\u3000"])
def test_an_empty_question_or_prompt_is_refused(blank: str) -> None:
    """An unset shell variable is noticed before half an hour of prefill."""
    with pytest.raises(BadInput, match=r"^the question \(--ask\) is empty$"):
        tasks.task(False, blank, None)
    with pytest.raises(BadInput, match=r"^the prompt \(--prompt\) is empty$"):
        tasks.task(False, None, blank)


def test_half_a_character_in_a_question_is_refused() -> None:
    """A shell in another encoding hands over bytes that are no text and cannot be stored."""
    with pytest.raises(BadInput):
        tasks.task(False, "Qui est Andr\udce9 ?", None)
    with pytest.raises(BadInput):
        tasks.task(False, None, "\ud83d")


@pytest.mark.parametrize(
    "task", [Task(Kind.SUMMARIZE), Task(Kind.ASK, "Who dies?"), Task(Kind.PROMPT, "Translate.")]
)
@pytest.mark.parametrize("document", [ENGLISH, CHINESE])
def test_the_document_comes_first_and_whole(document: str, task: Task) -> None:
    """A server with a prefix cache reuses it for the next question."""
    assert tasks.message(document, task).startswith(f"{document}\n\n")
    assert tasks.message(document, task).endswith(task.text)


def test_a_prompt_is_sent_as_it_is() -> None:
    """No words of ours around the user's own."""
    assert tasks.message("text", Task(Kind.PROMPT, "Do it.")) == "text\n\nDo it."


def test_the_instruction_is_in_the_language_of_the_document() -> None:
    """Models answer in the language they are asked in."""
    assert "summarize" in tasks.message(ENGLISH, Task(Kind.SUMMARIZE))
    assert "总结" in tasks.message(CHINESE, Task(Kind.SUMMARIZE))
    assert "回答" in tasks.message(CHINESE, Task(Kind.ASK, "谁?"))
    assert "Answer" in tasks.message(ENGLISH, Task(Kind.ASK, "谁?"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CHINESE, True),
        (ENGLISH, False),
        (JAPANESE, False),
        (f"{CHINESE} DeepSeek V4", True),
        ("1234 !?", False),
        ("", False),
        (ENGLISH * 10 + CHINESE, False),
    ],
)
def test_chinese_is_told_from_english_and_japanese(text: str, expected: bool) -> None:
    """By what most letters are; digits and marks do not count."""
    assert tasks.is_chinese(text) is expected


def spec(task: Task) -> JobSpec:
    return JobSpec(task=task, server="embedded", model=None, max_tokens=64, timeout=3600.0)


@pytest.mark.parametrize("task", [Task(Kind.SUMMARIZE), Task(Kind.ASK, 'Who "is"\n红楼?')])
def test_a_stored_wish_comes_back_as_it_was(task: Task) -> None:
    """Another process performs it, maybe tomorrow."""
    assert JobSpec.from_json(spec(task).to_json()) == spec(task)


def test_a_stored_wish_is_readable() -> None:
    """The database is the user's to query: names, and text unescaped."""
    stored = spec(Task(Kind.ASK, "红楼")).to_json()
    assert "红楼" in stored
    assert json.loads(stored)["task"] == {"kind": "ask", "text": "红楼"}


def test_a_wish_of_a_newer_version_is_refused() -> None:
    """An old runner does not guess what a newer ktjob meant."""
    newer = json.loads(spec(Task(Kind.SUMMARIZE)).to_json())
    newer |= {"version": VERSION + 1, "unheard_of": True}
    with pytest.raises(BadInput, match=f"newer ktjob .spec {VERSION + 1}"):
        JobSpec.from_json(json.dumps(newer))


def test_the_count_and_the_single_questions_come_back_too() -> None:
    """They travel with the task."""
    full = replace(spec(Task(Kind.ASK, "1. a\n2. b", ("a", "b"))), counted=Estimate(9, 10, 11))
    assert JobSpec.from_json(full.to_json()) == full


def test_an_older_runner_can_perform_what_this_one_stores() -> None:
    """Until now it took these fields and no other, and of the task its kind and its text."""
    full = replace(spec(Task(Kind.ASK, "1. a\n2. b", ("a", "b"))), counted=Estimate(9, 10, 11))
    stored = json.loads(full.to_json())
    assert set(stored) == {"version", "task", "server", "model", "max_tokens", "timeout"}
    assert stored["version"] == 1 and stored["task"]["kind"] in ("summarize", "ask", "prompt")
    assert stored["task"]["text"] == "1. a\n2. b"


def test_what_a_later_one_adds_and_can_be_left_out_is_left_out() -> None:
    """Of the same version."""
    stored = json.loads(spec(Task(Kind.SUMMARIZE)).to_json())
    stored |= {"unheard_of": True}
    stored["task"]["unheard_of"] = 1
    assert JobSpec.from_json(json.dumps(stored)) == spec(Task(Kind.SUMMARIZE))
