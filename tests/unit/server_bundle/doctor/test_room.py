"""The room of a typed command, on the GPUs and with the model of the plan."""

from __future__ import annotations

import pytest

from server_bundle.doctor import room
from server_bundle.doctor.flags import Flags
from server_bundle.doctor.room import Deployment, Room
from server_bundle.plan import build, profile
from server_bundle.plan.machine import MachineFacts
from server_bundle.plan.memory import gpus
from server_bundle.plan.overrides import Overrides

MAIN = profile.load("deepseek-v4-flash-4x5090")
NOWHERE = MachineFacts(None, None, None)


def of(gpu: str | None, count: int = 4, *extra: str) -> tuple[Room, int | None]:
    """The room of the plan's own command with more flags, and the plan's pool."""
    chosen = None if gpu is None else gpus.named(gpu)
    wish = Overrides(model="/m", version="0.7.2", gpu=chosen, gpus=count)
    planned = build.with_differences(MAIN, wish, NOWHERE)
    there = Deployment(MAIN, planned.basis, "0.7.2", count, None)
    return room.of(Flags((*planned.plan.argv, *extra)), there), planned.plan.planned_pool


@pytest.mark.parametrize("gpu", [None, "RTX 5090", "RTX 3090", "L20", "H200", "B200"])
def test_the_plans_own_command_has_the_plans_pool(gpu: str | None) -> None:
    """On the profile's GPUs and on others: reserved memory, BF16 and size as in the plan."""
    seen, planned = of(gpu)
    assert seen.pool == planned and not seen.can_wedge
    assert seen.workspace_gib is not None and seen.workspace_gib > 0


def test_a_pool_in_tokens_is_the_smaller_one() -> None:
    """On GPUs that hold millions of tokens."""
    seen, planned = of("H200", 4, "--max-total-tokens", "500000")
    assert planned is not None and planned > 5_000_000
    assert (seen.pool, seen.is_capped) == (500_000, True)
