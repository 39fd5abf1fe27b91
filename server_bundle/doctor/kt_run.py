"""The command that `kt run` starts, worked out without running it.

By kt_kernel/cli/commands/run.py of kt-kernel 0.7.2 (0.6.2.post3 has the same defaults), for a
standard input that is no terminal and a ~/.ktransformers/config.yaml without settings. `kt run` adds
every flag that it does not know to the end, unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SHARE_OF_PROCESSORS = 0.8
"""Of the *logical* processors: hyperthreads count."""
_OPTIONS = {
    "--host": "--host",
    "-H": "--host",
    "--port": "--port",
    "-p": "--port",
    "--gpu-experts": "--kt-num-gpu-experts",
    "--cpu-threads": "--kt-cpuinfer",
    "--numa-nodes": "--kt-threadpool-count",
    "--tensor-parallel-size": "--tensor-parallel-size",
    "--tp": "--tensor-parallel-size",
    "--model-path": "--model",
    "--weights-path": "--kt-weight-path",
    "--kt-method": "--kt-method",
    "--kt-gpu-prefill-threshold": "--kt-gpu-prefill-token-threshold",
    "--attention-backend": "--attention-backend",
    "--max-total-tokens": "--max-total-tokens",
    "--max-running-requests": "--max-running-requests",
    "--chunked-prefill-size": "--chunked-prefill-size",
    "--mem-fraction-static": "--mem-fraction-static",
    "--watchdog-timeout": "--watchdog-timeout",
    "--served-model-name": "--served-model-name",
}
"""Options of `kt run` with a value -> sglang's flags."""
_SWITCHES = (
    *("--disable-shared-experts-fusion", "--enable-shared-experts-fusion", "--quantize", "-q"),
    *("--advanced", "--dry-run"),
)
_ALWAYS = ("--kt-enable-dynamic-expert-update", "--trust-remote-code", "--enable-mixed-chunk")


@dataclass(frozen=True)
class KtMachine:
    """What `kt run` reads of the machine."""

    processors: int
    """Logical ones."""
    nodes: int
    gpus: int


def is_kt_run(words: Sequence[str]) -> bool:
    """Whether a command line is `kt run …`, with any path to kt."""
    return len(words) > 1 and words[0].rsplit("/", 1)[-1] == "kt" and words[1] == "run"


def command(words: Sequence[str], machine: KtMachine, python: str) -> list[str]:
    """The command line that `kt run …` would start. Raises ValueError where it names no model."""
    given, rest, positional, switches = _parsed(words[2:])
    model = given.pop("--model", None) or (positional[0] if positional else None)
    if model is None:
        raise ValueError("`kt run` without a model asks for one on a terminal: name it")
    threads = int(machine.processors * SHARE_OF_PROCESSORS)
    defaults = {
        "--host": "0.0.0.0",
        "--port": "30000",
        "--model": model,
        "--kt-weight-path": model,
        "--kt-cpuinfer": str(threads),
        "--kt-threadpool-count": str(machine.nodes),
        "--kt-num-gpu-experts": "1",
        "--kt-method": "AMXINT4",
        "--kt-gpu-prefill-token-threshold": "4096",
        "--attention-backend": "flashinfer",
        "--mem-fraction-static": "0.98",
        "--chunked-prefill-size": "4096",
        "--max-running-requests": "32",
        "--max-total-tokens": "40000",
        "--watchdog-timeout": "3000",
        "--tensor-parallel-size": str(machine.gpus or 1),
    }
    found = {**defaults, **given}
    argv = [python, "-m", "sglang.launch_server"]
    argv += [word for name, value in found.items() for word in (name, value)]
    argv += [*_ALWAYS, "--enable-p2p-check"]
    if "--enable-shared-experts-fusion" not in switches:
        argv.append("--disable-shared-experts-fusion")
    if "FP8" in found["--kt-method"].upper():
        argv += ["--fp8-gemm-backend", "triton"]
    return [*argv, *rest]


def _parsed(
    words: Sequence[str],
) -> tuple[dict[str, str], list[str], list[str], list[str]]:
    """Its own options by sglang's names, other flags unchanged, words without a flag, switches."""
    given: dict[str, str] = {}
    rest: list[str] = []
    positional: list[str] = []
    switches: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if name in _OPTIONS and (equals or left):
            given[_OPTIONS[name]] = value if equals else left.pop(0)
        elif word in _SWITCHES:
            switches.append(word)
        elif word.startswith("-"):
            rest.append(word)
            while left and not left[0].startswith("-"):
                rest.append(left.pop(0))
        else:
            positional.append(word)
    return given, rest, positional, switches
