"""What a plan reads of a machine, and of an interpreter."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from server_bundle.plan import interpreter, machine
from server_bundle.plan.machine import MachineFacts

Lay = Callable[[dict[str, str]], Path]


def two_sockets(threads: int = 2) -> dict[str, str]:
    """Two sockets of four cores with two threads each, numbered as Linux does."""
    files = {}
    for cpu in range(8 * threads):
        socket, core = cpu // 4 % 2, cpu % 4
        topology = f"sys/devices/system/cpu/cpu{cpu}/topology"
        files[f"{topology}/physical_package_id"] = f"{socket}\n"
        files[f"{topology}/core_id"] = f"{core}\n"
    for node in (0, 1):
        files[f"sys/devices/system/node/node{node}/cpulist"] = f"{node * 4}-{node * 4 + 3}\n"
    return files


def test_threads_are_no_cores(lay: Lay) -> None:
    """Sixteen processors, eight cores, two nodes."""
    assert machine.read(lay(two_sockets())) == MachineFacts(8, 2, None)


def test_memory_alone_is_no_node_for_threads(lay: Lay) -> None:
    """Grace Hopper shows its GPU's memory as nodes."""
    files = {**two_sockets(), "sys/devices/system/node/node2/cpulist": "\n"}
    assert machine.read(lay(files)).numa_nodes == 2


def test_gpus_are_counted(lay: Lay) -> None:
    """By the driver's own folders."""
    files = {f"proc/driver/nvidia/gpus/0000:{n}1:00.0/information": "" for n in range(4)}
    assert machine.read(lay(files)).gpus == 4


def test_an_unknown_machine_is_unknown(lay: Lay) -> None:
    """In a sandbox without /sys nothing is made up."""
    assert machine.read(lay({})) == MachineFacts(None, None, None)


def test_this_machine() -> None:
    """The real files are read too."""
    cores = machine.read().physical_cores
    assert cores is None or cores >= 1


def venv(root: Path, **packages: str) -> str:
    site = root / "lib/python3.12/site-packages"
    for name, version in packages.items():
        folder = site / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        named = name.replace("_", "-")
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {named}\nVersion: {version}\n"
        )
    python = root / "bin/python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.symlink_to(sys.executable)
    return str(python)


def test_the_engine_of_an_interpreter(tmp_path: Path) -> None:
    """By its packages, without starting it."""
    assert interpreter.engine_of(venv(tmp_path / "a", sglang_kt="0.7.2")) == ("sglang-kt", "0.7.2")
    assert interpreter.engine_of(venv(tmp_path / "b", sglang="0.5.17")) == ("sglang", "0.5.17")
    both = venv(tmp_path / "c", sglang="0.5.17", sglang_kt="0.6.2.post3")
    assert interpreter.engine_of(both) == ("sglang-kt", "0.6.2.post3")
    assert interpreter.engine_of(venv(tmp_path / "d")) is None
    assert interpreter.engine_of("/no/such/python") is None


def test_a_venv_is_not_resolved_away(tmp_path: Path) -> None:
    """Its python is a link to one that knows nothing of its packages."""
    python = venv(tmp_path, sglang="0.5.17")
    assert interpreter.absolute(python) == python
