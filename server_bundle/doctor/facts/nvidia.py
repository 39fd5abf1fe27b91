"""Output of nvidia-smi and nvcc: GPUs, the processes on them, and CUDA versions."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from server_bundle.doctor.facts.commands import Answer
from server_bundle.doctor.facts.machine import Machine

_GPU_FIELDS = "index,uuid,name,memory.total,memory.used,compute_cap,driver_version"
_APP_FIELDS = "gpu_uuid,pid,process_name,used_memory"
_FORMAT = "--format=csv,noheader,nounits"
Capability = tuple[int, int]


@dataclass(frozen=True)
class Gpu:
    """One GPU. Memory in MiB, as in nvidia-smi; None where it does not report it."""

    index: int
    uuid: str
    name: str
    total: int | None
    used: int | None
    capability: Capability | None
    driver: str


@dataclass(frozen=True)
class App:
    """One process that holds memory of a GPU (MiB)."""

    uuid: str
    pid: int
    name: str
    used: int | None


def query(machine: Machine) -> Answer | None:
    """Run nvidia-smi's GPU query; None where there is no nvidia-smi."""
    return machine.run(["nvidia-smi", f"--query-gpu={_GPU_FIELDS}", _FORMAT])


def gpus(machine: Machine) -> list[Gpu]:
    """All GPUs of the machine, by index."""
    answer = query(machine)
    rows = _rows(answer, 7) if answer is not None and answer.status == 0 else []
    return [
        Gpu(int(row[0]), row[1], row[2], _whole(row[3]), _whole(row[4]), _pair(row[5]), row[6])
        for row in rows
        if row[0].isdigit()
    ]


def apps(machine: Machine) -> list[App]:
    """The processes on all GPUs; in a container, processes outside of it are not listed."""
    answer = machine.run(["nvidia-smi", f"--query-compute-apps={_APP_FIELDS}", _FORMAT])
    rows = _rows(answer, 4) if answer is not None and answer.status == 0 else []
    return [App(row[0], int(row[1]), row[2], _whole(row[3])) for row in rows if row[1].isdigit()]


def cuda_of_driver(machine: Machine) -> Capability | None:
    """The newest CUDA that the driver supports, by the header of plain nvidia-smi. Newer versions
    call it `CUDA UMD Version`."""
    answer = machine.run(["nvidia-smi"])
    found = re.search(r"CUDA (?:UMD )?Version: +(\d+)\.(\d+)", answer.out if answer else "")
    return (int(found[1]), int(found[2])) if found else None


def cuda_of_compiler(machine: Machine, path: str = "nvcc") -> Capability | None:
    """The CUDA that nvcc compiles for."""
    answer = machine.run([path, "--version"])
    found = re.search(r"release (\d+)\.(\d+)", answer.out if answer else "")
    return (int(found[1]), int(found[2])) if found else None


def visible(listed: Sequence[Gpu], chosen: str | None) -> list[Gpu]:
    """The GPUs that CUDA_VISIBLE_DEVICES allows, in its order: numbers or prefixes of UUIDs. As in
    CUDA, everything after an entry that does not exist is ignored."""
    if chosen is None:
        return list(listed)
    seen: list[Gpu] = []
    for word in (word.strip() for word in chosen.split(",")):
        found = next((gpu for gpu in listed if _is(gpu, word)), None)
        if found is None:
            break
        seen.append(found)
    return seen


def _is(gpu: Gpu, word: str) -> bool:
    return str(gpu.index) == word if word.isdigit() else bool(word) and gpu.uuid.startswith(word)


def _rows(answer: Answer | None, columns: int) -> list[list[str]]:
    text = answer.out if answer else ""
    rows = csv.reader(text.splitlines(), skipinitialspace=True)
    return [[cell.strip() for cell in row] for row in rows if len(row) == columns]


def _whole(cell: str) -> int | None:
    return int(cell) if cell.isdigit() else None  # else [N/A], [Not Supported]


def _pair(cell: str) -> Capability | None:
    found = re.fullmatch(r"(\d+)\.(\d+)", cell)
    return (int(found[1]), int(found[2])) if found else None
