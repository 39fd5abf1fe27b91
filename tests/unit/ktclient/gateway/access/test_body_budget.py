"""Memory for the bodies of all requests."""

from __future__ import annotations

import asyncio

import pytest

from ktclient.gateway.access.body_budget import BodyBudget, Lease
from ktclient.gateway.wire.errors import ApiError


def test_what_has_no_room_waits_in_order() -> None:
    async def look() -> None:
        budget = BodyBudget(100, 600.0)
        first, second, third = (Lease(budget) for _ in range(3))
        await first.take(60)
        waiting = asyncio.create_task(second.take(50))
        small = asyncio.create_task(third.take(10))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waiting.done() and not small.done()
        first.end()
        await asyncio.gather(waiting, small)
        assert budget.free == 40
        for lease in (first, second, third, second):
            lease.end()
        assert budget.free == 100

    asyncio.run(look())


def test_who_waits_too_long_is_refused_for_now_and_holds_up_nobody() -> None:
    async def look() -> None:
        budget = BodyBudget(100, 0.01)
        lease = Lease(budget)
        await lease.take(95)
        with pytest.raises(ApiError) as refused:
            await Lease(budget).take(50)
        assert refused.value.status == 503 and refused.value.is_curable
        assert "retry-after" in refused.value.headers
        await Lease(budget).take(5)
        assert budget.free == 0

    asyncio.run(look())


def test_a_client_that_goes_while_it_waits_takes_nothing_with_it() -> None:
    async def look() -> None:
        budget = BodyBudget(100, 600.0)
        lease = Lease(budget)
        await lease.take(100)
        for is_granted_first in (False, True):
            waiting = asyncio.create_task(Lease(budget).take(30))
            await asyncio.sleep(0)
            if is_granted_first:
                lease.end()
            waiting.cancel()
            await asyncio.wait([waiting])
            assert waiting.cancelled()
        assert budget.free == 100

    asyncio.run(look())


def test_a_body_larger_than_all_memory_waits_until_it_is_alone() -> None:
    async def look() -> None:
        budget = BodyBudget(100, 600.0)
        lease = Lease(budget)
        await lease.take(1000)
        assert budget.free == 0
        lease.end()
        assert budget.free == 100

    asyncio.run(look())
