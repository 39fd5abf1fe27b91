"""What one server is started with: the seam between profiles (which make it), doctor (which checks
it before minutes of loading) and the launcher (which runs it)."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LaunchPlan:
    """One server, ready to be started. Tokens, unless said otherwise."""

    profile: str
    engine: str
    """`sglang-kt` or `sglang`: whose rules and log lines hold."""
    version: str | None
    """Of the engine in the server's interpreter; None when unknown."""
    python: str
    """The server's interpreter, not ours."""
    model: str
    """Folder of the weights."""
    served_name: str
    host: str
    port: int
    prefix: tuple[str, ...]
    """What stands before the interpreter: numactl."""
    argv: tuple[str, ...]
    """From the interpreter on; never with a key in it, since a process list shows it."""
    environment: dict[str, str]
    """For the child only, over the caller's own."""
    context: int | None
    planned_pool: int | None
    """The KV pool that the plan expects (`max_total_num_tokens`); None when it cannot be known."""
    warmup_tokens: int
    """One prompt of at least so many makes lazy buffers and kernels before the first user pays for
    them: more than --kt-gpu-prefill-token-threshold."""
    gpus: int
    ready_seconds: float
    """How long a start may take."""

    @property
    def command(self) -> tuple[str, ...]:
        """All that is executed."""
        return (*self.prefix, *self.argv)

    @property
    def url(self) -> str:
        """Where this machine reaches it: its root, without /v1."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{host}:{self.port}"

    @property
    def weights(self) -> Path:
        """As a path."""
        return Path(self.model)

    def script(self) -> str:
        """As a shell script that does the same in the foreground."""
        exports = [
            f"export {name}={shlex.quote(value)}" for name, value in self.environment.items()
        ]
        return "\n".join(["#!/bin/sh", *exports, f"exec {shlex.join(self.command)}", ""])
