"""`ktjob doctor` about memory, limits, sleep, init and the runner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.model import Capacity, NewJob
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.doctor import Finding, Severity

SUBMIT = NewJob("pool", "{}", b"text", "title")
Files = dict[str, str]
Look = Callable[..., Finding]
LookForAll = Callable[..., list[Finding]]


@pytest.mark.parametrize("tree", ["sys/fs/cgroup", "sys/fs/cgroup/unified"])
@pytest.mark.parametrize(("kills", "severity"), [(3, "warn"), (0, "ok")])
def test_kills_for_memory(look_at: Look, tree: str, kills: int, severity: str) -> None:
    """cgroup v2, alone or beside v1."""
    events = f"low 0\noom 9\noom_kill {kills}\noom_group_kill 0\n"
    files = {
        "proc/self/cgroup": "4:memory:/a\n0::/my.slice\n",
        f"{tree}/my.slice/memory.events": events,
    }
    finding = look_at("memory", files)
    assert finding.severity.value == severity
    assert "my.slice/memory.events" in finding.found


def test_kills_for_memory_are_counted_by_cgroup_v1_too(look_at: Look) -> None:
    """Its file has the count since Linux 4.13."""
    files = {
        "proc/self/cgroup": "4:cpu,memory:/a\n0::/\n",
        "sys/fs/cgroup/memory/a/memory.oom_control": "oom_kill_disable 0\noom_kill 2\n",
    }
    assert "2 processes" in look_at("memory", files).found


@pytest.mark.parametrize("files", [{}, {"proc/self/cgroup": "4:memory:/a\n"}])
def test_where_kills_are_not_counted_nothing_is_said(look: LookForAll, files: Files) -> None:
    """Such as in the root cgroup."""
    assert look("memory", files) == []


@pytest.mark.parametrize(
    ("limits", "severity"),
    [
        ({"a.slice/b.scope": ("max", "1"), "a.slice": ("1000000000", "700000000")}, None),
        ({"a.slice/b.scope": ("max", "1"), "a.slice": ("1000000000", "900000000")}, "warn"),
        ({"a.slice/b.scope": ("200000000", "190000000"), "a.slice": ("max", "9")}, "warn"),
    ],
)
def test_the_memory_that_limits_leave(
    look: LookForAll, limits: dict[str, tuple[str, str]], severity: str | None
) -> None:
    """The tightest of all the cgroups above us; file caches count as free."""
    files = {"proc/self/cgroup": "0::/a.slice/b.scope\n"}
    for group, (limit, used) in limits.items():
        folder = f"sys/fs/cgroup/{group}"
        files |= {f"{folder}/memory.max": limit + "\n", f"{folder}/memory.current": used + "\n"}
    assert [one.severity.value for one in look("memory", files)] == ([severity] if severity else [])
    cached = {f"sys/fs/cgroup/{group}/memory.stat": "inactive_file 400000000\n" for group in limits}
    assert look("memory", {**files, **cached}) == []


def test_a_shell_that_the_kernel_kills_first(look: LookForAll) -> None:
    """oom_score_adj is inherited: a terminal inside of an editor hands on its own."""
    assert look("memory", {"proc/self/oom_score_adj": "200\n"}) == []
    (finding,) = look("memory", {"proc/self/oom_score_adj": "300\n"})
    assert finding.severity is Severity.WARN
    assert "300" in finding.found


def test_a_killer_that_runs_is_named(look_at: Look, lay: Callable[[Files], Path]) -> None:
    """systemd keeps a dangling link for each service that runs."""
    units = lay({"run/systemd/units/x": ""}) / "run/systemd/units"
    (units / "invocation:systemd-oomd.service").symlink_to("0123456789abcdef")
    assert "systemd-oomd" in look_at("memory").found


def test_the_runner(look_at: Look, state: StateDir) -> None:
    """Not needed, missing, alive; looking starts none."""
    assert look_at("runner").severity is Severity.OK
    with Store.open(state) as store:
        store.submit(SUBMIT, Capacity(slots=1))
    finding = look_at("runner")
    assert (finding.severity, "1 job is waiting" in finding.found) == (Severity.WARN, True)
    assert not identity.is_held(state.runner_lock)
    lock = identity.hold(state.runner_lock)
    assert lock is not None
    assert look_at("runner").found == "running; 1 job is waiting"
    lock.release()


@pytest.mark.parametrize(
    ("limit", "severity"), [("255", "warn"), ("256", "ok"), ("unlimited", "ok")]
)
def test_the_limit_of_open_files(look_at: Look, limit: str, severity: str) -> None:
    """The soft one, as proc(5) prints it."""
    line = f"Max open files            {limit:<20} 524288               files     \n"
    finding = look_at(
        "limits", {"proc/self/limits": f"Limit  Soft Limit  Hard Limit  Units\n{line}"}
    )
    assert finding.severity.value == severity
    assert limit in finding.found


def test_the_limit_of_processes(look: LookForAll) -> None:
    """It counts the threads of all processes of the user, and does not bind root."""
    limits = "Max processes             60              60             processes \n"
    files = {"proc/self/limits": limits}
    for pid, (uid, threads) in {10: (1000, 8), 11: (1000, 3), 12: (7, 500)}.items():
        files[f"proc/{pid}/status"] = f"Name:\tx\nUid:\t{uid}\t{uid}\t0\t0\nThreads:\t{threads}\n"
    warnings = [one for one in look("limits", files) if one.severity is Severity.WARN]
    assert [one.found for one in warnings] == ["11 of 60 processes allowed for me are in use"]
    assert len(look("limits", files, uid=0)) == 1
    files["proc/self/limits"] = limits.replace("60", "62")
    assert len(look("limits", files)) == 1


def test_the_limit_of_processes_of_a_cgroup(look: LookForAll) -> None:
    """systemd's TasksMax, or a container's."""
    files = {"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/pids.max": "100\n"}
    assert len(look("limits", {**files, "sys/fs/cgroup/a/pids.current": "50\n"})) == 1
    findings = look("limits", {**files, "sys/fs/cgroup/a/pids.current": "51\n"})
    assert "room for 49 more" in findings[1].found


@pytest.mark.parametrize(
    ("first", "severities"), [("systemd", []), ("tini", []), ("", []), ("bash", ["warn"])]
)
def test_a_container_without_an_init(look: LookForAll, first: str, severities: list[str]) -> None:
    """It ends with its process 1, whatever runs in it."""
    findings = look("init", {"proc/1/comm": first + "\n"})
    assert [one.severity.value for one in findings] == severities


def test_a_laptop_may_be_suspended(look: LookForAll) -> None:
    """Its own battery counts; a mouse's does not, nor the mains."""
    supply = "sys/class/power_supply"
    files = {f"{supply}/AC/type": "Mains\n", f"{supply}/hidpp_0/type": "Battery\n"}
    files[f"{supply}/hidpp_0/scope"] = "Device\n"
    assert look("sleep", files) == []
    (finding,) = look("sleep", {**files, f"{supply}/BAT0/type": "Battery\n"})
    assert "BAT0" in finding.found
    assert "systemd-inhibit" in str(finding.cure)


def test_a_runner_that_cannot_start_jobs_is_reported(look_at: Look, state: StateDir) -> None:
    """With what is missing, as the runner noted it in its signature."""
    lock = identity.hold(state.runner_lock)
    assert lock is not None
    trouble = {"since": "2026-11-29T12:01:00.000Z", "reason": "there is no x", "program": "/x"}
    lock.sign(trouble=trouble)
    try:
        finding = look_at("runner", {})
    finally:
        lock.release()
    assert finding.severity is Severity.FAIL
    assert "there is no x" in finding.found and "2026-11-29T12:01" in finding.found
    assert "another installation" in finding.cure
