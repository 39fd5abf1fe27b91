"""The pure rules of a server's life: back-off, plans as files, the pool, names and places."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from jobs.processes import identity
from server_bundle.launch import backoff, readiness, registry, server_folder
from server_bundle.launch.server_folder import ServerFiles
from server_bundle.launch.server_state import Ended, Restart, ServerState
from server_bundle.launch.server_state import read as read_note
from server_bundle.launch.server_state import write as write_note
from server_bundle.plan import plan_file
from server_bundle.plan.launch_plan import LaunchPlan

PLAN = LaunchPlan(
    profile="p",
    engine="sglang-kt",
    version=None,
    python="/venv/bin/python",
    model="/models/m",
    served_name="m",
    host="127.0.0.1",
    port=40001,
    prefix=("numactl", "--interleave=all"),
    argv=("/venv/bin/python", "-m", "sglang.launch_server"),
    environment={"A": "b"},
    context=1_048_576,
    planned_pool=None,
    warmup_tokens=2048,
    gpus=4,
    ready_seconds=600.0,
)
NOTE = ServerState(
    name="p",
    profile="p",
    engine="sglang",
    version=None,
    model="m",
    url="http://127.0.0.1:1",
    context=None,
    planned_pool=None,
    restart="no",
    log="/nowhere/server.log",
    keeper=identity.mine(),
)


def test_back_off_doubles_to_five_minutes_and_gives_up() -> None:
    """1 s to 300 s, ten times."""
    back_off = backoff.BackOff()
    waits = [back_off.after(3.0) for _ in range(11)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, None]


def test_an_hour_of_health_forgets_failures() -> None:
    """The next one waits a second again."""
    back_off = backoff.BackOff()
    assert [back_off.after(3.0) for _ in range(3)] == [1, 2, 4]
    assert back_off.after(backoff.HEALTHY_SECONDS) == 1
    assert back_off.after(3.0) == 2


def test_a_plan_is_the_same_after_a_file() -> None:
    """Every field, tuples too."""
    assert plan_file.from_json(plan_file.to_json(PLAN)) == PLAN


def test_a_plan_by_hand_may_leave_things_out() -> None:
    """Only what nobody can guess is needed."""
    needed = ("profile", "engine", "python", "model", "served_name", "host", "port", "argv")
    plan = plan_file.from_json(json.dumps({name: asdict(PLAN)[name] for name in needed}))
    assert (plan.prefix, plan.environment, plan.warmup_tokens) == ((), {}, 0)
    assert plan.ready_seconds == 1800.0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"port": "40001"}, "'port'"),
        ({"port": True}, "'port'"),
        ({"port": 0}, "port must be at least 1"),
        ({"argv": "sglang"}, "'argv'"),
        ({"argv": ["a", 1]}, "'argv'"),
        ({"argv": []}, "argv must not be empty"),
        ({"argv": ["a\0b"]}, "'argv'"),
        ({"environment": {"A": 1}}, "'environment'"),
        ({"ready_seconds": "soon"}, "'ready_seconds'"),
        ({"api_key": "sk"}, "unknown field 'api_key'"),
        ({"model": None}, "'model'"),
    ],
)
def test_a_wrong_plan_names_its_field(change: dict[str, object], told: str) -> None:
    """And is no traceback."""
    with pytest.raises(ValueError, match=told):
        plan_file.from_json(json.dumps({**asdict(PLAN), **change}))


@pytest.mark.parametrize("text", ["", "[]", "{", "7", '{"profile": "p"}'])
def test_what_is_no_plan_is_told(text: str) -> None:
    """Whatever was in the file."""
    with pytest.raises(ValueError):
        plan_file.from_json(text)


def test_a_pool_as_planned_and_larger_than_the_context_raises_no_doubt() -> None:
    """Nor one that is 1% smaller than planned."""
    figures = {"pool": 100_000.0, "window": 65_536.0}
    assert readiness.pool_doubts(replace(NOTE, figures=figures, planned_pool=100_900)) == []


def test_the_guides_own_pool_is_doubted() -> None:
    """964,864 tokens under a context of 1,048,576: the longest prompt that is ever started."""
    figures = {"pool": 964_864.0, "window": 1_048_576.0}
    (doubt,) = readiness.pool_doubts(replace(NOTE, figures=figures))
    assert "964,864" in doubt and "1,048,576" in doubt and "960,512" in doubt


def test_a_pool_smaller_than_planned_is_doubted() -> None:
    """Something else sits in the GPUs' memory."""
    figures = {"pool": 500_000.0, "window": 65_536.0}
    (doubt,) = readiness.pool_doubts(replace(NOTE, figures=figures, planned_pool=964_864))
    assert "500,000" in doubt and "964,864" in doubt


