"""`ktserver doctor` on whole machines: who has a port, nothing at all, what cannot be read."""

from __future__ import annotations

from pathlib import Path

from support.machines import Recorded, guide, listening, recorded, trouble

from server_bundle import doctor
from server_bundle.doctor import Severity


def test_who_has_the_port_is_named(box: Recorded, model: Path) -> None:
    """A process by its command, and a server of ours as such."""
    listening(box, "0100007F")
    box.files["proc/4242/cmdline"] = "python\0-m\0http.server\0"
    box.machine()
    descriptor = box.root / "proc/4242/fd/5"
    descriptor.parent.mkdir()
    descriptor.symlink_to("socket:[4711]")
    (finding,) = trouble(box, guide(model))
    assert "process 4242: python -m http.server" in finding.found
    box.ours = {4242: "deepseek-v4-flash-4x5090"}
    (finding,) = trouble(box, guide(model))
    assert "a server of ktserver: deepseek-v4-flash-4x5090 (process 4242)" in finding.found
    assert "ktserver down" in finding.cure


def test_a_memory_node_without_processors_does_not_count(box: Recorded, model: Path) -> None:
    """The memory of a GPU, or CXL."""
    box.files["sys/devices/system/node/node2/cpulist"] = "\n"
    assert trouble(box, guide(model)) == []


def test_the_innermost_mount_holds_the_weights(box: Recorded, model: Path) -> None:
    """In whatever order the kernel lists them."""
    inner = f"30 27 0:99 / {model.parent} rw,relatime - nfs4 nas:/models rw\n"
    for mounts in (
        inner + box.files["proc/self/mountinfo"],
        box.files["proc/self/mountinfo"] + inner,
    ):
        box.files["proc/self/mountinfo"] = mounts
        (finding,) = trouble(box, guide(model))
        assert finding.found == "the weights are on nfs4 (nas:/models)"


def test_a_tmp_that_runs_nothing(box: Recorded, model: Path) -> None:
    """Matters only where sglang starts its schedulers by a script there."""
    tmp = "31 27 0:98 / /tmp rw,nosuid,noexec - tmpfs tmpfs rw\n"
    box.files["proc/self/mountinfo"] = tmp + box.files["proc/self/mountinfo"]
    if model.is_relative_to("/tmp"):  # the weights are on it as well
        box.files["proc/self/mountinfo"] += f"32 31 259:2 / {model.parent} rw - ext4 /dev/x rw\n"
    assert trouble(box, guide(model)) == []
    (finding,) = trouble(box, guide(model, "--numa-node", "0"))
    assert (finding.about, finding.severity) == ("environment", Severity.WARNING)


def test_a_port_elsewhere_is_free(box: Recorded, model: Path) -> None:
    listening(box, "0100000A")
    listening(box, "0100007F", port=40002)
    assert trouble(box, guide(model)) == []


def test_a_machine_with_nothing_says_so_plainly(tmp_path: Path, model: Path) -> None:
    """This one, recorded: no GPU, no numactl, two cores, 24 GB."""
    bare = recorded("no-gpu", tmp_path / "root")
    found = doctor.examine(guide(model), bare.machine())
    errors = {one.about: one.found for one in found if one.severity is Severity.ERROR}
    assert errors["gpus"].startswith("no nvidia-smi")
    assert errors["cpu"] == "no numactl"
    assert errors["memory"].startswith("2")
    assert errors["packages"]
    assert "driver" not in errors
    cpu = next(one for one in found if one.about == "cpu")
    assert cpu.found == "AMD EPYC: 2 physical cores, 1 NUMA node, AVX-512"


def test_an_empty_machine_raises_nothing(tmp_path: Path, model: Path) -> None:
    """No file of the kernel can be read, and no program is there."""
    empty = Recorded(tmp_path / "root", {}, {}, {"/": [0, 0], "/dev/shm": [0, 0]})
    found = doctor.examine(guide(model), empty.machine())
    assert not [one for one in found if "the check failed" in one.found]
    assert any(one.severity is Severity.ERROR for one in found)


def test_a_check_that_breaks_is_a_finding(box: Recorded, model: Path) -> None:
    """The others are still told."""
    del box.space["/dev/shm"]
    found = doctor.examine(guide(model), box.machine())
    assert [one.about for one in found if "the check failed" in one.found] == ["memory"]
    assert {"disk", "weights", "port"} <= {one.about for one in found}


def test_a_server_for_the_cpu_needs_no_gpu(tmp_path: Path, model: Path) -> None:
    bare = recorded("no-gpu", tmp_path / "root")
    plan = guide(model, argv=("python", "--device", "cpu", "--model", str(model)), prefix=())
    found = doctor.examine(plan, bare.machine())
    assert not {one.about for one in found} & {"gpus", "driver"}
