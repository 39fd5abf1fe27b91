"""Requests that are being answered, by key: when a key ends, they end with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from ktclient.gateway.access.keys import KeyRing, is_expired
from ktclient.gateway.wire.errors import ApiError

LOOK_SECONDS = 1.0
"""How often the keys of open requests are looked at."""


@dataclass(eq=False)
class Open:
    """One request that is being answered."""

    key_id: str
    task: asyncio.Task[object]
    is_ended: bool = False
    """Whether it was ended because its key was removed or expired."""


class OpenRequests:
    """All of a gateway. Used in the event loop."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._all: set[Open] = set()
        self._looks: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._all)

    @contextlib.contextmanager
    def one(self, key_id: str) -> Iterator[Open]:
        """The request that the current task answers, as long as it does."""
        task = asyncio.current_task()
        assert task is not None
        one = Open(key_id, task)
        self._all.add(one)
        if self._looks is None or self._looks.done():
            self._looks = asyncio.create_task(self._look())
        try:
            yield one
        finally:
            self._all.discard(one)

    async def _look(self) -> None:
        while self._all:
            await asyncio.sleep(LOOK_SECONDS)
            with contextlib.suppress(ApiError):  # an absent disk: nobody loses access for that
                await self._end_those_without_a_key()

    async def _end_those_without_a_key(self) -> None:
        known = await self._ring.known()
        valid = {key.id for key in known.keys if not is_expired(key)}
        for one in self._all:
            if one.key_id not in valid and not one.is_ended:
                one.is_ended = True
                one.task.cancel()
