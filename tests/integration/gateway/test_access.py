"""Who may use a running gateway: keys, names, origins, the page's login."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner
from support.gateway import SERVE, Serving, gateway
from support.gateway_keys import Made, make_key, remove_key
from support.patience import HANG_SECONDS

from jobs import clock
from jobs.store.state_dir import StateDir
from ktclient.cli.ktjob import ktjob
from ktclient.errors import BadInput

SERVER = "http://127.0.0.1:9"
ALLOWED = "https://chat.example"
NOTHING = "/v1/nothing"
"""What is not there: 404 for who may ask."""


@pytest.fixture(scope="module")
def state_of_all(tmp_path_factory: pytest.TempPathFactory) -> StateDir:
    return StateDir(tmp_path_factory.mktemp("guarded") / "state").create()


@pytest.fixture(scope="module")
def alice(state_of_all: StateDir) -> Made:
    return make_key(state_of_all, "alice")


@pytest.fixture(scope="module")
def guarded(state_of_all: StateDir, alice: Made) -> Iterator[Serving]:
    options = ("--allow-host", "llm.example", "--allow-origin", ALLOWED)
    with gateway(state_of_all, SERVER, *options) as one:
        yield one


_CLIENT = httpx2.Client(verify=False, limits=httpx2.Limits(max_keepalive_connections=0))
"""One for all: a new one reads the certificates of the whole world."""


def ask(method: str, url: str, **more: Any) -> httpx2.Response:
    """A request, without the cookies of earlier answers."""
    _CLIENT.cookies.clear()
    return _CLIENT.request(method, url, **more)


def status(one: Serving, path: str = NOTHING, **more: Any) -> int:
    return int(ask("GET", f"{one.url}{path}", **more).status_code)


def run(*words: str) -> str:
    done = CliRunner().invoke(ktjob, words)
    assert done.exit_code == 0, done.output
    return str(done.output)


@pytest.mark.promise
def test_a_key_is_shown_once_and_ends_at_once(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the commands, in a running gateway that had no key when it started."""
    monkeypatch.setenv("KTJOB_HOME", str(state.root))
    with gateway(state, SERVER) as one:
        reached(lambda: "every user and program of this machine" in one.log.read_text())
        assert status(one) == 404
        said = run("serve", "keys", "add", "alice", "--expires", "30d")
        (key,) = re.findall(r"^(sk-ktjob-\S{43})$", said, re.M)
        assert "not shown again" in said
        headers = {"Authorization": f"Bearer {key}"}
        reached(lambda: status(one) == 401)
        assert status(one, headers=headers) == 404
        listed = run("serve", "keys", "list")
        assert "alice" in listed and key not in listed and key[9:20] not in listed
        for path in state.root.rglob("*"):
            assert not path.is_file() or key[9:].encode() not in path.read_bytes(), path
        run("serve", "keys", "rm", "alice")
        reached(lambda: status(one, headers=headers) == 401)
        assert status(one) == 401  # the last key is gone, and the door stays closed
    done = CliRunner().invoke(ktjob, ["serve", "keys", "rm", "alice"])
    assert isinstance(done.exception, BadInput)
    with gateway(state, SERVER) as one:
        assert status(one) == 404


def reached(condition: object) -> None:
    """Wait for it."""
    assert callable(condition)
    deadline = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.promise
def test_every_request_needs_a_key(guarded: Serving, alice: Made) -> None:
    """But the question whether it is alive, and the page's login."""
    for path in (
        NOTHING,
        "/",
        "/v1/models",
        "/metrics",
        "/v1/files",
        "/healthz/",
        "/HEALTHZ",
        "/static",
        "/%2e%2e/healthz",
        "//healthz",
        "/healthz%00",
    ):
        for method in ("GET", "POST", "DELETE", "PUT", "OPTIONS", "HEAD"):
            if path == "/" and method in ("GET", "HEAD"):
                continue  # the page itself
            found = ask(method, f"{guarded.url}{path}")
            assert found.status_code in (401, 429), (method, path)
            assert found.headers["x-should-retry"] == "false"
    answer = ask("GET", f"{guarded.url}/healthz")
    assert answer.status_code == 200 and answer.json() == {"status": "ok"}
    assert status(guarded, headers=alice.headers) == 404


def test_what_is_no_key_is_refused_in_openais_words(guarded: Serving, alice: Made) -> None:
    for given in (
        "",
        "Bearer",
        "Bearer x",
        f"Bearer {alice.key}x",
        f"Basic {alice.key}",
        alice.key,
        f"Bearer {alice.id}",
        "Bearer " + "x" * 5000,
        "Bearer \xe4",
    ):
        answer = ask(
            "GET", f"{guarded.url}{NOTHING}", headers={"Authorization": given.encode("latin-1")}
        )
        assert answer.status_code in (401, 429), given
        error = answer.json()["error"]
        assert error["type"] in ("authentication_error", "rate_limit_error")
        assert alice.key not in answer.text
        if answer.status_code == 401:
            assert error["code"] == "invalid_api_key"
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert status(guarded, headers={"Authorization": f"bearer  {alice.key}"}) == 404


