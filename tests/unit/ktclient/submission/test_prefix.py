"""Which jobs begin alike."""

from __future__ import annotations

from typing import Any

from ktclient.prompts.tasks import Kind, Task
from ktclient.request.body import Body
from ktclient.submission import prefix, spec
from ktclient.submission.spec import JobSpec

URL = "http://127.0.0.1:9"


def test_a_body_begins_with_all_but_its_last_message() -> None:
    """If that is long: a short one saves no second."""

    def body(before: str, asked: str, **more: Any) -> Body:
        messages = [{"role": "system", "content": before}, {"role": "user", "content": asked}]
        return Body({"messages": messages, **more})

    long = "word " * 2000
    first = prefix.of_body(body(long, "one?"))
    assert first and first == prefix.of_body(body(long, "two?", temperature=0.5))
    assert first != prefix.of_body(body(long + "x", "one?"))
    assert first != prefix.of_body(body(long, "one?", reasoning_effort="high"))
    assert first != prefix.of_body(body(long, "one?", tools=[{"type": "function"}]))
    assert prefix.of_body(body("Be brief.", long)) == ""


def test_the_runner_compares_what_is_stored() -> None:
    """Model, document and what stands before it; of bodies what stands before the last message.
    Jobs of earlier versions have nothing there."""

    def begins(document: str, prefix: str = "", kind: Kind = Kind.ASK, model: str = "m") -> str:
        stored = JobSpec(Task(kind, "?"), URL, model, 8, 60.0, prefix=prefix).to_json()
        assert JobSpec.from_json(stored).prefix == prefix
        return spec.begins(stored, document)

    assert begins("D") == begins("D", kind=Kind.SUMMARIZE)
    different = {begins("D"), begins("E"), begins("D", "p"), begins("D", model="n")}
    assert len(different) == 4
    bodies = {begins(one, "p", Kind.REQUEST) for one in ("B", "C")}
    assert len(bodies) == 1 and bodies.isdisjoint(different)
    assert begins("B", kind=Kind.REQUEST) != begins("C", kind=Kind.REQUEST)
