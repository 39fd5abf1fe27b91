"""Variables for the server, as typed."""

from __future__ import annotations

import pytest

from server_bundle.errors import PlanRefused
from server_bundle.plan import build, overrides, profile
from server_bundle.plan.machine import MachineFacts
from server_bundle.plan.overrides import Overrides

MAIN = profile.load("deepseek-v4-flash-4x5090")
NOWHERE = MachineFacts(None, None, None)


def test_names_and_values() -> None:
    """A value may be empty and have any character; the last of a name counts."""
    words = ["A=1", "B=", "C=x=y z", "TOKENIZERS_PARALLELISM=false", "A=2"]
    assert overrides.environment_of(words) == {
        "A": "2",
        "B": "",
        "C": "x=y z",
        "TOKENIZERS_PARALLELISM": "false",
    }
    assert overrides.environment_of([]) == {}


@pytest.mark.parametrize("word", ["A", "=1", "1A=2", "A B=1", "", "A-B=1", "ö=1"])
def test_what_is_no_variable_is_refused(word: str) -> None:
    """With the form."""
    with pytest.raises(PlanRefused, match="NAME=VALUE"):
        overrides.environment_of([word])


@pytest.mark.parametrize(
    "word",
    [
        "HF_TOKEN=hf_abcdefgh",
        "AWS_SECRET_ACCESS_KEY=abcdefgh",
        "openai_api_key=abcdefgh",
        "PASSWORD=abcdefgh",
        "OTHER=sk-abcdefghabcdefgh",
        "PROXY=http://me:abcdefgh@host",
        "KTJOB_SERVER=abcdefgh",
    ],
)
def test_a_secret_is_refused_and_not_repeated(word: str) -> None:
    """Process lists show it, and so would the plan's file; nor does a server get ktjob's own."""
    with pytest.raises(PlanRefused, match="--env") as refused:
        overrides.environment_of([word])
    assert "abcdefgh" not in str(refused.value)


def test_they_are_in_the_plan_and_its_script() -> None:
    """Over the profile's, beside it, and recorded."""
    given = {"TORCH_CUDA_ARCH_LIST": "9.0", "NCCL_DEBUG": "WARN it"}
    wish = Overrides(model="/m", version="0.7.2", environment=given)
    found = build.with_differences(MAIN, wish, NOWHERE)
    assert found.plan.environment | given == found.plan.environment
    assert found.plan.environment["SGLANG_DSV4_MODE"] == "2604"
    assert "export NCCL_DEBUG='WARN it'" in found.plan.script()
    assert not any("NCCL_DEBUG" in word for word in found.plan.command)
    changed = {one.what: (one.guide, one.ours) for one in found.differences}
    assert changed["TORCH_CUDA_ARCH_LIST"] == ("12.0+PTX", "9.0")
    assert changed["NCCL_DEBUG"] == (None, "WARN it")


def test_too_few_devices_and_the_guides_own_plan_are_refused() -> None:
    """CUDA_VISIBLE_DEVICES names at least as many GPUs as the plan uses."""
    few = Overrides(model="/m", environment={"CUDA_VISIBLE_DEVICES": "0, 1"})
    with pytest.raises(PlanRefused, match="names 2, but the plan uses 4 GPUs"):
        build.with_differences(MAIN, few, NOWHERE)
    guide = Overrides(model="/m", environment={"A": "1"}, as_guide=True)
    with pytest.raises(PlanRefused, match="cannot be combined with --env"):
        build.with_differences(MAIN, guide, NOWHERE)
