"""What a notebook shows of a job: HTML that nothing in the job can break."""

from __future__ import annotations

from html.parser import HTMLParser

from ktclient.answers import notebook

HOSTILE = '<script>alert("x")</script><b onmouseover=x>'


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def read(job: dict[str, object]) -> _Tags:
    tags = _Tags()
    tags.feed(notebook.table(job, 12.0))
    return tags


def test_nothing_of_a_job_is_markup() -> None:
    """Titles, phases and messages are not ours."""
    names = ("id", "state", "title", "task", "server", "message", "phase")
    found = read(dict.fromkeys(names, HOSTILE))
    assert found.tags <= {"table", "caption", "code", "tbody", "tr", "th", "td", "b"}
    assert HOSTILE in found.text
    origin = {"imported": {"at": HOSTILE}}
    assert read({"id": "k", "state": "LOST", **origin}).text.count(HOSTILE) == 1


def test_a_running_job_has_a_bar_and_a_finished_one_none() -> None:
    """Only while there is something to wait for."""
    job: dict[str, object] = {"id": "k", "state": "RUNNING", "phase": "prefill"}
    job |= {"done": 50, "total": 200}
    found = read(job)
    assert "progress" in found.tags and "25%" in found.text and "12 s" in found.text
    assert "progress" not in read({**job, "state": "SUCCEEDED", "finished_at": "2026"}).tags
