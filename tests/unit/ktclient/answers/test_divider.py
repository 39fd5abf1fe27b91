"""Dividing while an output arrives: what is passed on at once, and what is held."""

from __future__ import annotations

import pytest

from ktclient.answers.divider import Divider
from ktclient.answers.stretches import Kind, Stretch

pytestmark = pytest.mark.each_python

ANSWER, THOUGHTS, RECALL = Kind.ANSWER, Kind.THOUGHTS, Kind.RECALL


def heard(divider: Divider, *pieces: str) -> list[tuple[Kind, str]]:
    return [
        (one.kind, one.text) for piece in pieces for one in divider.take(piece) if _is_seen(one)
    ]


def _is_seen(stretch: Stretch) -> bool:
    return bool(stretch.text) or stretch.kind is RECALL


def test_words_are_passed_on_as_they_come() -> None:
    """Of the answer, of thoughts in tags and of a message; only a beginning of a tag is held."""
    divider = Divider()
    assert heard(divider, "Wor", "ds ", "a<", "b") == [
        *((ANSWER, "Wor"), (ANSWER, "ds "), (ANSWER, "a"), (ANSWER, "<b")),
    ]
    divider = Divider()
    assert heard(divider, "<th", "ink>H", "m.<", "/thin", "k>\n", "\n", "Yes.") == [
        *((THOUGHTS, "H"), (THOUGHTS, "m."), (ANSWER, "Yes.")),
    ]
    divider = Divider()
    assert heard(divider, "<|channel|>final", "<|message|>", "Yes", ".") == [
        *((ANSWER, "Yes"), (ANSWER, "."))
    ]


def test_thoughts_of_which_only_the_end_is_marked_are_recalled_once() -> None:
    divider = Divider()
    assert heard(divider, "So.", "\n</think>", "\n\n", "Yes.", "\n</think>\n", "No.") == [
        *((ANSWER, "So."), (ANSWER, "\n"), (RECALL, ""), (ANSWER, "Yes.")),
        *((ANSWER, "\n</think>\n"), (ANSWER, "No.")),
    ]


def test_a_later_block_is_held_until_it_is_closed() -> None:
    divider = Divider()
    assert heard(divider, "<think>a</think>\nYes.", "\n<think>b", "c") == [
        *((THOUGHTS, "a"), (ANSWER, "Yes."), (ANSWER, "\n"))
    ]
    assert heard(divider, "</think>\nNo.") == [(THOUGHTS, "bc"), (ANSWER, "\nNo.")]
    assert divider.end() == []


def test_what_may_be_thought_is_held_where_that_is_expected() -> None:
    """Until its closing tag, the end, or a field for reasoning; nothing is recalled."""
    divider = Divider(holds=True)
    assert heard(divider, "So.", "\n</think>", "\n\n", "Yes", ".") == [
        *((THOUGHTS, "So.\n"), (ANSWER, "Yes"), (ANSWER, "."))
    ]
    divider = Divider(holds=True)
    assert heard(divider, "\n", "Yes", ".") == []
    assert divider.end() == [Stretch(ANSWER, "\nYes.")] and divider.end() == []
    divider = Divider(holds=True)
    assert heard(divider, "<think>a</think>\nYes", ".") == [
        *((THOUGHTS, "a"), (ANSWER, "Yes"), (ANSWER, "."))
    ]
    divider = Divider(holds=True)
    assert heard(divider, "Yes.") == []
    assert divider.take("Hm.", "reasoning") == [Stretch(ANSWER, "Yes."), Stretch(THOUGHTS, "Hm.")]


def test_a_field_for_reasoning_leaves_nothing_to_recall() -> None:
    divider = Divider()
    assert divider.take("Hm.", "reasoning") == [Stretch(THOUGHTS, "Hm.")]
    assert heard(divider, "\n\n", "So.\n</think>\n", "Yes.") == [
        *((ANSWER, "So.\n</think>\n"), (ANSWER, "Yes."))
    ]
