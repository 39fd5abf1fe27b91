"""The page's requests without a browser: headers, files, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import pytest
from support.page_site import Site, site

from ktclient.gateway.page.own_requests import MARK

TEXT = "A text about boats and the sea. " * 20
OWN = {MARK: "1"}
MORE = ("pause", "resume", "several/cancel", "jobs/any/edit", "jobs/any/rerun", "jobs/any/priority")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("requests"), "--token-seconds", "0") as found:
        yield found


@pytest.mark.promise
def test_the_page_and_its_files_have_strict_headers(one: Site) -> None:
    """No script, style or frame of anybody else; and a file is only what is listed."""
    for path, kind in (
        ("/", "text/html"),
        ("/static/style.css", "text/css"),
        ("/static/main.js", "text/javascript"),
        ("/static/icon.svg", "image/svg+xml"),
    ):
        answer = httpx2.get(f"{one.url}{path}")
        assert answer.status_code == 200, path
        assert answer.headers["content-type"].startswith(kind)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'self'") and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "http://" not in answer.text.replace("http://www.w3.org/", "")
        assert "https://" not in answer.text
    for path in ("..%2froutes.py", "%2e%2e/routes.py", "routes.py", "nothing.js", ".js"):
        assert httpx2.get(f"{one.url}/static/{path}").status_code == 404, path


@pytest.mark.promise
def test_only_the_page_itself_changes_anything(one: Site) -> None:
    """A form of another site has no header of ours."""
    job = one.submit(TEXT, "a question")
    for path in (
        "jobs",
        "check",
        f"jobs/{job}/cancel",
        f"jobs/{job}/retry",
        f"jobs/{job}/delete",
        *MORE,
    ):
        answer = httpx2.post(f"{one.url}/page/{path}", data={"text": TEXT})
        assert answer.status_code == 403, path
    for method in ("GET", "PUT", "DELETE"):
        answer = httpx2.request(method, f"{one.url}/page/jobs/{job}/cancel", headers=OWN)
        assert answer.status_code == 405


def _wait(one: Site, job: str, state: str) -> None:
    """Until the feed says so."""
    with httpx2.stream("GET", f"{one.url}/events?job={job}", timeout=600) as answer:
        name = ""
        for line in answer.iter_lines():
            name = line.removeprefix("event: ") if line.startswith("event: ") else name
            is_job = line.startswith("data: ") and name == "job"
            if is_job and json.loads(line.removeprefix("data: "))["state"] == state:
                return


def test_a_form_becomes_jobs_and_each_is_downloaded(one: Site) -> None:
    """Several files, each a job; a name is text; downloads are never shown by the browser."""
    files = [
        ("file:%3Cb%3E%22x.txt", ("file", TEXT.encode(), "text/plain")),
        ("file", ("../../etc/two.txt", TEXT.encode(), "text/plain")),
    ]
    fields = {"task": "ask", "question": "What is it about?", "max_tokens": "64", "label": "here"}
    checked = httpx2.post(f"{one.url}/page/check", data=fields, files=files, headers=OWN).json()
    assert checked["can_run"] and checked["model"]
    assert [found["title"] for found in checked["documents"]] == ['<b>"x.txt', "two.txt"]
    ids = httpx2.post(f"{one.url}/page/jobs", data=fields, files=files, headers=OWN).json()["ids"]
    assert len(ids) == 2
    _wait(one, ids[0], "SUCCEEDED")
    for path, kind in (("answer", "text/markdown"), ("document", "text/plain")):
        answer = httpx2.get(f"{one.url}/page/jobs/{ids[0]}/{path}")
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        assert answer.headers["content-disposition"].startswith(f'attachment; filename="{ids[0]}-')
        assert answer.text
    assert answer.text == TEXT
    asked = httpx2.post(
        f"{one.url}/page/jobs/{ids[0]}/ask", json={"question": "And then?"}, headers=OWN
    )
    _wait(one, asked.json()["id"], "SUCCEEDED")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"text": " "}, "there is no document"),
        ({"text": TEXT, "task": "ask"}, "the question is empty"),
        ({"text": TEXT, "task": "dance"}, "there is no task"),
        ({"text": TEXT, "max_tokens": "many"}, "must be a whole number"),
        ({"text": TEXT, "task": "template:none"}, "there is no template none"),
        ({"text": TEXT, "server": "http://192.0.2.1:80"}, "there is no server"),
    ],
)
def test_bad_input_is_refused_in_words(one: Site, fields: dict[str, str], words: str) -> None:
    """With OpenAI's error object, and nothing is stored."""
    before = one.jobs()
    data = [(name, (None, value)) for name, value in fields.items()]
    answer = httpx2.post(f"{one.url}/page/jobs", files=data, headers=OWN, timeout=600)
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["error"]["message"]
    assert one.jobs() == before


