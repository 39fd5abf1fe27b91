"""`ktserver doctor` on recorded machines: nothing to say of a good one, and each thing that is
wrong said with its severity, and alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.machines import GIB, Recorded, guide, listening, trouble

from server_bundle import doctor
from server_bundle.doctor import Severity

Change = Callable[[Recorded], object]
SMI = "nvidia-smi --query-gpu"
CPU, STATUS, MEMINFO = "proc/cpuinfo", "proc/self/status", "proc/meminfo"
MOUNTS, LIMITS = "proc/self/mountinfo", "proc/self/limits"


def test_the_guides_own_machine_is_well(box: Recorded, model: Path) -> None:
    """Every subject is looked at, and none is complained about."""
    found = doctor.examine(guide(model), box.machine())
    assert [one for one in found if one.severity is not Severity.OK] == []
    assert {one.about for one in found} == {
        *("gpus", "driver", "environment", "cpu", "memory", "disk", "weights", "python"),
        *("packages", "kernels", "port", "limits"),
    }
    told = "\n".join(one.found for one in found)
    assert "4 x NVIDIA GeForce RTX 5090 (32 GiB, sm_120)" in told
    assert "driver 570.133.07 supports CUDA 12.8" in told
    assert "128 physical cores, 2 NUMA nodes, AVX-512" in told
    assert "3 files, 150.0 GiB, all of the right size" in told


def no_program(name: str) -> Change:
    return lambda box: [box.commands.pop(one) for one in [*box.commands] if one.startswith(name)]


CASES: list[tuple[str, Change, str, Severity, str]] = [
    (
        "no driver",
        no_program("nvidia-smi"),
        "gpus",
        Severity.ERROR,
        "no nvidia-smi: the machine has no NVIDIA driver",
    ),
    (
        "driver broken",
        lambda box: box.commands[SMI].update(
            status=18, out="", err="Failed to initialize NVML: Driver/library version mismatch"
        ),
        "gpus",
        Severity.ERROR,
        "Driver/library version mismatch",
    ),
    (
        "one gpu gone",
        lambda box: box.out(SMI, box.commands[SMI]["out"].splitlines(True)[3], ""),
        "gpus",
        Severity.ERROR,
        "the machine has 3, of which",
    ),
    (
        "gpus are used",
        lambda box: [
            box.out(SMI, "RTX 5090, 32607, 2,", "RTX 5090, 32607, 3002,"),
            box.commands["nvidia-smi --query-compute-apps"].update(
                out="GPU-5a1c0000-0000-4000-8000-000000000002, 4242, python, 2900\n"
            ),
        ],
        "gpus",
        Severity.WARNING,
        "3,002 MiB of GPU 3 are in use: python (process 4242)",
    ),
    (
        "one gpu is used",
        lambda box: box.out(
            SMI,
            "000002, NVIDIA GeForce RTX 5090, 32607, 2,",
            "000002, NVIDIA GeForce RTX 5090, 32607, 9000,",
        ),
        "gpus",
        Severity.ERROR,
        "9,000 MiB of GPU 2 are in use",
    ),
    (
        "cuda of the driver",
        lambda box: box.out("nvidia-smi", "CUDA Version: 12.8", "CUDA Version: 12.4"),
        "driver",
        Severity.ERROR,
        "supports CUDA 12.4",
    ),
    (
        "torch for another cuda",
        lambda box: box.inside(torch="2.9.1+cu130"),
        "driver",
        Severity.ERROR,
        "torch 2.9.1+cu130 is built for CUDA 13.0",
    ),
    (
        "torch too old for the gpu",
        lambda box: box.inside(torch="2.9.1", nvidia_cuda_runtime_cu12="12.4.127"),
        "driver",
        Severity.ERROR,
        "torch 2.9.1 is built for CUDA 12.4",
    ),
    (
        "torch for cpus",
        lambda box: box.inside(torch="2.9.1+cpu"),
        "driver",
        Severity.ERROR,
        "torch 2.9.1+cpu",
    ),
    ("no nvcc", no_program("nvcc"), "driver", Severity.WARNING, "no nvcc"),
    (
        "old nvcc",
        lambda box: box.out("nvcc --version", "release 12.8", "release 12.0"),
        "driver",
        Severity.ERROR,
        "nvcc is from CUDA 12.0",
    ),
    (
        "no avx2",
        lambda box: box.change(CPU, " avx2 ", " "),
        "cpu",
        Severity.ERROR,
        "no AVX2",
    ),
    (
        "no avx512",
        lambda box: box.change(CPU, " avx512f ", " "),
        "cpu",
        Severity.ERROR,
        "no AVX-512",
    ),
    (
        "no bf16",
        lambda box: box.change(CPU, " avx512_bf16 ", " "),
        "cpu",
        Severity.NOTE,
        "AVX-512 without BF16",
    ),
    (
        "cpuset",
        lambda box: box.change(STATUS, "0-255", "0-15,64-79"),
        "cpu",
        Severity.WARNING,
        "32 of 256 processors may be used",
    ),
    ("without numactl", no_program("numactl"), "cpu", Severity.ERROR, "no numactl"),
    (
        "ram short",
        lambda box: box.change(MEMINFO, "251000000 kB", "100000000 kB"),
        "memory",
        Severity.ERROR,
        "95 GiB of RAM available; the weights need 150 GiB",
    ),
    (
        "ram tight",
        lambda box: box.change(MEMINFO, "251000000 kB", "160000000 kB"),
        "memory",
        Severity.WARNING,
        "153 GiB of RAM available",
    ),
    (
        "container limit",
        lambda box: box.files.update(
            {
                "sys/fs/cgroup/user.slice/memory.max": str(64 * GIB),
                "sys/fs/cgroup/user.slice/memory.current": "0",
            }
        ),
        "memory",
        Severity.ERROR,
        "64 GiB available below this container's limit",
    ),
    (
        "container limit of old",
        lambda box: box.files.update({"sys/fs/cgroup/memory/memory.limit_in_bytes": str(64 * GIB)}),
        "memory",
        Severity.ERROR,
        "64 GiB available below this container's limit",
    ),
    (
        "docker's shm",
        lambda box: box.space.update({"/dev/shm": [64 << 20, 64 << 20]}),
        "memory",
        Severity.ERROR,
        "/dev/shm has 0.1 GiB free",
    ),
    (
        "small shm",
        lambda box: box.space.update({"/dev/shm": [GIB // 2, GIB // 2]}),
        "memory",
        Severity.WARNING,
        "/dev/shm has 0.5 GiB free",
    ),
    (
        "huge pages",
        lambda box: box.change(MEMINFO, "HugePages_Total:       0", "HugePages_Total:   20000"),
        "memory",
        Severity.WARNING,
        "39 GiB in reserved huge pages",
    ),
    (
        "no transparent huge pages",
        lambda box: box.files.update(
            {"sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]\n"}
        ),
        "memory",
        Severity.NOTE,
        "transparent huge pages are off",
    ),
    (
        "disk rotates",
        lambda box: box.files.update({"sys/block/nvme0n1/queue/rotational": "1\n"}),
        "disk",
        Severity.WARNING,
        "the weights are on ext4 (/dev/nvme0n1p2)",
    ),
    (
        "network disk",
        lambda box: box.change(MOUNTS, "ext4 /dev/nvme0n1p2", "nfs4 nas:/models"),
        "disk",
        Severity.WARNING,
        "the weights are on nfs4 (nas:/models)",
    ),
    (
        "cache full",
        lambda box: box.space.update({"/": [100 * GIB, GIB // 2]}),
        "disk",
        Severity.ERROR,
        "0.5 GiB free for /home/me/.cache",
    ),
    ("port taken", lambda box: listening(box, "0100007F"), "port", Severity.ERROR, "is in use by"),
    ("port everywhere", lambda box: listening(box, "00000000"), "port", Severity.ERROR, "in use"),
    (
        "port by ipv6",
        lambda box: listening(box, "0" * 32, table="proc/net/tcp6"),
        "port",
        Severity.ERROR,
        "127.0.0.1:40001 is in use",
    ),
    (
        "port by an old address in ipv6",
        lambda box: listening(box, "0000000000000000FFFF00000100007F", table="proc/net/tcp6"),
        "port",
        Severity.ERROR,
        "127.0.0.1:40001 is in use",
    ),
    (
        "few files",
        lambda box: box.change(LIMITS, "1048576", "4096   "),
        "limits",
        Severity.WARNING,
        "4,096 open files",
    ),
    (
        "little locked memory",
        lambda box: box.change(LIMITS, "unlimited            bytes", "8388608              bytes"),
        "limits",
        Severity.NOTE,
        "8 MiB of locked memory",
    ),
]


@pytest.mark.parametrize(
    ("change", "about", "severity", "words"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_one_thing_wrong_is_one_finding(
    box: Recorded, model: Path, change: Change, about: str, severity: Severity, words: str
) -> None:
    """With a reason or a cure, and nothing else is complained about."""
    change(box)
    (finding,) = trouble(box, guide(model))
    assert (finding.about, finding.severity) == (about, severity)
    assert words in finding.found
    assert finding.cure or finding.reason


PLANS: list[tuple[str, dict[str, object], tuple[str, ...], tuple[str, Severity], str]] = [
    (
        "too many",
        {},
        ("--tp", "8", "--tensor-parallel-size=8"),
        ("gpus", Severity.ERROR),
        "the machine has 4",
    ),
    (
        "hidden gpus",
        {"environment": {"CUDA_VISIBLE_DEVICES": "0,1,7,2"}},
        (),
        ("gpus", Severity.ERROR),
        "of which CUDA_VISIBLE_DEVICES=0,1,7,2 allows 2",
    ),
    (
        "hyperthreads",
        {},
        ("--kt-cpuinfer", "200"),
        ("cpu", Severity.WARNING),
        "--kt-cpuinfer 200, but only 128 physical cores",
    ),
    ("half the cores", {}, ("--kt-cpuinfer", "60"), ("cpu", Severity.NOTE), "60 of 128 cores"),
    ("pools", {}, ("--kt-threadpool-count", "4"), ("cpu", Severity.WARNING), "but 2 NUMA nodes"),
    ("no numactl wanted", {"prefix": ()}, (), ("cpu", Severity.NOTE), "without numactl"),
    (
        "no mode",
        {"environment": {"SGLANG_DSV4_MODE": ""}},
        (),
        ("environment", Severity.ERROR),
        "SGLANG_DSV4_MODE is not set",
    ),
    (
        "no submode",
        {"environment": {"SGLANG_DSV4_2604_SUBMODE": ""}},
        (),
        ("environment", Severity.ERROR),
        "SGLANG_DSV4_2604_SUBMODE is not set",
    ),
    (
        "another architecture",
        {"environment": {"FLASHINFER_CUDA_ARCH_LIST": "9.0a"}},
        (),
        ("environment", Severity.ERROR),
        "FLASHINFER_CUDA_ARCH_LIST=9.0a, but a GPU has 12.0",
    ),
    (
        "open to all",
        {"host": "0.0.0.0"},
        (),
        ("port", Severity.NOTE),
        "the server will listen on 0.0.0.0",
    ),
    ("low port", {"port": 80}, (), ("port", Severity.WARNING), "port 80"),
    ("window", {"context": 2_000_000}, (), ("weights", Severity.ERROR), "2,000,000"),
    ("other plan", {"version": "0.7.2"}, (), ("python", Severity.NOTE), "planned for sglang-kt"),
]


@pytest.mark.parametrize(
    ("changes", "more", "expected", "words"),
    [case[1:] for case in PLANS],
    ids=[case[0] for case in PLANS],
)
def test_one_thing_wrong_in_the_plan_is_one_finding(
    box: Recorded,
    model: Path,
    changes: dict[str, object],
    more: tuple[str, ...],
    expected: tuple[str, Severity],
    words: str,
) -> None:
    (finding,) = trouble(box, guide(model, *more, **changes))
    assert (finding.about, finding.severity) == expected
    assert words in finding.found
