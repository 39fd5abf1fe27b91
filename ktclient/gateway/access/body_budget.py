"""How many bytes of bodies are in memory at once, of all requests together."""

from __future__ import annotations

import asyncio
from collections import deque

from ktclient.gateway.wire.errors import SERVER, ApiError

TOTAL_BYTES = 1_000_000_000
WAIT_SECONDS = 30.0


class BodyBudget:
    """Memory for bodies, in the order in which it is asked for. Used in the event loop."""

    def __init__(self, total: int = TOTAL_BYTES, wait_seconds: float = WAIT_SECONDS) -> None:
        self._total, self._wait_seconds = total, wait_seconds
        self.free = total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> int:
        """Wait for this many bytes. Returns how many were taken. Raises `ApiError` 503 after
        `WAIT_SECONDS`."""
        size = min(size, self._total)
        if not self._waiting and size <= self.free:
            self.free -= size
            return size
        granted = asyncio.get_running_loop().create_future()
        one = (size, granted)
        self._waiting.append(one)
        try:
            await asyncio.wait([granted], timeout=self._wait_seconds)
        except asyncio.CancelledError:
            self._withdraw(one)
            raise
        if granted.done():
            return size
        self._withdraw(one)
        raise ApiError(
            503,
            "the bodies of other requests fill the gateway's memory. Send the request again later",
            SERVER,
            "too_many_bodies",
            is_curable=True,
            headers={"retry-after": "10"},
        )

    def give_back(self, size: int) -> None:
        """Free so many bytes."""
        self.free += size
        self._grant()

    def _withdraw(self, one: tuple[int, asyncio.Future[None]]) -> None:
        if one[1].done():
            self.give_back(one[0])
            return
        self._waiting.remove(one)
        self._grant()

    def _grant(self) -> None:
        while self._waiting and self._waiting[0][0] <= self.free:
            size, granted = self._waiting.popleft()
            self.free -= size
            granted.set_result(None)


class Lease:
    """What one request has taken, until its answer begins: by then its body was stored or
    refused."""

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._taken = 0

    async def take(self, size: int) -> None:
        """Take so many bytes more. Raises `ApiError` 503."""
        self._taken += await self._budget.take(size)

    def end(self) -> None:
        """Give everything back."""
        taken, self._taken = self._taken, 0
        if taken:
            self._budget.give_back(taken)
