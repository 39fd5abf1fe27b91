"""API keys: how one is made, and whether one that is sent is known. Only hashes are stored.

A key has 256 random bits, so a fast hash is enough: no list of likely keys exists that could be
tried.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from jobs import clock
from jobs.errors import KtjobError
from jobs.store.http.store import HttpStore
from jobs.store.http.values import ApiKey
from ktclient.errors import BadInput
from ktclient.gateway.store_threads import StoreThreads
from ktclient.gateway.wire.errors import SERVER, ApiError
from ktclient.wording import quote

CACHE_SECONDS = 0.25
"""How long the keys are not read again: an attempt costs no read, and a removal counts at once."""
LONGEST = 200
"""Characters of a key that is looked at. More is no key."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def make() -> str:
    """A new key."""
    return f"sk-ktjob-{secrets.token_urlsafe(32)}"


def make_id() -> str:
    """A new id: what owners are called in the store."""
    return f"key_{secrets.token_hex(8)}"


def hash_of(key: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def check_name(name: str) -> str:
    """The name of a key, unchanged. Raises `BadInput`."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"a key cannot be called {quote(name)!r}: use letters, digits and . _ @ -, at most 64"
        )
    return name


def is_expired(key: ApiKey) -> bool:
    """Whether its time is over."""
    return key.expires_at is not None and key.expires_at <= clock.now()


@dataclass(frozen=True)
class Known:
    """The keys at one moment."""

    keys: Sequence[ApiKey]
    read_at: float
    """Monotonic seconds."""
    are_needed: bool
    """Whether a request needs a key: once there is one, even an expired one, and until a restart if
    the last one is removed. Who takes a key from somebody does not open the door to all."""

    def of(self, given: str) -> ApiKey | None:
        """The key that was sent, also an expired one. Compares with all of them, each in constant
        time."""
        hashed, found = hash_of(given), None
        for key in self.keys:
            if hmac.compare_digest(key.hash, hashed):
                found = key
        return found

    def of_id(self, key_id: str) -> ApiKey | None:
        """The key with this id."""
        return next((key for key in self.keys if key.id == key_id), None)


class KeyRing:
    """The keys of a store, read again after `CACHE_SECONDS`. Used in the event loop."""

    def __init__(self, threads: StoreThreads) -> None:
        self._threads = threads
        self._known: Known | None = None
        self._read: asyncio.Task[Known] | None = None

    async def known(self) -> Known:
        """The keys by now. Raises `ApiError` 503 while they cannot be read."""
        before = self._known
        if before is not None and time.monotonic() - before.read_at < CACHE_SECONDS:
            return before
        if self._read is None or self._read.done():  # many requests wait for one read
            self._read = asyncio.create_task(self._again())
        return await asyncio.shield(self._read)

    async def _again(self) -> Known:
        now = time.monotonic()
        try:
            keys = await self._threads.store(HttpStore.api_keys)
        except KtjobError as error:
            raise _unreadable(error) from error
        were_needed = self._known is not None and self._known.are_needed
        self._known = Known(keys, now, were_needed or bool(keys))
        return self._known


def _unreadable(error: KtjobError) -> ApiError:
    """Without the error's message, which names folders of this machine: nobody knows yet who
    asks."""
    words = "the gateway cannot read its database for now. Send the request again later"
    return ApiError(503, words, SERVER, error.cause, is_curable=True)
