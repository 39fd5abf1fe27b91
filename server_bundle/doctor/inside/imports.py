"""Does in the server's interpreter what a start does before it loads anything, step by step.

Standard input has one JSON object: `report`, a file descriptor for the results, and `steps`, a list
of [number, kind, argument]. Each step writes two lines of JSON to `report`: that it begins, and how
it ended. A step that fails does not stop the next one; a step that ends the process does, and the
doctor then starts this script again with the steps after it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ENVIRON = dict(os.environ)
"""Without keys: that of the plan, in which the doctor starts this program."""

_LINES, _LONGEST = 80, 600
"""How much of a traceback is reported."""
_COMPILE_SECONDS = 60
_ARGS = "sglang.srt.server_args"
_HF = "sglang.srt.utils.hf_transformers_utils"


class _Wrong(Exception):
    """A step found something wrong that raises nothing by itself."""


def _import(name: str) -> dict[str, Any]:
    module = importlib.import_module(name)
    if getattr(module, "__file__", None) is None:
        # In Python's own words for what is taken from such a package.
        raise _Wrong(f"ImportError: cannot import name 'x' from '{name}' (unknown location)")
    return {}


def _torch(_: Any) -> dict[str, Any]:
    torch = importlib.import_module("torch")
    available = bool(torch.cuda.is_available())
    return {
        "version": str(torch.__version__),
        "cuda": torch.version.cuda,
        "available": available,
        "count": int(torch.cuda.device_count()) if available else 0,
        "built": list(torch.cuda.get_arch_list()) if available else [],
    }


def _model(architecture: str) -> dict[str, Any]:
    """Import the module of sglang that has the model's class."""
    spec = importlib.util.find_spec("sglang")
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    for folder in folders:
        for path in sorted(Path(folder, "srt", "models").glob("*.py")):
            text = path.read_text(encoding="utf-8", errors="replace")
            if re.search(rf"^class {re.escape(architecture)}\b", text, re.M):
                name = f"sglang.srt.models.{path.stem}"
                importlib.import_module(name)
                return {"module": name}
    raise _Wrong(f"Model architectures ['{architecture}'] are not supported for now")


def _config(given: dict[str, Any]) -> dict[str, Any]:
    get = importlib.import_module(_HF).get_config
    found = get(given["model"], trust_remote_code=bool(given["trust"]))
    return {"class": type(found).__name__}


def _tokenizer(given: dict[str, Any]) -> dict[str, Any]:
    get = importlib.import_module(_HF).get_tokenizer
    found = get(given["model"], trust_remote_code=bool(given["trust"]))
    tokens = found.encode("The question: why?")
    if not tokens:
        raise _Wrong("ValueError: the tokenizer makes no tokens of a sentence")
    return {"tokens": len(tokens)}


def _arguments(argv: list[str]) -> dict[str, Any]:
    """The engine's own parser, which ends a process with a message for what it refuses."""
    parser = argparse.ArgumentParser(prog="sglang")
    importlib.import_module(_ARGS).ServerArgs.add_cli_args(parser)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            _, unknown = parser.parse_known_args(argv)
    except SystemExit:
        raise _Wrong(said.getvalue().strip().splitlines()[-1]) from None
    if unknown:
        raise _Wrong(f"sglang: error: unrecognized arguments: {' '.join(unknown)}")
    return {}


def _settings(argv: list[str]) -> dict[str, Any]:
    """What the engine makes of its arguments: it reads the model's configuration and refuses what
    contradicts it."""
    importlib.import_module(_ARGS).prepare_server_args(argv)
    return {}


def _compilers(given: dict[str, Any]) -> dict[str, Any]:
    """Compile an extension of Python as triton does, and an empty kernel as flashinfer does."""
    with tempfile.TemporaryDirectory(prefix="ktserver-doctor-") as folder:
        source = Path(folder, "x.c")
        source.write_text("#include <Python.h>\nint x(void) { return 0; }\n")
        headers = sysconfig.get_paths()["include"]
        compiler = next((one for one in given["cc"] if _runs([one, "--version"])), None)
        if compiler is None:
            raise _Wrong("RuntimeError: Failed to find C compiler. Please specify via CC")
        words = [compiler, "-shared", "-fPIC", f"-I{headers}", str(source), "-o", f"{folder}/x.so"]
        _compile(words)
        if given["nvcc"]:
            kernel = Path(folder, "k.cu")
            kernel.write_text("__global__ void k() {}\n")
            words = [given["nvcc"], "-c", str(kernel), "-o", f"{folder}/k.o", *given["nvcc_flags"]]
            _compile(words)
    return {"cc": compiler, "nvcc": given["nvcc"]}


def _runs(words: list[str]) -> bool:
    try:
        return (
            subprocess.run(
                words, env=_ENVIRON, capture_output=True, timeout=_COMPILE_SECONDS
            ).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def _compile(words: list[str]) -> None:
    done = subprocess.run(
        words, env=_ENVIRON, capture_output=True, text=True, timeout=_COMPILE_SECONDS
    )
    if done.returncode:
        lines = [one for one in (done.stderr + done.stdout).splitlines() if one.strip()]
        wrong = next(
            (one for one in lines if "error" in one or "fatal" in one), (lines or [""])[-1]
        )
        raise _Wrong(wrong or f"{words[0]} ended with exit code {done.returncode}")


_KINDS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "import": _import,
    "torch": _torch,
    "model": _model,
    "config": _config,
    "tokenizer": _tokenizer,
    "arguments": _arguments,
    "settings": _settings,
    "compilers": _compilers,
}


def _failure(trouble: BaseException) -> dict[str, Any]:
    if isinstance(trouble, _Wrong):
        lines = str(trouble).splitlines()
    else:
        lines = "".join(traceback.format_exception(trouble)).splitlines()
    name = trouble.name if isinstance(trouble, ModuleNotFoundError) else None
    return {"lines": [one[:_LONGEST] for one in lines[-_LINES:]], "absent": name}


def _main() -> None:
    given = json.loads(sys.stdin.buffer.read())
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    own, report = os.getpid(), int(given["report"])

    def tell(**words: Any) -> None:
        if os.getpid() != own:  # a fork that an import did not end: it must not report for us
            os._exit(0)
        left = memoryview((json.dumps(words) + "\n").encode())
        while left:
            left = left[os.write(report, left) :]

    for number, kind, argument in given["steps"]:
        tell(step=number, state="begun")
        began = time.monotonic()
        try:
            facts = {"facts": _KINDS[kind](argument), "state": "done"}
        except BaseException as trouble:
            facts = {**_failure(trouble), "state": "failed"}
        tell(step=number, seconds=round(time.monotonic() - began, 2), **facts)
    tell(step=-1, state="end")
    os._exit(0)  # without the libraries' own ends, which may hang


if __name__ == "__main__":
    _main()
