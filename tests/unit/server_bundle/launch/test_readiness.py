"""The key of the supervisor's warm-up: the server's own, from the file that the server reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from server_bundle.launch import readiness
from server_bundle.plan import key_file
from server_bundle.plan.launch_plan import LaunchPlan


def plan(*argv: str) -> LaunchPlan:
    return LaunchPlan(
        profile="p",
        engine="sglang-kt",
        version=None,
        python="python",
        model="m",
        served_name="m",
        host="127.0.0.1",
        port=1,
        prefix=(),
        argv=argv,
        environment={},
        context=None,
        planned_pool=None,
        warmup_tokens=1,
        gpus=0,
        ready_seconds=1.0,
    )


def test_the_key_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Whatever is in it; another file has none."""
    for key in ('k3y "of" mine: #1', "\u00e9\\n", "x" * 1000):
        file = key_file.write(tmp_path, key)
        assert key_file.read(file) == key
        assert readiness.key_of(plan("python", "--config", str(file), "--tp", "4")) == key
    for text in ("model: x\n", "api-key: [1]\n", "api-key: \n", "\0"):
        file.write_text(text)
        assert key_file.read(file) is None
    assert key_file.read(tmp_path / "none.yaml") is None
    assert readiness.key_of(plan("python")) is None
    assert readiness.key_of(replace(plan("python"), argv=("python", "--config"))) is None
