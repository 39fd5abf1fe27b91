"""What belongs to one key is out of reach of every other, by every route that the gateway has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from fake_sglang.process import fake_sglang
from starlette.routing import Route
from support import processes
from support.gateway import Serving, gateway
from support.gateway_keys import Made, make_key
from support.patience import HANG_SECONDS

import ktclient
from jobs.store.state_dir import StateDir
from ktclient.gateway import app
from ktclient.gateway.page import control

MARK = "zaphodbeeblebrox"
"""A word that is in all that the first key has sent, and in nothing else."""
MODEL = "DeepSeek-V4-Flash"
PARAMETER = re.compile(r"\{\w+(?::\w+)?\}")
NO_OWNER = ("/static/", "/v1/models/", "/page/several/")
"""Routes whose parameter names nothing that anybody owns."""
NEVER_FOR_HER = {
    ("POST", "/v1/responses/{id}/cancel"),  # only for what runs in the background
    ("POST", "/page/jobs/{id}/retry"),  # only for what has failed
}


@dataclass(frozen=True)
class Shared:
    """A gateway that two keys use, with things of the first one, by kind."""

    one: Serving
    alice: Made
    bob: Made
    admin: Made
    ids: dict[str, str]
    job_of_command_line: str

    def ask(self, key: Made, method: str, path: str, **more: Any) -> httpx2.Response:
        """The answer; of a stream without end, its first event."""
        headers = {**key.headers, "x-ktjob-page": "1", **more.pop("headers", {})}
        with _CLIENT.stream(method, f"{self.one.url}{path}", headers=headers, **more) as answer:
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                answer._content = _first_event(answer)
            else:
                answer.read()
        return answer


_CLIENT = httpx2.Client(
    verify=False, timeout=HANG_SECONDS, limits=httpx2.Limits(max_keepalive_connections=0)
)


def _first_event(answer: httpx2.Response) -> bytes:
    found = []
    for line in answer.iter_lines():
        found.append(line)
        if not line and any(one.startswith("data:") for one in found):
            break
    return "\n".join(found).encode()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    state = StateDir(folder / "state").create()
    with pytest.MonkeyPatch.context() as patch, fake_sglang(folder, "--answer", "Fine.") as server:
        patch.setenv("KTJOB_HOME", str(state.root))
        keys = [make_key(state, name) for name in ("alice", "bob")]
        keys.append(make_key(state, "root", is_admin=True))
        job = ktclient.submit_long(f"{MARK} text", ask="why?", server=server.url)
        job.wait()
        with gateway(state, server.url) as one:
            made = Shared(one, *keys, _things(one, keys[0]), job.id)
            try:
                yield made
            finally:
                processes.end_all(state)


def _things(one: Serving, key: Made) -> dict[str, str]:
    """One of each kind that can be made, of this key; also in progress."""

    def post(path: str, **more: Any) -> dict[str, Any]:
        answer = _CLIENT.post(f"{one.url}{path}", headers=key.headers, **more)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    message = {"role": "user", "content": MARK}
    chat = {"model": MODEL, "messages": [message], "store": True, "metadata": {"a": MARK}}
    line = {"custom_id": MARK, "method": "POST", "url": "/v1/chat/completions", "body": chat}
    file = post(
        "/v1/files",
        data={"purpose": "batch"},
        files={"file": (f"{MARK}.jsonl", json.dumps(line).encode() + b"\n")},
    )["id"]
    batch = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    new_upload = {"bytes": 99, "filename": MARK, "mime_type": "text/plain", "purpose": "batch"}
    upload = post("/v1/uploads", json=new_upload)["id"]
    part = post(f"/v1/uploads/{upload}/parts", files={"data": ("data", MARK.encode())})["id"]
    ids = {
        "file": file,
        "upload": upload,
        "part": part,
        "chat": post("/v1/chat/completions", json=chat)["id"],
        "batch": post("/v1/batches", json={**batch, "metadata": {"a": MARK}})["id"],
    }
    if "/v1/responses" in {path for _, path in _routes()}:
        asked = {"model": MODEL, "input": MARK, "metadata": {"a": MARK}}
        ids["response"] = post("/v1/responses", json=asked)["id"]
    ids["job"] = ids["chat"].removeprefix("chatcmpl-")
    return ids


def _routes() -> list[tuple[str, str]]:
    """Every method and path of the application."""
    found: list[tuple[str, str]] = []
    for route in app._routes():
        assert isinstance(route, Route), f"{route}: this test must learn to walk over it"
        found += [
            (method, route.path) for method in sorted(route.methods or ()) if method != "HEAD"
        ]
    return found


def _bodies(shared: Shared) -> list[dict[str, Any]]:
    """Bodies that name her things in all fields that can."""
    ids = shared.ids
    more = {"model": MODEL, "input": "x", "messages": [{"role": "user", "content": "x"}]}
    return [
        {},
        {"metadata": {"taken": "1"}, "part_ids": [ids["part"]]},
        {
            "input_file_id": ids["file"],
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
        },
        {**more, "previous_response_id": ids.get("response", ids["chat"])},
        {
            "model": MODEL,
            "input": [
                {
                    "role": "user",
                    "content": [{"type": "input_file", "file_id": ids["file"]}],
                }
            ],
        },
    ]


@pytest.mark.promise
def test_no_route_gives_a_key_what_belongs_to_another(shared: Shared) -> None:
    """Each route of the application, with each id of hers in its path, its query and its body."""
    for method, path in _routes():
        if path in ("/login", "/logout", "/metrics") or path.startswith(NO_OWNER):
            continue
        bodies: list[Any] = [{"json": body} for body in _bodies(shared)]
        for body in bodies if method == "POST" else [{}]:
            for used in _with_ids(path, shared.ids):
                answer = shared.ask(shared.bob, method, used, **body)
                said = answer.content.decode("utf-8", "replace")
                assert MARK not in said, (method, used, said)
                if PARAMETER.search(path):
                    assert answer.status_code in (400, 403, 404, 409), (method, used, said)
                elif method == "GET":
                    asked_for = {one for one in shared.ids.values() if one in used}
                    for one in set(shared.ids.values()) - asked_for:
                        assert one not in said, (method, used)
    _still_there(shared, shared.alice)


def _with_ids(path: str, ids: dict[str, str]) -> list[str]:
    if PARAMETER.search(path):
        return [PARAMETER.sub(one, path) for one in ids.values()]
    more = f"q={MARK}&documents=1&format=json&limit=5"
    return [path, *(f"{path}?job={one}&after={one}&ids={one}&{more}" for one in ids.values())]


def _still_there(shared: Shared, key: Made) -> None:
    """Nothing of hers was changed."""
    ids = shared.ids
    for path in (f"/v1/files/{ids['file']}", f"/v1/batches/{ids['batch']}"):
        answer = shared.ask(key, "GET", path)
        assert answer.status_code == 200, answer.text
        assert "taken" not in answer.text and "cancel" not in str(answer.json().get("status"))


@pytest.mark.promise
def test_what_belongs_to_another_key_cannot_be_referred_to(shared: Shared) -> None:
    """As the response before, as a file, as the file of a batch: and nothing is stored."""
    _, _, of_file, before, with_file = _bodies(shared)
    stored = shared.ask(shared.admin, "GET", "/metrics").text.partition("submitted_total ")[2][:9]
    for path, body in (
        ("/v1/responses", before),
        ("/v1/responses", {**before, "previous_response_id": shared.ids["job"]}),
        ("/v1/responses", {**before, "previous_response_id": shared.job_of_command_line}),
        ("/v1/responses", with_file),
        ("/v1/batches", of_file),
        (f"/page/jobs/{shared.ids['job']}/ask", {"question": "What does it say?"}),
    ):
        answer = shared.ask(shared.bob, "POST", path, json=body)
        assert answer.status_code in (400, 404), (path, answer.text)
        assert MARK not in answer.text
    assert (
        stored.split()[0]
        == shared.ask(shared.admin, "GET", "/metrics")
        .text.partition("submitted_total ")[2][:9]
        .split()[0]
    )


@pytest.mark.promise
def test_several_jobs_and_groups_are_those_of_the_key(shared: Shared) -> None:
    """One job of another among them, and nothing is done to any. What stops others' jobs, or puts
    one before them, needs an admin's key."""
    files = [("file", (f"{MARK}-{number}.txt", b"A text.", "text/plain")) for number in range(2)]
    both = shared.ask(shared.alice, "POST", "/page/jobs", files=files).json()["ids"]
    mine = shared.ask(shared.bob, "POST", "/page/jobs", data={"text": "Mine."}, files=[]).json()
    found = shared.ask(shared.alice, "GET", f"/page/search?q={MARK}-0").json()["jobs"]
    assert [one["id"] for one in found] == [both[0]]
    group = found[0]["group"]
    for what in control.CHANGES:
        for body in ({"ids": [*mine["ids"], both[0]]}, {"group": group}, {"group": "g-nothere"}):
            answer = shared.ask(shared.bob, "POST", f"/page/several/{what}", json=body)
            assert answer.status_code == 404, (what, answer.text)
    for query in (f"group={group}", f"ids={both[0]}", f"ids={mine['ids'][0]},{both[0]}"):
        assert shared.ask(shared.bob, "GET", f"/page/export?{query}").status_code == 404
    for path, body in (
        ("/page/pause", {}),
        ("/page/resume", {}),
        (f"/page/jobs/{mine['ids'][0]}/priority", {"priority": None}),
        (f"/page/jobs/{mine['ids'][0]}/priority", {"priority": 1}),
    ):
        assert shared.ask(shared.bob, "POST", path, json=body).status_code == 403, path
    again = shared.ask(shared.admin, "POST", "/page/several/hold", json={"ids": both})
    assert again.status_code == 200, again.text
    for job in both:
        assert shared.ask(shared.alice, "POST", f"/page/jobs/{job}/cancel").status_code == 200