@pytest.mark.parametrize(
    ("figures", "planned", "words"),
    [
        ({}, 3.4688, ""),
        ({"reserved": 0.0}, 0.0, ""),
        ({"reserved": 3.47}, None, "3.47 GiB reserved for prefill of whole layers; not allocated"),
        ({"reserved": 3.47, "slots": 3.47}, 3.4688, "layers, as planned; 3.47 GiB allocated"),
        ({"reserved": 1.73, "slots": 1.73}, 3.4688, "layers, 1.74 GiB less than planned; 1.73"),
        ({"reserved": 3.47}, 0.0, "layers, 3.47 GiB more than planned; not allocated before"),
        ({"reserved": 0.0}, 3.4688, "0.00 GiB reserved for prefill of whole layers, 3.47 GiB less"),
        (
            {"reserved": 1.73, "slots": 3.47},
            None,
            "3.47 GiB allocated, 1.74 GiB more than reserved",
        ),
        ({"slots": 3.47}, None, "3.47 GiB allocated"),
        ({"reserved": 0.0, "staging": 32.0}, 0.0, "staging buffer 32 MiB"),
    ],
)
def test_what_is_reserved_for_prefill(
    figures: dict[str, float], planned: float | None, words: str
) -> None:
    """As planned, or by how much not. The log has two decimals of it."""
    told = readiness.reservation(replace(NOTE, figures=figures, planned_reserved=planned))
    assert words in told and bool(words) == bool(told)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://127.0.0.1:40001", "http://localhost:40001/v1", True),
        ("http://0.0.0.0:40001", "http://[::1]:40001", True),
        ("http://127.0.0.1:40001", "http://127.0.0.1:40002", False),
        ("http://10.0.0.1:40001", "http://127.0.0.1:40001", False),
        ("http://10.0.0.1:40001", "http://10.0.0.1:40001/v1", True),
        ("http://127.0.0.1:x", "http://127.0.0.1:x", False),
        ("", "", False),
    ],
)
def test_places(one: str, other: str, same: bool) -> None:
    """This machine has many names."""
    assert registry.is_same_place(one, other) is same


def test_a_note_is_the_same_after_a_file(tmp_path: Path) -> None:
    """With all that is nested, readable by its owner only."""
    files = ServerFiles(tmp_path)
    ended = Ended("t", None, "SIGKILL", True, 1.5, "ready", ("rid",), 3)
    mine = identity.mine()
    note = replace(
        NOTE, server=mine, members=(mine, mine), ended=ended, restarts=(Restart("t", "why"),)
    )
    write_note(files, note)
    assert read_note(files) == note
    assert files.record.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"keeper": 1}'])
def test_a_note_that_is_none_is_no_server(tmp_path: Path, text: str) -> None:
    """Another version's, or half of one."""
    files = ServerFiles(tmp_path)
    server_folder.write_private(files.record, text)
    assert read_note(files) is None
    assert registry.inspect(files) is None


def test_the_machine_was_restarted(tmp_path: Path) -> None:
    """A note of another boot tells of a crash, whatever pids are in it."""
    files = ServerFiles(tmp_path)
    before = replace(identity.mine(), boot_id="another")
    write_note(files, replace(NOTE, keeper=before, server=before, members=(before,), state="ready"))
    seen = registry.inspect(files)
    assert seen is not None and (seen.state, seen.leftovers) == ("crashed", ())
    assert seen.why == "the machine was restarted"
