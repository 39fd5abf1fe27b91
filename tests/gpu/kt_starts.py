"""Starts with too little GPU memory: what `ktserver up` and `explain` say of each."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from deployment import KTSERVER, Deployment, gpu_memory, gpu_processes
from evidence import Evidence

_HOLD = """
import sys, torch
free, total = torch.cuda.mem_get_info()
held = torch.empty(free - int(float(sys.argv[1]) * 2**30), dtype=torch.uint8, device="cuda")
print(free, total, flush=True)
sys.stdin.read()
"""


@dataclasses.dataclass(frozen=True)
class Start:
    """`flags`: set in the plan's file, so that the plan does not refuse them. `left`: GiB that
    another process leaves free on the GPU; None: there is none."""

    name: str
    flags: dict[str, str] = dataclasses.field(default_factory=dict)
    left: float | None = None


STARTS = (
    # Seen to answer on an H200, where 7 GiB are left beside the pool: not so on a smaller GPU.
    Start("pool-too-large", {"--mem-fraction-static": "0.995", "--max-total-tokens": "100000000"}),
    Start("fraction-too-small", {"--mem-fraction-static": "0.03"}),
    Start("gpu-in-use", left=4.0),
    Start("gpu-in-use-later", left=9.0),
)


def run(server: Deployment, python: str, evidence: Evidence) -> None:
    """Each one, on the GPU of the plan."""
    for start in STARTS:
        evidence.step(start.name, lambda start=start: _one(start, server, python, evidence))  # type: ignore[misc]


def _one(start: Start, server: Deployment, python: str, evidence: Evidence) -> None:
    tried = dataclasses.replace(server, name=start.name)
    plan = tried.planned()
    for flag, value in start.flags.items():
        argv = plan["argv"]
        if flag not in argv:
            argv += [flag, ""]
        at = argv.index(flag) + 1
        print(f"changed: {flag}: {argv[at] or 'not set'} -> {value}")
        argv[at] = value
    tried.file.write_text(json.dumps(plan))
    with _held(start.left, plan["environment"]["CUDA_VISIBLE_DEVICES"], python):
        _refused(tried, evidence)


def _refused(server: Deployment, evidence: Evidence) -> None:
    began = time.monotonic()
    command = [*KTSERVER, "up", "--plan", str(server.file), "--name", server.name, "--no-check"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    seconds = time.monotonic() - began
    print(done.stderr, flush=True)
    log = server.folder / "state" / "servers" / server.name / "server.log"
    explained = subprocess.run(
        [*KTSERVER, "explain", str(log)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(explained.stdout, flush=True)
    print(subprocess.run(["tail", "-n", "25", str(log)], capture_output=True, text=True).stdout)
    evidence.add(
        server.name,
        f"exit {done.returncode} after {seconds:.0f} s",
        next(iter(explained.stdout.splitlines()), "nothing explained"),
        said=done.stderr,
        explained=explained.stdout,
        used=gpu_memory(),
        processes=gpu_processes(),
    )
    subprocess.run([*KTSERVER, "down", server.name, "--force"], stderr=subprocess.DEVNULL)


@contextmanager
def _held(left: float | None, device: str, python: str) -> Iterator[None]:
    """Another process's memory on that GPU, meanwhile."""
    if left is None:
        yield
        return
    holder = subprocess.Popen(
        [python, "-c", _HOLD, str(left)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": device},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None and holder.stdout is not None
    try:
        print("held:", holder.stdout.readline(), flush=True)
        yield
    finally:
        holder.stdin.close()
        holder.wait()
