"""API keys of a test's gateway, put into its store."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass

from jobs import clock
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.gateway.access import keys


@dataclass(frozen=True)
class Made:
    """A key, its id, and the header that sends it."""

    id: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


def make_key(
    state: StateDir, name: str, *, is_admin: bool = False, expires_at: str | None = None
) -> Made:
    """As `ktjob serve keys add` does."""
    made = Made(keys.make_id(), keys.make())
    hashed = keys.hash_of(made.key)
    with HttpStore.open(state) as store:
        assert store.add_api_key(made.id, name, hashed, is_admin=is_admin, expires_at=expires_at)
    return made


def remove_key(state: StateDir, name: str) -> None:
    """As `ktjob serve keys rm` does."""
    with HttpStore.open(state) as store:
        assert store.remove_api_key(name)


def end_key(state: StateDir, name: str) -> None:
    """Let it expire now, as one whose time is over."""
    with closing(sqlite3.connect(state.database)) as database, database:
        database.execute("UPDATE api_keys SET expires_at = ? WHERE name = ?", (clock.now(), name))