@pytest.mark.promise
def test_an_admins_key_sees_all_and_any_other_no_job_of_the_command_line(shared: Shared) -> None:
    _still_there(shared, shared.admin)
    paths = [path for method, path in _routes() if method == "GET" and PARAMETER.search(path)]
    assert len(paths) > 3
    seen = 0
    for path in paths:
        used = PARAMETER.sub(shared.job_of_command_line, path)
        for key in (shared.alice, shared.bob):
            assert shared.ask(key, "GET", used).status_code == 404, used
        seen += shared.ask(shared.admin, "GET", used).status_code == 200
    listed = [
        shared.ask(key, "GET", "/v1/files").json()["data"] for key in (shared.bob, shared.admin)
    ]
    assert not listed[0] and [one["id"] for one in listed[1]].count(shared.ids["file"]) == 1
    assert shared.ask(shared.alice, "GET", "/metrics").status_code == 403
    assert shared.ask(shared.admin, "GET", "/metrics").status_code == 200


@pytest.mark.promise
def test_the_same_request_of_another_key_is_another_job(shared: Shared) -> None:
    """With the same Idempotency-Key, and as the repetition of a request that she has sent."""
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "Again?"}]}
    for headers in ({"Idempotency-Key": "one"}, {"x-stainless-retry-count": "1"}):
        ids = [
            shared.ask(key, "POST", "/v1/chat/completions", json=chat, headers=headers).json()["id"]
            for key in (shared.alice, shared.bob, shared.admin)
        ]
        assert len(set(ids)) == 3


def test_she_herself_gets_an_answer_from_each_of_these_routes(shared: Shared) -> None:
    """Or the walk above would prove nothing. What deletes comes last."""
    ids = _things(shared.one, shared.alice)
    routes = [(method, path) for method, path in _routes() if PARAMETER.search(path)]
    assert len(routes) > 8
    for method, path in sorted(routes, key=lambda one: ("GET", "POST", "DELETE").index(one[0])):
        if path.startswith(NO_OWNER) or (method, path) in NEVER_FOR_HER:
            continue
        if method == "DELETE" or path.endswith("/delete"):
            ids = _things(shared.one, shared.alice)
        found = [
            shared.ask(shared.alice, method, used, **({"json": {}} if method == "POST" else {}))
            for used in _with_ids(path, ids)
        ]
        codes = {one.status_code for one in found}
        assert codes - {403, 404, 405, 500, 503}, (method, path, codes)
        if method == "GET":
            assert 200 in codes, (method, path, codes)
