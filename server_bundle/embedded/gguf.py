"""The plan of a server for any GGUF file, by the llama.cpp that is installed for the embedded one.

It becomes a server like every other of `ktserver`: supervised, with a log, in `ktserver status`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from jobs import extras, parsing, program
from server_bundle.embedded import server
from server_bundle.errors import EmbeddedNotInstalled, PlanRefused
from server_bundle.plan.launch_plan import LaunchPlan

PROFILE = "gguf"
ENGINE = "llama.cpp"
PORT = 40001
"""The first port at which ktjob looks for a server that nothing names."""
LOADING = "llama.cpp: loading"
READY = "llama.cpp: ready"
"""How the process's own lines in the log begin."""
READY_SECONDS = 1800.0
"""30 minutes allow for a slow disk, as for every other server."""
_MAGIC = b"GGUF"
"""The first bytes of the format (ggml/docs/gguf.md)."""
_MOST_KEY_BYTES = 10_000
_MOST = 2**31 - 1
"""The largest value of llama.cpp's settings: 32-bit integers (include/llama.h)."""


@dataclass(frozen=True)
class Wanted:
    """The options of `ktserver up --gguf` as typed; None if not given."""

    file: str
    context: int | None = None
    gpu_layers: int | None = None
    parallel: int | None = None
    host: str | None = None
    port: int | None = None
    name: str | None = None
    """The model's name for clients."""


def plan(wanted: Wanted, key: Path | None) -> LaunchPlan:
    """The launch plan of a file. `key` is the file with the server's key, as `key_file` writes it.

    Raises `EmbeddedNotInstalled` without llama.cpp, and `PlanRefused` for a file that is none of
    its models and for options that cannot be.
    """
    if not server.is_installed():
        raise EmbeddedNotInstalled(
            f"llama.cpp is not installed. Install it with: {extras.command('embedded')}"
        )
    file = checked(wanted.file)
    for option, value, least in (
        ("--context", wanted.context, 256),
        ("--gpu-layers", wanted.gpu_layers, 0),
        ("--parallel", wanted.parallel, 1),
    ):
        if value is not None and value < least:
            raise PlanRefused(f"{option} must be at least {least:,}")
    parallel = wanted.parallel or 1
    if (wanted.context or 1) * parallel > _MOST:
        raise PlanRefused(f"--context times --parallel must be at most {_MOST:,}, llama.cpp's most")
    if (wanted.gpu_layers or 0) > _MOST:
        raise PlanRefused(f"--gpu-layers must be at most {_MOST:,}, llama.cpp's most")
    host, port = wanted.host or "127.0.0.1", wanted.port or PORT
    name = wanted.name or file.stem
    words = ["--gguf", str(file), "--name", name, "--host", host, "--port", str(port)]
    words += ["--parallel", str(parallel)]
    if wanted.context is not None:
        words += ["--context", str(wanted.context)]
    if wanted.gpu_layers is not None:
        words += ["--gpu-layers", str(wanted.gpu_layers)]
    if key is not None:
        words += ["--key-file", str(key)]
    return LaunchPlan(
        profile=PROFILE,
        engine=ENGINE,
        version=None,
        python=sys.executable,
        model=str(file),
        served_name=name,
        host=host,
        port=port,
        prefix=(),
        argv=(*program.command("server_bundle.embedded.gguf_process"), *words),
        environment=dict(server.ENVIRONMENT),
        context=wanted.context,
        planned_pool=None,
        warmup_tokens=0,
        gpus=0,
        ready_seconds=READY_SECONDS,
    )


def checked(name: str) -> Path:
    """The file, as an absolute path. Raises `PlanRefused` if it is missing or no GGUF file."""
    file = Path(name).expanduser().absolute()
    try:
        with file.open("rb") as opened:
            magic = opened.read(len(_MAGIC))
    except OSError as error:
        raise PlanRefused(f"cannot read --gguf {name}: {error.strerror or error}") from None
    if magic != _MAGIC:
        raise PlanRefused(
            f"--gguf {name} is not a GGUF file: it does not begin with the letters GGUF. Most "
            "models have a repository with GGUF files beside the one of their publisher"
        )
    return file


def doubts(wanted: Wanted) -> list[str]:
    """What to say before the start. Loads llama.cpp if layers are to be on a GPU."""
    if not wanted.gpu_layers:
        return []
    from server_bundle.embedded import parameters

    if parameters.has_gpu():
        return []
    return [
        "--gpu-layers has no effect: the installed llama.cpp (xllamacpp) sees no GPU. The wheel of "
        "PyPI is for CPUs; its project publishes others for CUDA, ROCm and Vulkan"
    ]


def key_in(file: Path) -> str:
    """The key in a file of `key_file.write`. Raises `OSError` and `ValueError`."""
    _, _, value = parsing.read_text(file, _MOST_KEY_BYTES).partition(":")
    key: object = parsing.of_json(value)
    if not isinstance(key, str):
        raise ValueError(f"{file} holds no key")
    return key
