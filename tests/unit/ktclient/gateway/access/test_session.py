"""Sessions of the page."""

from __future__ import annotations

import stat
from typing import Any

import pytest

from jobs.store.http.values import ApiKey
from jobs.store.state_dir import StateDir
from ktclient.gateway.access import session
from ktclient.gateway.access.session import Sessions

KEY = ApiKey("key_0123456789abcdef", "alice", "f" * 64, False, "2026-11-30T00:00:00Z", None)


def test_a_restart_ends_no_session(state: StateDir) -> None:
    cookie = Sessions(state.create()).begin(KEY)
    assert Sessions(state).key_id(cookie) == KEY.id
    assert stat.S_IMODE(state.gateway_secret.stat().st_mode) == 0o600


def test_what_was_changed_or_made_up_is_no_session(state: StateDir) -> None:
    sessions = Sessions(state.create())
    cookie = sessions.begin(KEY)
    for at in range(len(cookie)):
        other = "0" if cookie[at] != "0" else "1"
        assert sessions.key_id(cookie[:at] + other + cookie[at + 1 :]) is None, at
    for wrong in ("", ".", "....", cookie[:-1], f"{cookie}0", f"x{cookie}", "ä" * 200):
        assert sessions.key_id(wrong) is None


def test_another_state_directory_has_another_secret(state: StateDir, tmp_path: Any) -> None:
    cookie = Sessions(state.create()).begin(KEY)
    other = Sessions(StateDir(tmp_path / "other").create())
    other.begin(KEY)
    assert other.key_id(cookie) is None
    assert Sessions(StateDir(tmp_path / "none")).key_id(cookie) is None


def test_it_ends_by_time_and_by_logout(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(state.create())
    first, second = sessions.begin(KEY), sessions.begin(KEY)
    sessions.end(first)
    assert sessions.key_id(first) is None and sessions.key_id(second) == KEY.id
    now = session._now()
    monkeypatch.setattr(session, "_now", lambda: now + session.SECONDS + 1)
    assert sessions.key_id(second) is None


def test_what_was_ended_takes_bounded_memory(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_MOST_ENDED", 5)
    sessions = Sessions(state.create())
    for _ in range(20):
        sessions.end(sessions.begin(KEY))
        sessions.end("made up")
    assert len(sessions._ended) == 5


def test_without_room_for_the_secret_sessions_last_as_long_as_the_process(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ktclient.gateway.access.session.draft.write", full)
    sessions = Sessions(state.create())
    cookie = sessions.begin(KEY)
    assert sessions.key_id(cookie) == KEY.id
    assert Sessions(state).key_id(cookie) is None


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites() -> None:
    for is_secure in (False, True):
        header = session.set_cookie("value", is_secure)
        assert header.startswith(f"{session.COOKIE}=value; ")
        parts = {one.strip() for one in header.split(";")}
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= parts
        assert ("Secure" in parts) is is_secure
    assert "Max-Age=0" in session.set_cookie("", False)


def test_it_is_found_among_others() -> None:
    headers = [(b"cookie", b"a=b; ktjob_session=x.y=z ; c=d")]
    assert session.cookie_of({"headers": headers}) == "x.y=z"
    assert (
        session.cookie_of({"headers": [(b"cookie", b"ktjob_sessio=1; xktjob_session=2")]}) is None
    )
    assert session.cookie_of({"headers": []}) is None
