"""docs/server.md says what the profile does."""

from __future__ import annotations

from pathlib import Path

from support import golden

from server_bundle.plan import build, kv_pool, profile
from server_bundle.plan.machine import MachineFacts
from server_bundle.plan.memory import gpus
from server_bundle.plan.overrides import Overrides

PAGE = (Path(__file__).parents[2] / "docs/server.md").read_text()
MAIN = "deepseek-v4-flash-4x5090"
NAMES = ("RTX 3090", "RTX 4090", "RTX 5090", "L20", "RTX PRO 6000", "H100", "H200")
GUIDE = {0.6: ("~759k", "~8.3 GB"), 0.7: ("964,864", "5.34 GB"), 0.75: ("~1.1M", "<4 GB")}


def pools() -> str:
    """The guide's table, with the plan's figures beside its own."""
    facts = profile.load(MAIN).kv
    assert facts is not None
    plans = [kv_pool.plan(facts.card, fraction, 1) for fraction in GUIDE]
    return "\n".join(
        f"| {one.fraction:g} | {one.pool:,} | {GUIDE[one.fraction][0]} "
        f"| {kv_pool.safe_context(one.pool):,} | {one.workspace_gib:.2f} GiB "
        f"| {GUIDE[one.fraction][1]} |"
        for one in plans
    )


def reserved() -> str:
    facts = profile.load(MAIN).kv
    assert facts is not None
    held = facts.loaded.reservation_gib()
    assert f"{held:.2f} GiB" in PAGE
    return f"{kv_pool.pool(facts.card, 0.7, reserved_gib=held):,}"


def other_gpus() -> str:
    """Pool and reservation by kind and number of GPUs."""
    rows = ["| GPU | 1 | 2 | 4 | 8 |", "|---|---|---|---|---|"]
    for name in NAMES:
        cells = [_cell(name, count) for count in (1, 2, 4, 8)]
        rows.append(f"| {gpus.named(name).title} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(name: str, count: int) -> str:
    wish = Overrides(model="/m", version="0.7.2", gpu=gpus.named(name), gpus=count)
    kv = build.with_differences(profile.load(MAIN), wish, MachineFacts(None, None, None)).kv
    if kv is None:
        return "none"
    return f"{kv.pool:,}" + (f", {kv.reserved_gib:.2f}" if kv.reserved_gib else "")


def test_the_table_of_other_gpus_is_the_plans() -> None:
    """For one, two, four and eight of each."""
    assert other_gpus() in PAGE


def test_every_difference_is_told() -> None:
    """With its reason and evidence, word for word."""
    assert golden.differences(MAIN, "0.6.2.post3") in PAGE


def test_the_table_of_pools_is_the_plans() -> None:
    """And so is the figure for newer versions."""
    assert pools() in PAGE
    assert f"0.7 then gives {reserved()} tokens" in PAGE


def test_what_raises_the_fraction() -> None:
    """The figure for the whole million."""
    facts = profile.load(MAIN).kv
    assert facts is not None
    fraction = kv_pool.fraction_for(facts.card, kv_pool.pool_for(1_048_576))
    assert f"raises the fraction to {fraction}" in PAGE
