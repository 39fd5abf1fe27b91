"""A launch plan from a typed command line: `A=1 numactl -i all python -m sglang…`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from server_bundle.doctor.case import SGLANG_KT
from server_bundle.doctor.facts.machine import Machine
from server_bundle.doctor.facts.packages import query
from server_bundle.doctor.flags import Flags
from server_bundle.plan.launch_plan import LaunchPlan

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.S)
_PYTHON = re.compile(r"python(?:\d+(?:\.\d+)*)?")
_PORT = 30000
"""sglang's own default."""


def plan_of(words: Sequence[str], machine: Machine) -> LaunchPlan:
    """The plan of a command line. Raises ValueError where it does not start sglang."""
    rest, environment = list(words), {}
    while rest and (rest[0] == "env" or _ASSIGNMENT.fullmatch(rest[0])):
        word = rest.pop(0)
        assignment = _ASSIGNMENT.fullmatch(word)
        if assignment:
            environment[assignment[1]] = assignment[2]
    at = next((place for place, word in enumerate(rest) if _starts_python(word)), None)
    if at is None or not any("sglang" in word for word in rest[at:]):
        raise ValueError("it contains no `python -m sglang.launch_server` or `sglang serve`")
    prefix, argv = rest[:at], rest[at:]
    python = _python_of(argv[0])
    flags = Flags(argv)
    model = flags.text("--model-path", "--model")
    if not model:
        raise ValueError("it contains no --model")
    packages = query(machine, python).packages
    is_fork = SGLANG_KT in packages or flags.has_any("--kt-")
    engine = SGLANG_KT if is_fork else "sglang"
    return LaunchPlan(
        profile="typed",
        engine=engine,
        version=packages.get(engine),
        python=python,
        model=model,
        served_name=flags.text("--served-model-name") or Path(model).name,
        host=flags.text("--host") or "127.0.0.1",
        port=flags.whole("--port") or _PORT,
        prefix=tuple(prefix),
        argv=tuple(argv),
        environment=environment,
        context=flags.whole("--context-length"),
        planned_pool=None,
        warmup_tokens=0,
        gpus=0 if flags.text("--device") == "cpu" else _parallel(flags),
        ready_seconds=1800.0,
    )


def _starts_python(word: str) -> bool:
    name = Path(word).name
    return _PYTHON.fullmatch(name) is not None or name == "sglang"


def _python_of(program: str) -> str:
    """`sglang` is a script beside its interpreter."""
    if Path(program).name != "sglang":
        return program
    return str(Path(program).with_name("python")) if "/" in program else "python"


def _parallel(flags: Flags) -> int:
    return flags.whole("--tensor-parallel-size", "--tp-size", "--tp") or 1
