"""The fields of the page's form."""

from __future__ import annotations

import pytest

from ktclient.config import settings as config
from ktclient.config.settings import Settings
from ktclient.errors import BadInput, DocumentUnusable
from ktclient.gateway.context import Caller
from ktclient.gateway.page import submit
from ktclient.gateway.page.submit import Form
from ktclient.planning.queue_ahead import Position, QueueAhead

URL = "http://127.0.0.1:40001"
ADA = Caller("key_ada", is_admin=False)


@pytest.fixture
def settings() -> Settings:
    text = f'[server]\nurl = "{URL}"\n[servers.big]\nurl = "http://10.0.0.2:30000/v1"\n'
    return config.load(text=text)


def test_files_and_a_pasted_text_are_documents() -> None:
    """Names are the last part of a path, of any system."""
    files = [("a/b/one.txt", b"1 text"), ("C:\\two.txt", b"2 text"), ("", b"3 text")]
    found = submit.documents(Form(files, {"text": "4 text"}))
    assert [one.title for one in found] == ["one.txt", "two.txt", "unnamed file", "pasted text"]
    assert [one.text[0] for one in found] == ["1", "2", "3", "4"]
    with pytest.raises(BadInput, match="there is no document"):
        submit.documents(Form())
    with pytest.raises(DocumentUnusable, match=r"one\.txt is empty"):
        submit.documents(Form([("one.txt", b" ")]))
    with pytest.raises(BadInput, match="more than 100 files"):
        submit.documents(Form([("one.txt", b"text")] * 101))


def test_each_task_has_its_fields(settings: Settings) -> None:
    """A question, a prompt, a template with its variables; a summary where nothing is said."""

    def task(**fields: str) -> tuple[str, str]:
        given = {name.replace("__", "."): value for name, value in fields.items()}
        request = submit.options(Form((), given), settings, Caller()).request
        return request.tasks[0].kind.value, request.tasks[0].about("x.txt").text

    assert task() == ("summarize", "")
    assert task(task="ask", question=" Why? ") == ("ask", "Why?")
    assert task(task="prompt", question="Do it.") == ("prompt", "Do it.")
    kind, text = task(task="template:terms", var__kind="ships")
    assert kind == "prompt" and "ships" in text
    with pytest.raises(BadInput, match="no variable \\$colour"):
        task(task="template:terms", var__colour="red")


def test_only_configured_servers_are_asked(settings: Settings) -> None:
    """A page must not make the gateway ask any address."""
    given = submit.options(Form((), {"server": "http://10.0.0.2:30000"}), settings, Caller())
    assert given.request.server == "http://10.0.0.2:30000"
    for url in ("http://169.254.169.254", "embedded", "big"):
        with pytest.raises(BadInput, match="there is no server"):
            submit.options(Form((), {"server": url}), settings, Caller())


def test_a_job_belongs_to_its_key(settings: Settings) -> None:
    """Without keys it is as one of the command line."""
    request = submit.options(Form(), settings, ADA).http_request
    assert request is not None and request.owner == "key_ada"
    assert submit.options(Form(), settings, Caller()).http_request is None


def test_a_key_learns_no_ids_of_others() -> None:
    """What is before a request is counted for it."""
    ahead = QueueAhead(jobs_running=1, jobs_waiting=2, head=Position("abcd1234", False, 60.0))
    assert submit.ahead_lines(ahead, ADA) == [
        "before it on this server: 1 job running and 2 jobs waiting"
    ]
    assert "abcd1234" in str(submit.ahead_lines(ahead, Caller()))
    assert submit.ahead_lines(QueueAhead(), ADA) == []
