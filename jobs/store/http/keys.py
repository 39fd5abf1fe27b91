"""API keys of the gateway: their hashes."""

from __future__ import annotations

import sqlite3

from jobs import clock
from jobs.store.database import Database
from jobs.store.http.values import ApiKey


class Keys(Database):
    """Reads and writes of API keys."""

    def add_api_key(
        self, key_id: str, name: str, hashed: str, *, is_admin: bool, expires_at: str | None
    ) -> bool:
        """Store a key's hash. False if there is a key of this name."""
        try:
            with self._transaction():
                self._run(
                    "insert_api_key",
                    id=key_id,
                    name=name,
                    hash=hashed,
                    is_admin=is_admin,
                    expires_at=expires_at,
                    at=clock.now(),
                )
        except sqlite3.IntegrityError:
            return False
        return True

    def api_keys(self) -> list[ApiKey]:
        """All keys, expired ones too, oldest first."""
        return self._values(_key, self._all("api_keys"))

    def jobs_of_owners(self) -> dict[str, int]:
        """How many jobs are stored that each owner sent over HTTP, by key id."""
        return {row["owner"]: row["jobs"] for row in self._all("jobs_of_owners")}

    def remove_api_key(self, name: str) -> bool:
        """Forget a key. Whether there was one."""
        with self._transaction():
            return self._run("remove_api_key", name=name) == 1


def _key(row: sqlite3.Row) -> ApiKey:
    return ApiKey(
        id=row["id"],
        name=row["name"],
        hash=row["hash"],
        is_admin=bool(row["is_admin"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )
