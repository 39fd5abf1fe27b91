"""The CPU, which computes the experts: its instructions, physical cores and NUMA nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from server_bundle.doctor.case import Case
from server_bundle.doctor.checks import cpu_method
from server_bundle.doctor.facts.machine import Machine
from server_bundle.doctor.finding import Finding, error, note, ok, warning

_ABOUT = "cpu"
_AVX512 = ("avx512f", "avx512bw")
_AMX = ("amx_tile", "amx_int8")


def check(case: Case) -> Iterator[Finding]:
    """Check what every server needs, and for experts on the CPU what those need."""
    text = case.machine.read("proc/cpuinfo")
    flags = set((re.search(r"^flags\s*: (.*)$", text, re.M) or ["", ""])[1].split())
    name = (re.search(r"^model name\s*: (.*)$", text, re.M) or ["", "unknown"])[1]
    cores, nodes = physical_cores(text), _nodes_with_processors(case.machine)
    best = next(
        (
            word
            for word, need in (("AMX", _AMX), ("AVX-512", _AVX512), ("AVX2", ("avx2",)))
            if set(need) <= flags
        ),
        "no AVX2",
    )
    counted = f"{_counted(cores, 'physical core')}, {_counted(nodes, 'NUMA node')}"
    yield ok(_ABOUT, f"{name}: {counted}, {best}")
    if case.uses_cpu_experts:
        yield from cpu_method.check(case, flags)
        yield from _threads(case, cores)
        yield from _nodes(case, nodes)
    yield from _numactl(case, nodes)


def _nodes_with_processors(machine: Machine) -> int:
    """The number of NUMA nodes with processors; GPU or CXL memory may be a node without any."""
    lists = machine.names("sys/devices/system/node/node[0-9]*/cpulist")
    return sum(1 for path in lists if machine.read(path).strip()) or 1


def physical_cores(cpuinfo: str) -> int:
    """The number of cores without hyperthreads; of processors where /proc/cpuinfo lists no cores
    (ARM, some virtual machines)."""
    blocks = cpuinfo.strip().split("\n\n")
    pairs = set()
    for block in blocks:
        package = re.search(r"^physical id\s*: (\d+)$", block, re.M)
        core = re.search(r"^core id\s*: (\d+)$", block, re.M)
        if package and core:
            pairs.add((package[1], core[1]))
    return len(pairs) or sum(1 for block in blocks if re.search(r"^processor\s*:", block, re.M))


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _threads(case: Case, cores: int) -> Iterator[Finding]:
    wanted = case.flags.whole("--kt-cpuinfer")
    allowed = _allowed(case.machine.read("proc/self/status"))
    processors = len(re.findall(r"^processor\s*:", case.machine.read("proc/cpuinfo"), re.M))
    best = cores - 2 if cores > 8 else cores  # the processes of the GPU ranks need cores too
    if wanted is None:
        return
    if wanted > cores:
        yield warning(
            _ABOUT,
            f"--kt-cpuinfer {wanted}, but only {_counted(cores, 'physical core')}",
            "it is the total number of threads, and two on one core are about ten times slower",
            "KT commit 01fdfa60; kt_kernel/experts_base.py",
            f"set --kt-cpuinfer {best}",
        )
    elif wanted < cores // 2:
        why = "the other cores are idle: it is the total number of threads, not one per NUMA node"
        cure = f"set --kt-cpuinfer {best}, unless other programs need the cores"
        yield note(
            _ABOUT, f"--kt-cpuinfer {wanted} of {cores} cores", why, "KT experts_base.py", cure
        )
    if allowed is not None and allowed < min(wanted, processors):
        seen = f"only {allowed} of {processors} processors may be used (cpuset, taskset)"
        why = f"the {wanted} threads of --kt-cpuinfer share them"
        cure = "raise docker's --cpuset-cpus, or lower --kt-cpuinfer"
        yield warning(_ABOUT, seen, why, "", cure)


def _allowed(status: str) -> int | None:
    """The number of allowed processors, from `Cpus_allowed_list: 0-63,128`."""
    found = re.search(r"^Cpus_allowed_list:\s*([\d,-]+)$", status, re.M)
    if not found:
        return None
    count = 0
    for part in found[1].split(","):
        low, _, high = part.partition("-")
        count += int(high or low) - int(low) + 1
    return count


def _nodes(case: Case, nodes: int) -> Iterator[Finding]:
    pools = case.flags.whole("--kt-threadpool-count") or 2
    if pools != nodes:
        yield warning(
            _ABOUT,
            f"--kt-threadpool-count {pools}, but {_counted(nodes, 'NUMA node')}",
            "each thread pool computes its part of the experts from the memory of its node",
            "KT kt_kernel/experts_base.py",
            f"set --kt-threadpool-count {nodes}",
        )


def _numactl(case: Case, nodes: int) -> Iterator[Finding]:
    wants = "numactl" in case.plan.prefix[:1]
    if wants and case.machine.run(["numactl", "--show"]) is None:
        cure = "run apt install numactl, or make a plan without it"
        yield error(_ABOUT, "no numactl", "the plan starts the server with it", "", cure)
    elif not wants and nodes > 1 and case.uses_cpu_experts:
        why = "the placement of memory decides how fast the CPU reads the experts"
        cure = (
            "compare numactl --interleave=all (the guide) with sglang-kt's placement (KT 2026-07)"
        )
        yield note(_ABOUT, f"{nodes} NUMA nodes, without numactl", why, "the guide", cure)
