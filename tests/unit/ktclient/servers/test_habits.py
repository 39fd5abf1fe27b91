"""What a server has shown while it computed, and how long it holds."""

from __future__ import annotations

import pytest

from jobs import clock
from ktclient.servers import habits

URL = "http://x.test"


class Notes:
    """A store's notes."""

    def __init__(self) -> None:
        self.notes: dict[str, dict[str, object]] = {}

    def remember(self, pool: str, name: str, value: dict[str, object]) -> None:
        self.notes[f"{pool} {name}"] = value

    def recall(self, pool: str, name: str) -> dict[str, object] | None:
        return self.notes.get(f"{pool} {name}")


def test_of_a_server_of_which_nothing_is_known_only_sglang_is_known_to_answer() -> None:
    """Its HTTP process is another one than its scheduler."""
    for dialect, known in (("sglang", True), ("llama.cpp", False), ("openai-compatible", False)):
        assert habits.is_known_to_answer(Notes(), URL, None, dialect) is known


@pytest.mark.parametrize("answers", [True, False])
def test_what_a_server_has_shown_counts_more_until_another_listens_there(answers: bool) -> None:
    """Whatever its kind."""
    notes = Notes()
    habits.learn_answers(notes, URL, "boot:1", answers=answers)
    for dialect in ("sglang", "llama.cpp"):
        assert habits.is_known_to_answer(notes, URL, "boot:1", dialect) is answers
        assert habits.is_known_to_answer(notes, URL, None, dialect) is answers
        assert habits.is_known_to_answer(notes, URL, "boot:2", dialect) is (dialect == "sglang")
    assert habits.is_known_to_answer(notes, "http://y.test", "boot:1", "sglang")


def test_a_shared_cache_is_forgotten_after_a_day_and_with_a_broken_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its owner may have restarted it with other options on another machine."""
    notes = Notes()
    monkeypatch.setattr(clock, "now", lambda: "2026-11-29T12:00:00.000Z")
    habits.prove_shared_cache(notes, URL, None)
    assert habits.has_shared_cache(notes, URL, None)
    monkeypatch.setattr(clock, "now", lambda: "2026-11-30T12:00:01.000Z")
    assert not habits.has_shared_cache(notes, URL, None)
    notes.remember(URL, "shared cache", {"told_at": "yesterday"})
    assert not habits.has_shared_cache(notes, URL, None)