def test_wrong_states_and_unknown_jobs_are_refused_in_words(one: Site) -> None:
    """One that runs is not deleted; one that is not there is not there."""
    one.server.hold()
    job = one.submit(TEXT, "held")
    answer = httpx2.post(f"{one.url}/page/jobs/{job}/delete", headers=OWN)
    assert answer.status_code == 409
    assert "has not ended" in answer.json()["error"]["message"]
    one.server.let_go()
    _wait(one, job, "SUCCEEDED")
    answer = httpx2.post(f"{one.url}/page/jobs/{job}/retry", headers=OWN)
    assert answer.status_code == 409, answer.text
    said = {"model": "default", "messages": [{"role": "user", "content": "x"}]}
    chat = httpx2.post(f"{one.url}/v1/chat/completions", json=said).headers["x-ktjob-id"]
    answer = httpx2.post(
        f"{one.url}/page/jobs/{chat}/ask", json={"question": "And then?"}, headers=OWN
    )
    assert answer.status_code == 400 and "messages and no document" in answer.text
    for path in ("cancel", "ask", "retry", "delete"):
        answer = httpx2.post(
            f"{one.url}/page/jobs/nothere0/{path}", json={"question": "?"}, headers=OWN
        )
        assert answer.status_code == 404


@pytest.mark.promise
def test_a_clients_request_that_waits_is_held_and_limited_but_not_reworded(one: Site) -> None:
    """Whoever sent it gets the answer to exactly what was sent; and the server gets the limit."""
    assert _change(one, "pause", {}) == 200
    try:
        body = {"model": "default", "input": "Who are you?", "background": True}
        body |= {"max_output_tokens": 100}
        sent = httpx2.post(f"{one.url}/v1/responses", json=body, timeout=600).json()
        job = sent["id"].removeprefix("resp_")
        assert _change(one, f"jobs/{job}/edit", {"max_tokens": 55, "label": "short"}) == 200
        for wrong in ({"question": "Who else?"}, {"max_tokens": 0}, {"max_tokens": "9"}, {}):
            assert _change(one, f"jobs/{job}/edit", wrong) == 400, wrong
        for wrong in ({"max_tokens": True}, {"nothing": 1}, {"server": "http://192.0.2.1"}):
            assert _change(one, f"jobs/{job}/edit", wrong) == 400, wrong
        assert _change(one, f"jobs/{job}/priority", {"priority": 3}) == 200
        assert _change(one, "several/hold", {"ids": [job]}) == 200
    finally:
        assert _change(one, "resume", {}) == 200
    there = f"{one.url}/v1/responses/{sent['id']}"
    now = httpx2.get(there).json()
    assert (now["status"], now["max_output_tokens"]) == ("queued", 55)
    assert _change(one, "several/release", {"ids": [job]}) == 200
    _wait(one, job, "SUCCEEDED")
    assert _change(one, f"jobs/{job}/edit", {"max_tokens": 60}) == 409
    (got,) = (each for each in one.server.requests() if "Who are you?" in str(each["messages"]))
    assert got["max_tokens"] == 55


def _change(one: Site, path: str, fields: dict[str, object]) -> int:
    answer = httpx2.post(f"{one.url}/page/{path}", json=fields, headers=OWN, timeout=600)
    return answer.status_code


@pytest.mark.promise
def test_jobs_are_exported_in_each_format(one: Site) -> None:
    """As `ktjob export` writes them; what has not ended, and what is no format, is refused."""
    job = one.submit(TEXT, "a question to export")
    _wait(one, job, "SUCCEEDED")
    for form, words in (
        ("md", "## report.txt: a question to export"),
        ("html", "<h2>report.txt: a question to export</h2>"),
        ("json", f'"id": "{job}"'),
        ("jsonl", f'"id": "{job}"'),
        ("csv", f"{job},SUCCEEDED,report.txt"),
    ):
        answer = httpx2.get(f"{one.url}/page/export?ids={job}&format={form}")
        assert answer.status_code == 200 and words in answer.text, (form, answer.text)
        name = f"ktjob-{job}.{form}"
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert TEXT not in answer.text
    whole = httpx2.get(f"{one.url}/page/export?ids={job}&format=json&documents=1").json()
    assert whole["jobs"][0]["document"]["text"] == TEXT
    for query, code in (("format=exe", 400), ("", 400), ("group=g-nothere", 404)):
        assert httpx2.get(f"{one.url}/page/export?{query}").status_code == code
