"""The command that `kt run` starts, worked out without running it.

By kt_kernel/cli/commands/run.py of kt-kernel 0.7.2 (0.6.2.post3 has the same defaults), for a
standard input that is no terminal and a ~/.ktransformers/config.yaml without settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

SHARE_OF_PROCESSORS = 0.8
"""Of the *logical* processors: hyperthreads count."""
_WHOLE = {
    "--port": "--port",
    "-p": "--port",
    "--gpu-experts": "--kt-num-gpu-experts",
    "--cpu-threads": "--kt-cpuinfer",
    "--tensor-parallel-size": "--tensor-parallel-size",
    "--tp": "--tensor-parallel-size",
    "--kt-gpu-prefill-threshold": "--kt-gpu-prefill-token-threshold",
    "--max-total-tokens": "--max-total-tokens",
    "--max-running-requests": "--max-running-requests",
    "--chunked-prefill-size": "--chunked-prefill-size",
    "--watchdog-timeout": "--watchdog-timeout",
}
"""Its options with a whole number -> sglang's flags."""
_TEXT = {
    "--host": "--host",
    "-H": "--host",
    "--weights-path": "--kt-weight-path",
    "--kt-method": "--kt-method",
    "--attention-backend": "--attention-backend",
    "--mem-fraction-static": "--mem-fraction-static",
    "--served-model-name": "--served-model-name",
}
"""The same with other values."""
_MODEL_PATH = "--model-path"
"""An option that it does not use: MODEL, or its own list of models, names the folder."""
_NODES = "--numa-nodes"
_SWITCHES = (
    *("--disable-shared-experts-fusion", "--enable-shared-experts-fusion", "--quantize", "-q"),
    *("--advanced", "--dry-run"),
)
_ASKED = ("--gpu-experts", "--tp", "--cpu-threads", _NODES, "--max-total-tokens")
"""If one of these is missing, it asks for the settings on a terminal."""


@dataclass(frozen=True)
class KtMachine:
    """What `kt run` reads of the machine."""

    processors: int
    """Logical ones."""
    nodes: int
    """NUMA nodes, those without processors included."""
    gpus: int
    """Those that CUDA_VISIBLE_DEVICES allows."""


@dataclass(frozen=True)
class Command:
    """What `kt run …` starts, and what is to be said about that. `model`: as it was typed."""

    argv: tuple[str, ...]
    model: str
    remarks: tuple[str, ...]


@dataclass
class _Parsed:
    """Options by sglang's names; words that it does not know, the model first among them."""

    given: dict[str, str] = field(default_factory=dict)
    nodes: list[str] = field(default_factory=list)
    switches: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)


def is_kt_run(words: Sequence[str]) -> bool:
    """Whether a command line is `kt run …`, with any path to kt."""
    return len(words) > 1 and words[0].rsplit("/", 1)[-1] == "kt" and words[1] == "run"


def command(words: Sequence[str], machine: KtMachine, python: str) -> Command:
    """The server that `kt run …` would start. Raises ValueError where it would start none."""
    parsed = _parse(words[2:])
    model = _model(parsed)
    found = _settings(parsed, machine, model)
    argv = [python, "-m", "sglang.launch_server"]
    argv += [word for name, value in found.items() for word in (name, value)]
    if len(parsed.nodes) > 1:
        argv += ["--kt-numa-nodes", *parsed.nodes]
    argv += ["--kt-enable-dynamic-expert-update", "--trust-remote-code", "--enable-mixed-chunk"]
    argv.append("--enable-p2p-check")
    if "--enable-shared-experts-fusion" not in parsed.switches:
        argv.append("--disable-shared-experts-fusion")
    if "FP8" in found["--kt-method"].upper():
        argv += ["--fp8-gemm-backend", "triton"]
    return Command((*argv, *parsed.unknown[1:]), model, tuple(_remarks(parsed, machine)))


def _settings(parsed: _Parsed, machine: KtMachine, model: str) -> dict[str, str]:
    """The flags with a value, in no particular order."""
    nodes = parsed.nodes
    defaults = {
        "--host": "0.0.0.0",
        "--port": "30000",
        "--model": model,
        "--kt-weight-path": model,
        "--kt-cpuinfer": str(int(machine.processors * SHARE_OF_PROCESSORS)),
        "--kt-threadpool-count": str(len(nodes) if len(nodes) > 1 else machine.nodes),
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
    if len(nodes) == 1:
        defaults["--kt-threadpool-count"] = nodes[0]
    return {**defaults, **parsed.given}


def _model(parsed: _Parsed) -> str:
    if parsed.names & {"--help", "-h"}:
        raise ValueError("`kt run --help` only prints its help")
    if parsed.names & {"--quantize", "-q"}:
        raise ValueError("`kt run --quantize` starts nothing: it says to use `kt quant`")
    if not parsed.unknown:
        raise ValueError("`kt run` without a model asks for one on a terminal: name it")
    model = parsed.unknown[0]
    if model.startswith("-"):
        raise ValueError(
            f"`kt run` takes the first word that it does not know, {model}, for the model: name "
            "the model before such flags"
        )
    return model


def _remarks(parsed: _Parsed, machine: KtMachine) -> list[str]:
    found = []
    missing = [name for name in _ASKED if name not in parsed.names]
    if missing:
        found.append(
            "compared with its defaults: on a terminal `kt run` asks for them, because "
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        )
    if _MODEL_PATH in parsed.names:
        found.append("`kt run` does not use its option --model-path")
    if "--tp" not in parsed.names:
        found.append(
            f"without --tp `kt run` takes all GPUs that it finds: here {machine.gpus or 1}"
        )
    return found


def _parse(words: Sequence[str]) -> _Parsed:
    """As click does, with options that it does not know among the words without a name."""
    found, left = _Parsed(), list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            found.unknown += left
            break
        name, equals, value = word.partition("=")
        if name in (*_WHOLE, *_TEXT, _NODES, _MODEL_PATH):
            if not equals and not left:
                raise ValueError(f"`kt run` refuses {name} without a value")
            _take(found, name, value if equals else left.pop(0))
        elif word in (*_SWITCHES, "--help", "-h"):
            found.switches.append(word)
            found.names.add(word)
        else:
            found.unknown.append(word)
    return found


def _take(found: _Parsed, name: str, value: str) -> None:
    found.names.add("--tp" if name == "--tensor-parallel-size" else name)
    if name in (*_WHOLE, _NODES) and not value.lstrip("+-").isdigit():
        raise ValueError(f"`kt run` refuses {name} {value!r}: it is not a whole number")
    if name == _NODES:
        found.nodes.append(value)
    elif name != _MODEL_PATH:
        found.given[_WHOLE.get(name) or _TEXT[name]] = value
