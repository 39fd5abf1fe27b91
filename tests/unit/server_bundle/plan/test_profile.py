"""Profiles: all valid, all explained."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from server_bundle import package_data
from server_bundle.errors import NoSuchProfile
from server_bundle.plan import profile

pytestmark = pytest.mark.each_python

NAMES = profile.names()
BLANKS = {"model", "port", "gpus", "gpu_list", "served_name", "physical_cores", "numa_nodes"}
BLANKS |= {"safe_context"}
SMALL: dict[str, Any] = {
    "title": "a model",
    "engine": "sglang-kt",
    "status": "never run",
    "source": "a page",
    "served_name": "M",
    "port": 1,
    "gpus": 1,
    "warmup_tokens": 1,
    "ready_seconds": 1,
    "needs": "little",
    "flag": {"--host": {"guide": "0.0.0.0"}},
}


def test_the_profiles_that_are_promised() -> None:
    """By name: they are typed, and scripts hold them."""
    assert {"deepseek-v4-flash-4x5090", "generic-sglang", "embedded"} <= set(NAMES)
    assert len(NAMES) >= 10


@pytest.mark.parametrize("name", NAMES)
def test_everything_has_a_reason_and_a_source(name: str) -> None:
    """Every flag, variable and change."""
    one = profile.load(name)
    for text in (one.title, one.status, one.source, one.needs):
        assert text
    for flag in one.flags:
        assert flag.reason, flag.name
        assert flag.source, flag.name
        if flag.change is not None:
            assert flag.change.reason, flag.name
            assert flag.change.evidence, flag.name
    for variable in one.variables:
        assert variable.reason, variable.name
        assert variable.source, variable.name
    if one.prefix.guide:
        assert one.prefix.reason


@pytest.mark.parametrize("name", NAMES)
def test_blanks_are_known(name: str) -> None:
    """A plan fills these in, each alone in its value."""
    one = profile.load(name)
    values = [flag.guide for flag in one.flags] + [variable.value for variable in one.variables]
    values += [flag.change.value for flag in one.flags if flag.change]
    for value in values:
        if isinstance(value, str) and "{" in value:
            blank = re.fullmatch(r"\{(\w+)\}", value)
            assert blank is not None, value
            assert blank[1] in BLANKS


@pytest.mark.parametrize("name", NAMES)
def test_profiles_from_tutorials_say_so(name: str) -> None:
    """Nobody shall think that we ran them."""
    one = profile.load(name)
    if one.source.startswith("kvcache-ai/ktransformers"):
        assert one.status == "from the tutorial; this project has not run it"
    elif name not in ("generic-sglang", "embedded"):
        assert "this project has not run it" in one.status


def test_shared_reasons_are_used() -> None:
    """None is left over from a flag that is gone."""
    used = {flag.name for name in NAMES for flag in profile.load(name).flags}
    assert set(package_data.read(package_data.PLAN / "flag_changes.toml")["reason"]) <= used


def test_a_slip_of_the_fingers_is_met_with_a_name() -> None:
    """The closest."""
    with pytest.raises(NoSuchProfile, match=r"did you mean qwen3\.5-4gpu"):
        profile.load("qwen3.5")
    with pytest.raises(NoSuchProfile, match="ktserver profiles"):
        profile.load("../../etc/passwd")


def broken(change: dict[str, Any]) -> dict[str, Any]:
    return {**copy.deepcopy(SMALL), **change}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"engine": "vllm"}, "engine 'vllm'"),
        ({"flags": {}}, "unknown keys \\['flags'\\]"),
        ({"flag": {"--never-heard-of": {"guide": "1"}}}, "--never-heard-of has no reason"),
    ],
)
def test_a_broken_profile_is_named(change: dict[str, Any], words: str) -> None:
    """For those who write one."""
    profile.from_toml("mine", SMALL)
    with pytest.raises(ValueError, match=words):
        profile.from_toml("mine", broken(change))


def test_a_profile_without_a_title_is_incomplete() -> None:
    """Nothing is made up."""
    data = {key: value for key, value in SMALL.items() if key != "title"}
    with pytest.raises(ValueError, match=r"missing keys \['title'\]"):
        profile.from_toml("mine", data)