def test_an_expired_key_says_so(guarded: Serving, state_of_all: StateDir) -> None:
    old = make_key(state_of_all, "old", expires_at=clock.ago(1))
    soon = make_key(state_of_all, "soon", expires_at=clock.ago(-1.5))
    reached(lambda: status(guarded, headers=soon.headers) in (401, 429))
    answer = ask("GET", f"{guarded.url}{NOTHING}", headers=old.headers)
    assert answer.status_code in (401, 429)


@pytest.mark.promise
def test_after_many_wrong_keys_an_address_waits_and_good_keys_still_work(
    guarded: Serving, alice: Made
) -> None:
    """What a client says of its address counts for nothing, unless it is a proxy's."""
    found = []
    for number in range(40):
        forged = {"X-Forwarded-For": f"10.0.0.{number}", "Authorization": f"Bearer {number}"}
        found.append(ask("GET", f"{guarded.url}{NOTHING}", headers=forged))
        assert status(guarded, headers=alice.headers) == 404
    assert found[-1].status_code == 429
    assert 0 < int(found[-1].headers["retry-after"]) <= 60
    assert found[-1].json()["error"]["code"] == "too_many_invalid_keys"


@pytest.mark.promise
def test_a_foreign_name_or_page_is_refused_whatever_key_it_has(
    guarded: Serving, alice: Made
) -> None:
    """DNS rebinding and requests from other sites: the key may be in a page that was misled."""
    host = {"Host": f"evil.example:{guarded.port}"}
    origins = ("https://evil.example", "null", f"http://localhost:{guarded.port + 1}")
    for path in (NOTHING, "/healthz", "/login", "/", "/session"):
        assert status(guarded, path, headers={**alice.headers, **host}) == 421
        for origin in origins:
            headers = {**alice.headers, "Origin": origin}
            answer = ask("POST", f"{guarded.url}{path}", headers=headers)
            assert answer.status_code == 403, (path, origin)
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert status(guarded, path, headers=headers) == 403
    assert status(guarded, headers={**alice.headers, "Host": "llm.example"}) == 404
    assert status(guarded, headers={**alice.headers, "Sec-Fetch-Site": "cross-site"}) == 403


