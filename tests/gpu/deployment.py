"""One server of `ktserver`, planned with a profile and started from that plan's file.

Between plan and start, variables may be set and flags taken out that have no option: for a machine
that is not the profile's. Each such change is printed, and the plan itself shows all others.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evidence import Evidence

KTSERVER = [sys.executable, "-c", "from ktclient.cli.ktserver import main; main()"]
_OF_MEMORY = re.compile(
    r"Load weight end|Memory profiling|DSv4 (memory|pool)|staging buffer|Memory pool end"
    r"|cuda graph end|max_total_num_tokens=|full-layer slots|prefill disabled"
)
"""What a start says of memory, and KTransformers at its first long chunk."""


@dataclass(frozen=True)
class Deployment:
    """Where it is, and what is asked of `ktserver plan`."""

    name: str
    folder: Path
    options: list[str]
    """Of `ktserver plan` and `doctor`."""
    flags: list[str]
    """For the server, after `--`."""
    variables: dict[str, str] = field(default_factory=dict)
    without: list[str] = field(default_factory=list)
    """Flags to leave out, each with its value."""

    def plan(self, evidence: Evidence) -> None:
        """Shown as people see it, then written with our changes to the file that `up` reads."""
        print(_said([*KTSERVER, "plan", *self.options, "--", *self.flags]), flush=True)
        plan = self.planned()
        figures = {name: plan[name] for name in ("version", "gpus", "context", "planned_pool")}
        evidence.add("plan", str(plan["profile"]), json.dumps(figures), plan=plan)

    def planned(self) -> dict[str, Any]:
        """The plan with our changes, as it was written to the file that `up` reads."""
        words = [*self.options, "--", *self.flags]
        plan: dict[str, Any] = json.loads(_said([*KTSERVER, "plan", "--json", *words]))
        for name, value in self.variables.items():
            print(f"changed: {name}: {plan['environment'].get(name, 'not set')} -> {value}")
            plan["environment"][name] = value
        for flag in self.without:
            plan["argv"], value = _without(plan["argv"], flag)
            print(f"changed: {flag}: {value} -> not set")
        self.file.write_text(json.dumps(plan))
        return plan

    def doctor(self, evidence: Evidence) -> None:
        """Before the start, with the same options."""
        words = [*self.options, "--", *self.flags]
        done = subprocess.run([*KTSERVER, "doctor", *words], stdout=subprocess.PIPE, text=True)
        print(done.stdout, flush=True)
        heads = [line for line in done.stdout.splitlines() if line.startswith(("ERROR", "warn"))]
        errors = sum(line.startswith("ERROR") for line in heads)
        counted = f"{errors} errors, {len(heads) - errors} warnings"
        evidence.add("doctor", f"exit {done.returncode}", counted, said=done.stdout)

    def up(self, evidence: Evidence) -> None:
        """Until it is READY by its log, answers, and is warm. Without the doctor, whose findings
        `doctor` has recorded: they are of the kit's small model too. Raises SystemExit."""
        began = time.monotonic()
        command = [*KTSERVER, "up", "--plan", str(self.file), "--name", self.name]
        command.append("--no-check")
        done = subprocess.run(
            [*command, "--restart", "on-failure"], stderr=subprocess.PIPE, text=True
        )
        print(done.stderr, flush=True)
        if done.returncode:
            raise SystemExit(f"the server did not start: exit {done.returncode}")
        seconds, now = time.monotonic() - began, self.status()
        told = f"READY by its log after {now['start_seconds']:.0f} s"
        evidence.add("up, until warm", f"{seconds:.0f} s", told, said=done.stderr, status=now)
        self.memory(evidence)

    def memory(self, evidence: Evidence) -> None:
        """Its log's lines about memory, and what is in use on the GPUs."""
        lines = [line for line in self.log().splitlines() if _OF_MEMORY.search(line)]
        print("\n".join(lines), flush=True)
        now = self.status()
        pool, planned = now["figures"].get("pool"), now["planned_pool"]
        evidence.add("pool", f"{pool}", f"planned {planned}", lines=lines, used=gpu_memory())

    def explain(self, evidence: Evidence) -> None:
        """Of its own log as it is now."""
        command = [*KTSERVER, "explain", self.status()["log"]]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        print(done.stdout, flush=True)
        first = next(iter(done.stdout.splitlines()), "nothing")
        evidence.add("explain", f"exit {done.returncode}", first, said=done.stdout)

    def down(self, evidence: Evidence) -> None:
        """Nothing may be left on the GPUs."""
        began = time.monotonic()
        done = subprocess.run(
            [*KTSERVER, "down", self.name, "--force"], stderr=subprocess.PIPE, text=True
        )
        seconds, used = time.monotonic() - began, gpu_memory()
        print(done.stderr, flush=True)
        left = gpu_processes()
        more = f"{seconds:.1f} s; GPU memory still used: {', '.join(used)}; processes: {left}"
        evidence.add("down", f"exit {done.returncode}", more, said=done.stderr, used=used)

    def status(self) -> dict[str, Any]:
        """As `ktserver status --json` shows it."""
        command = [*KTSERVER, "status", self.name, "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[0])
        return found

    def log(self) -> str:
        """All that it has written since its last rotation."""
        return Path(self.status()["log"]).read_text(encoding="utf-8", errors="replace")

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}-plan.json"


def gpu_memory() -> list[str]:
    """MiB in use, of each GPU; empty where there is none."""
    return _nvidia_smi("--query-gpu=memory.used")


def gpu_processes() -> list[str]:
    """Those with memory on a GPU: number, MiB."""
    return _nvidia_smi("--query-compute-apps=pid,used_memory")


def _nvidia_smi(query: str) -> list[str]:
    command = ["nvidia-smi", query, "--format=csv,noheader"]
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    except OSError:
        return []


def _said(command: list[str]) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"ktserver {command[3]} exits {done.returncode}")
    return done.stdout


def _without(argv: list[str], flag: str) -> tuple[list[str], str]:
    """The words without a flag and its value, and the value."""
    at = argv.index(flag)
    end = next((n for n in range(at + 1, len(argv)) if argv[n].startswith("--")), len(argv))
    return argv[:at] + argv[end:], " ".join(argv[at + 1 : end]) or "set"
