"""A launch plan from a typed command line: `A=1 numactl -i all python -m sglang…`, `kt run …`, and
what follows the image of a `docker run …`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from server_bundle.doctor import container as containers
from server_bundle.doctor import kt_run
from server_bundle.doctor.case import SGLANG_KT
from server_bundle.doctor.container import Container
from server_bundle.doctor.facts import nvidia
from server_bundle.doctor.facts.machine import Machine
from server_bundle.doctor.facts.packages import query
from server_bundle.doctor.flags import Flags
from server_bundle.doctor.kt_run import KtMachine
from server_bundle.plan.launch_plan import LaunchPlan

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.S)
_PYTHON = re.compile(r"python(?:\d+(?:\.\d+)*)?")
_OTHER = re.compile(r"sglang\.(?:bench|test|check_env|eval|profiler)")
"""sglang's programs that are no server."""
_PORT = 30000
"""sglang's own default."""
_UNKNOWN = "it contains no `python -m sglang.launch_server`, `sglang serve` or `kt run`"


@dataclass(frozen=True)
class Typed:
    """A command line, read. `container`: where it runs in one; its packages are not known then."""

    plan: LaunchPlan
    container: Container | None
    remarks: tuple[str, ...]


def plan_of(words: Sequence[str], machine: Machine) -> LaunchPlan:
    """The plan of a command line. Raises ValueError where it does not start sglang."""
    return read(words, machine).plan


def read(words: Sequence[str], machine: Machine, gpus: int = 0) -> Typed:
    """The plan of a command line, and what is to be said about it. Raises ValueError where it
    starts no sglang. `gpus`: how many `kt run` would find, if this machine has none."""
    container, rest = containers.split(_unquoted(words))
    prefix, environment = _assignments(rest)
    environment = {**(container.environment if container else {}), **environment}
    prefix, argv = _at_program(prefix)
    remarks: tuple[str, ...] = ()
    model = ""
    if kt_run.is_kt_run(argv):
        program = argv[0]
        python = str(Path(program).with_name("python")) if "/" in program else "python3"
        seen = _kt_machine(machine, environment)
        seen = seen if seen.gpus else replace(seen, gpus=gpus)
        started = kt_run.command(argv, seen, python)
        argv, model, remarks = list(started.argv), started.model, started.remarks
    elif Path(argv[0]).name == "sglang":
        argv = _with_named_model(argv)
    plan = _plan(prefix, argv, environment, container, machine)
    if model and container is None and not Path(model).exists():
        remarks = (
            f"there is no folder {model}: `kt run` looks for this name in its own list of models, "
            "and starts nothing if it is not there",
            *remarks,
        )
    return Typed(plan, container, remarks)


def _plan(
    prefix: list[str],
    argv: list[str],
    environment: dict[str, str],
    container: Container | None,
    machine: Machine,
) -> LaunchPlan:
    python, flags = _python_of(argv[0]), Flags(argv)
    model = flags.text("--model-path", "--model")
    if not model:
        raise ValueError(
            "it contains no --model: only `sglang serve MODEL` takes one without it, and only as "
            "the first word"
        )
    packages = query(machine, python).packages if container is None else {}
    is_fork = SGLANG_KT in packages or flags.has_any("--kt-")
    engine = SGLANG_KT if is_fork else "sglang"
    return LaunchPlan(
        profile="typed",
        engine=engine,
        version=container.version if container else packages.get(engine),
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


def _unquoted(words: Sequence[str]) -> list[str]:
    """The words of a command that was typed in quotes, alone or after `bash -c`."""
    found: list[str] = []
    for word in words:
        is_command = re.search(r"\s(?:-m\s+sglang\.launch_server|serve|run)\s", word)
        try:
            found += shlex.split(word) if is_command else [word]
        except ValueError as error:
            raise ValueError(f"its quotes are not closed ({error})") from None
    return [word for word in found if word != "exec"]


def _assignments(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The words without `A=1` in front, and those variables."""
    rest, environment = list(words), dict[str, str]()
    while rest and (rest[0] in ("env", "export") or _ASSIGNMENT.fullmatch(rest[0])):
        assignment = _ASSIGNMENT.fullmatch(rest.pop(0))
        if assignment:
            environment[assignment[1]] = assignment[2]
    return rest, environment


def _at_program(words: list[str]) -> tuple[list[str], list[str]]:
    """The words before the program that starts sglang, and those from there on."""
    for place in range(len(words)):
        if _starts_server(words[place:]):
            return words[:place], words[place:]
    raise ValueError(_UNKNOWN)


def _starts_server(words: list[str]) -> bool:
    name, following = Path(words[0]).name, words[1:]
    if _PYTHON.fullmatch(name):
        return any("sglang" in word and not _OTHER.match(word) for word in following[:4])
    return (name, following[:1]) == ("sglang", ["serve"]) or kt_run.is_kt_run(words)


def _kt_machine(machine: Machine, environment: dict[str, str]) -> KtMachine:
    chosen = {**machine.environment, **environment}.get("CUDA_VISIBLE_DEVICES")
    nodes = machine.names("sys/devices/system/node/node[0-9]*")
    processors = re.findall(r"^processor\s*:", machine.read("proc/cpuinfo"), re.M)
    gpus = nvidia.visible(nvidia.gpus(machine), chosen)
    return KtMachine(len(processors) or 1, len(nodes) or 1, len(gpus))


def _with_named_model(argv: list[str]) -> list[str]:
    """`sglang serve MODEL …` as `sglang serve --model-path MODEL …`, as it does it itself (its
    cli/serve.py): the first word after `serve`, but for --model-type, is the model if it is no
    option."""
    kind, rest = list[str](), argv[2:]
    if rest[:1] == ["--model-type"]:
        kind, rest = rest[:2], rest[2:]
    elif rest and rest[0].startswith("--model-type="):
        kind, rest = rest[:1], rest[1:]
    if not rest or rest[0].startswith("-"):
        return argv
    return [*argv[:2], "--model-path", *rest, *kind]


def _python_of(program: str) -> str:
    """`sglang` is a script beside its interpreter."""
    if Path(program).name != "sglang":
        return program
    return str(Path(program).with_name("python")) if "/" in program else "python"


def _parallel(flags: Flags) -> int:
    return flags.whole("--tensor-parallel-size", "--tp-size", "--tp") or 1
