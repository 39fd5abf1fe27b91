"""The launch plan of one server: made from a profile, checked by the doctor before minutes of
loading, and run by the launcher."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LaunchPlan:
    """One server, ready to be started. Sizes are in tokens, unless stated otherwise."""

    profile: str
    engine: str
    """`sglang-kt` or `sglang`: it decides which rules and log lines apply."""
    version: str | None
    """Version of the engine in the server's interpreter; None when unknown."""
    python: str
    """The server's interpreter, not this process's."""
    model: str
    """The folder of the weights."""
    served_name: str
    host: str
    port: int
    prefix: tuple[str, ...]
    """Words before the interpreter, such as numactl."""
    argv: tuple[str, ...]
    """The command from the interpreter on. It never has a key: process lists show it."""
    environment: dict[str, str]
    """Variables for the server only; they override the caller's."""
    context: int | None
    planned_pool: int | None
    """The expected size of the KV pool (`max_total_num_tokens`); None when unknown."""
    warmup_tokens: int
    """Length of the warm-up prompt. It makes the server allocate lazy buffers and compile kernels
    before the first user's request: more than --kt-gpu-prefill-token-threshold."""
    gpus: int
    ready_seconds: float
    """How long a start may take."""
    planned_reserved: float | None = None
    """GiB that the server is expected to keep out of the pool on each GPU, for prefill of whole
    layers (`lazy_mxfp4_slot_reservation`); None when unknown."""

    @property
    def command(self) -> tuple[str, ...]:
        """The whole command line."""
        return (*self.prefix, *self.argv)

    @property
    def url(self) -> str:
        """The server's root URL for clients on this machine, without /v1."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{host}:{self.port}"

    @property
    def weights(self) -> Path:
        """The folder of the weights as a path."""
        return Path(self.model)

    def script(self) -> str:
        """A shell script that starts the same server in the foreground."""
        exports = [
            f"export {name}={shlex.quote(value)}" for name, value in self.environment.items()
        ]
        return "\n".join(["#!/bin/sh", *exports, f"exec {shlex.join(self.command)}", ""])
