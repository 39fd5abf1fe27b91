"""What a chat asked, as the page shows it: bounded."""

from __future__ import annotations

from support.page_jobs import SERVER, put

from jobs.model import Capacity, NewJob
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.gateway.page import conversation
from ktclient.prompts.tasks import Kind, Task
from ktclient.request.body import Body
from ktclient.submission.spec import JobSpec


def test_the_last_messages_of_a_chat_are_shown(state: StateDir) -> None:
    """Their beginnings, with the length of the whole; texts of parts too, and no picture."""
    long = "x" * 30_000
    parts = [{"type": "text", "text": "See:"}, {"type": "text", "text": "this"}]
    messages = [
        *({"role": "user", "content": f"number {number}"} for number in range(50)),
        {"role": "assistant", "content": long},
        {"role": "user", "content": parts},
    ]
    spec = JobSpec(Task(Kind.REQUEST), SERVER, None, 10, 60.0).to_json()
    body = Body({"messages": messages}).to_bytes()
    with HttpStore.open(state) as store:
        (chat,) = store.submit_all([NewJob(SERVER, spec, body, "chat")], Capacity())
        found = conversation.messages(store, chat)
        (other,) = put(store, "no chat")
        assert conversation.messages(store, other) == []
    assert len(found) == conversation.MOST_MESSAGES
    assert found[-2] == {"role": "assistant", "text": "x" * 20_000, "characters": 30_000}
    assert found[-1]["role"] == "user"
    assert "See:" in str(found[-1]["text"]) and "this" in str(found[-1]["text"])