@pytest.mark.promise
def test_an_allowed_origin_gets_cors_and_no_other(guarded: Serving, alice: Made) -> None:
    asked = {
        "Origin": ALLOWED,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type, x-stainless-lang",
    }
    answer = ask("OPTIONS", f"{guarded.url}/v1/responses", headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == ALLOWED
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    for headers in ({"Origin": ALLOWED}, {"Origin": ALLOWED, **alice.headers}):
        answer = ask("GET", f"{guarded.url}{NOTHING}", headers=headers)
        assert answer.headers["access-control-allow-origin"] == ALLOWED
        assert "origin" in answer.headers["vary"].lower()
    assert (
        ask(
            "OPTIONS", f"{guarded.url}/v1/responses", headers={**asked, "Origin": "https://x"}
        ).status_code
        == 403
    )
    plain = ask("GET", f"{guarded.url}{NOTHING}", headers=alice.headers)
    assert "access-control-allow-origin" not in plain.headers


def own(one: Serving) -> dict[str, str]:
    return {"Origin": one.url}


@pytest.mark.promise
def test_a_key_becomes_a_cookie_that_a_restart_does_not_end(state: StateDir) -> None:
    """It works from the page's own origin only, and ends with its key or by logout."""
    key = make_key(state, "alice")
    with gateway(state, SERVER) as one:
        answer = ask("POST", f"{one.url}/login", json={"key": key.key}, headers=own(one))
        assert answer.status_code == 200 and answer.json() == {"name": "alice", "is_admin": False}
        header = answer.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(header.split("; "))
        assert key.key not in header and key.key not in answer.text
        cookie = {"Cookie": header.partition(";")[0]}
        assert status(one, headers=cookie) == 404
        said = ask("GET", f"{one.url}/session", headers=cookie).json()
        assert said == {"is_needed": True, "name": "alice", "is_admin": False}
        assert ask("GET", f"{one.url}/session").json()["name"] is None
        foreign = {**cookie, "Sec-Fetch-Site": "same-site"}
        assert status(one, headers=foreign) == 403
        form = ask("POST", f"{one.url}/login", data={"key": key.key}, headers=own(one))
        assert form.status_code == 303 and form.headers["location"] == "/"
        other = {"Cookie": form.headers["set-cookie"].partition(";")[0]}
        ended = ask("POST", f"{one.url}/logout", headers={**other, **own(one)})
        assert "Max-Age=0" in ended.headers["set-cookie"]
        assert status(one, headers=other) == 401
        wrong = ask("POST", f"{one.url}/login", json={"key": "x"}, headers=own(one))
        assert wrong.status_code == 401 and "set-cookie" not in wrong.headers
        for body in (b"", b"[]", b'{"key": 5}', b"{", b'{"key": "' + b"x" * 20_000 + b'"}'):
            bad = ask("POST", f"{one.url}/login", content=body, headers=own(one))
            assert bad.status_code in (400, 413), body[:10]
    with gateway(state, SERVER) as one:
        assert status(one, headers=cookie) == 404
        remove_key(state, "alice")
        reached(lambda: status(one, headers=cookie) == 401)


def test_without_keys_no_login_is_needed(state: StateDir) -> None:
    with gateway(state, SERVER) as one:
        said = ask("GET", f"{one.url}/session").json()
        assert said == {"is_needed": False, "name": None, "is_admin": True}
        answer = ask("POST", f"{one.url}/login", json={"key": "x"})
        assert answer.status_code == 400 and answer.json()["error"]["code"] == "no_key_needed"


@pytest.mark.promise
def test_other_machines_need_a_key_before_it_starts(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KTJOB_HOME", str(state.root))
    for words in (["--host", "0.0.0.0"], ["--behind-proxy"]):
        done = subprocess.run(
            [*SERVE, "--port", "0", *words],
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert "ktjob serve keys add NAME" in done.stderr
    key = make_key(state, "alice")
    with gateway(state, SERVER, "--host", "0.0.0.0", "--behind-proxy") as one:
        url = f"http://127.0.0.1:{one.port}"
        assert ask("GET", f"{url}{NOTHING}").status_code == 401
        assert ask("GET", f"{url}{NOTHING}", headers=key.headers).status_code == 404
        remove_key(state, "alice")
        reached(lambda: ask("GET", f"{url}{NOTHING}", headers=key.headers).status_code == 401)


@pytest.mark.promise
def test_no_key_and_no_text_reaches_the_log(state: StateDir, tmp_path: Path) -> None:
    """Whether in a header, the query, the body, a cookie or the path, right or wrong."""
    key = make_key(state, "alice")
    wrong = make_key(StateDir(tmp_path / "other").create(), "x").key
    secret = "a document that nobody may read"
    with gateway(state, SERVER) as one:
        for given in (key.key, wrong):
            headers = {"Authorization": f"Bearer {given}", "X-Api-Key": given}
            for path in (
                f"/v1/{given}",
                f"/v1/x?key={given}&q={secret}",
                "/v1/responses",
                "/login",
            ):
                ask("GET", f"{one.url}{path}", headers=headers)
                ask(
                    "POST",
                    f"{one.url}{path}",
                    headers={**headers, "Cookie": f"ktjob_session={given}"},
                    json={"key": given, "input": secret, "model": secret, "bad": {}},
                )
                ask("POST", f"{one.url}{path}", headers=headers, content=f"{secret} {given}")
        logged = one.log.read_text()
        answer = ask("GET", f"{one.url}/v1/traced", headers=key.headers)
        name = answer.headers["x-request-id"]
        reached(lambda: name in one.log.read_text())
        (line,) = [one for one in one.log.read_text().splitlines() if name in one]
    assert "GET /v1/traced 404" in line and "alice" in line and line.endswith(" s")
    logged += one.log.read_text()
    for text in (key.key, key.key[9:], wrong, wrong[9:], secret):
        assert text not in logged


@pytest.mark.promise
def test_a_store_that_cannot_be_read_opens_no_door_and_names_no_folder(state: StateDir) -> None:
    key = make_key(state, "alice")
    with gateway(state, SERVER) as one:
        assert status(one, headers=key.headers) == 404
        for path in state.root.glob("ktjob.db*"):
            path.unlink()
        state.database.mkdir()
        reached(lambda: status(one) == 503)
        for path in (NOTHING, "/session", "/v1/files"):
            for headers in ({}, key.headers):
                answer = ask("GET", f"{one.url}{path}", headers=headers)
                assert answer.status_code == 503 and answer.headers["x-should-retry"] == "true"
                assert str(state.root) not in answer.text
        answer = ask("POST", f"{one.url}/login", json={"key": key.key}, headers=own(one))
        assert answer.status_code == 503 and str(state.root) not in answer.text
