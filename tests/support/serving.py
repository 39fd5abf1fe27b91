"""Servers started by `ktserver` in a state directory of a test: the scripted one, by a plan."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from fake_sglang.process import SCRIPT, FakeServer

from jobs.model import Identity
from jobs.store.state_dir import StateDir
from server_bundle.launch import process_tree, registry, server_state
from server_bundle.launch.registry import Observed
from server_bundle.launch.server_folder import ServerFiles
from server_bundle.launch.server_state import ServerState
from server_bundle.plan.launch_plan import LaunchPlan
from support.patience import HANG_SECONDS

SUPPORT = Path(__file__).parent
SECONDS = HANG_SECONDS
KTSERVER = [sys.executable, "-c", "from ktclient.cli.ktserver import main; main()"]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@dataclass(frozen=True)
class Lab:
    """One state directory, and what `ktserver` is run with."""

    state: StateDir
    constants: tuple[str, ...] = ()
    """MODULE:NAME=NUMBER, set in keepers."""

    def plan(self, *options: str, name: str = "fake", **changes: Any) -> LaunchPlan:
        """The scripted server with these options. Its record, by which its processes are found
        when the test ends, is in the state directory."""
        port = changes.pop("port", None) or free_port()
        record = self.record(name)
        record.mkdir(parents=True, exist_ok=True)
        argv = (
            *(sys.executable, str(SCRIPT), "--port", str(port), "--record", str(record)),
            *("--log", "/dev/stderr", *options),
        )
        plan = LaunchPlan(
            profile=name,
            engine="sglang-kt",
            version="0.7.2",
            python=sys.executable,
            model="/models/fake",
            served_name="DeepSeek-V4-Flash",
            host="127.0.0.1",
            port=port,
            prefix=(),
            argv=argv,
            environment={},
            context=1_048_576,
            planned_pool=964_864,
            warmup_tokens=2048,
            gpus=0,
            ready_seconds=SECONDS,
        )
        return replace(plan, **changes)

    def file(self, plan: LaunchPlan) -> str:
        """As `--plan` takes it."""
        path = self.state.root / f"{plan.profile}-{plan.port}.json"
        path.write_text(json.dumps(asdict(plan)))
        return str(path)

    def environment(self) -> dict[str, str]:
        found = dict(os.environ)
        if self.constants:
            found["KTJOB_PACE"] = ",".join(self.constants)
            found["PYTHONPATH"] = str(SUPPORT / "pacing")
        return found

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """One command to its end."""
        return subprocess.run(
            [*KTSERVER, *args],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def up(self, plan: LaunchPlan, *args: str) -> subprocess.CompletedProcess[str]:
        """Without the doctor: this machine has neither GPU nor weights."""
        return self.run("up", "--plan", self.file(plan), "--no-check", *args)

    @contextmanager
    def starting(self, *args: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
        """One command that goes on."""
        process = subprocess.Popen(
            [*KTSERVER, *args],
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def record(self, name: str = "fake") -> Path:
        return self.state.root / "records" / name

    def engine(self, name: str = "fake") -> FakeServer:
        """What the scripted server recorded of itself."""
        url = self.note(name).url
        return FakeServer(url, self.record(name), None)  # type: ignore[arg-type]

    def files(self, name: str = "fake") -> ServerFiles:
        return registry.files_of(self.state.servers, name)

    def note(self, name: str = "fake") -> ServerState:
        found = server_state.read(self.files(name))
        assert found is not None
        return found

    def seen(self, name: str = "fake") -> Observed:
        found = registry.inspect(self.files(name))
        assert found is not None
        return found

    def state_of(self, name: str = "fake") -> str | None:
        found = registry.inspect(self.files(name))
        return found.state if found else None

    def log(self, name: str = "fake") -> str:
        return self.files(name).log.read_text(errors="replace")

    def living(self) -> list[Identity]:
        """Every process of the scripted servers: found by their command lines, not by what we
        noted of them."""
        found = []
        for one in _all():
            try:
                command = Path(f"/proc/{one.pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(part.startswith(os.fsencode(self.state.root / "records")) for part in command):
                found.append(one)
        return found


def _all() -> list[Identity]:
    return [process.identity for process in process_tree._living().values()]
