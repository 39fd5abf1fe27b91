"""Starts the scripted server as a process, and reads what it recorded.

with fake_sglang(tmp_path, "--prefill-seconds", "1") as server:
    ...
    server.wait_for_event("prefill_ended", n=1)
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.patience import HANG_SECONDS

from fake_sglang import hold

SCRIPT = Path(__file__).with_name("sglang.py")
LOOK_SECONDS = 0.01
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class FakeServer:
    """One running server. `record` holds its requests, its events and its stderr."""

    url: str
    record: Path
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        """Where it listens, to start another one there."""
        return int(self.url.rpartition(":")[2])

    def events(self, kind: str | None = None, **details: Any) -> list[dict[str, Any]]:
        """All events so far, in order; or those of one kind and with these details."""
        path = self.record / "events.jsonl"
        whole = path.read_text(encoding="utf-8") if path.exists() else ""
        # The last line may be in the making: only what ends with a line end counts.
        lines = whole[: whole.rfind("\n") + 1].splitlines()
        wanted = details if kind is None else {"kind": kind, **details}
        found = [json.loads(line) for line in lines]
        return [event for event in found if wanted.items() <= _comparable(event)]

    def hold(self) -> None:
        """From now on no chunk and no word ends, until `let_go` or `step`: for a test that does
        something in the middle of a request, however slow the machine is."""
        hold.write(self.record / "hold", 0)

    def step(self, count: int = 1) -> None:
        """Let so many more of them end, each of them after its own time."""
        path = self.record / "hold"
        hold.write(path, hold.read(path) + count)

    def let_go(self) -> None:
        """The opposite of `hold`; nothing happens where nothing is held."""
        (self.record / "hold").unlink(missing_ok=True)

    def requests(self) -> list[dict[str, Any]]:
        """The body of every chat request, in order of arrival."""
        paths = sorted(self.record.glob("[0-9]*.json"))
        return [json.loads(path.read_bytes()) for path in paths]

    def wait_for_event(
        self, kind: str, seconds: float = HANG_SECONDS, **details: Any
    ) -> dict[str, Any]:
        """The first event of this kind with these details; AssertionError when none comes."""
        end = time.monotonic() + seconds
        while True:
            found = self.events(kind, **details)
            if found:
                return found[0]
            if time.monotonic() > end:
                seen = "\n".join(map(str, self.events()))
                raise AssertionError(f"no {kind} {details} within {seconds} s; seen:\n{seen}")
            time.sleep(LOOK_SECONDS)


def _comparable(event: dict[str, Any]) -> set[tuple[str, Any]]:
    return {(key, value) for key, value in event.items() if not isinstance(value, list)}


@contextmanager
def fake_sglang(tmp_path: Path, *options: str) -> Iterator[FakeServer]:
    """A server with these options (`options.py`), on a free port unless they name one."""
    record = Path(tempfile.mkdtemp(prefix="fake-sglang-", dir=tmp_path))
    command = [sys.executable, str(SCRIPT), "--port", "0", "--record", str(record), *options]
    with (record / "stderr").open("w", encoding="utf-8") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
    with process:
        try:
            yield FakeServer(_read_url(process, record), record, process)
        finally:
            _stop(process)


def _read_url(process: subprocess.Popen[str], record: Path) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("listening on "):
        said = (record / "stderr").read_text(encoding="utf-8")
        raise RuntimeError(f"the scripted server did not start: {line!r}\n{said}")
    return line.removeprefix("listening on ").strip()


def _stop(process: subprocess.Popen[str]) -> None:
    """End this one process, and only this one."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
