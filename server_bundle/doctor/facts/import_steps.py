"""Runs inside/imports.py in the server's interpreter, bounded in time and output.

The script is started in a session of its own with a variable in its environment that no other
process has; at the end every process with that variable is killed, whatever session it is in. Of
what it prints, the end is kept. A step that ends the process, or takes too long, counts as failed,
and the script is started again with the steps after it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs import child_environment, known_secrets, parsing
from server_bundle.doctor.facts import inside_script

_SCRIPT = "imports"
_MARK = "KTSERVER_DOCTOR_CHECK"
_KEPT_BYTES = 16_384
_REPORT_BYTES = 4_000_000
"""The most that is read of the results: dozens of steps with their tracebacks."""
_LOOK_SECONDS = 0.5
_KILL_SECONDS = 5.0


@dataclass(frozen=True)
class Step:
    """One thing that a start does. `name` says it to people."""

    name: str
    kind: str
    argument: Any


@dataclass(frozen=True)
class Outcome:
    """How a step ended. `lines`: the end of its traceback or message, empty where it succeeded."""

    step: Step
    seconds: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    absent: str | None = None
    """The module whose absence raised ModuleNotFoundError."""
    died: int | None = None
    """The exit status if the process ended in this step; -4 for SIGILL."""
    is_late: bool = False
    """Whether it was killed because it took too long."""
    is_skipped: bool = False
    """Whether no time was left for it."""

    @property
    def is_good(self) -> bool:
        return not (self.lines or self.is_late or self.is_skipped or self.died is not None)


@dataclass(frozen=True)
class Limits:
    """Times in seconds. The first import of sgl_kernel unpacks a gigabyte."""

    step: float = 180.0
    total: float = 480.0
    deaths: int = 4
    """After this many ends of the process the rest is not tried."""


LIMITS = Limits()
OnStep = Callable[[Step, float], None]


def run(
    python: str,
    steps: Sequence[Step],
    environment: Mapping[str, str],
    limits: Limits,
    on_step: OnStep,
) -> list[Outcome]:
    """Run all steps; `on_step` is called about twice a second. Raises OSError when there is no such
    interpreter, and KeyboardInterrupt, after all that was started has been killed."""
    found: list[Outcome] = []
    until = time.monotonic() + limits.total
    deaths = 0
    while len(found) < len(steps):
        if deaths >= limits.deaths or time.monotonic() >= until:
            found += [Outcome(one, 0.0, is_skipped=True) for one in steps[len(found) :]]
            break
        one = _Run(python, steps[len(found) :], environment, limits, until)
        found += one.outcomes(on_step)
        deaths += 1
    return found


class _Run:
    """One start of the script."""

    def __init__(
        self,
        python: str,
        steps: Sequence[Step],
        environment: Mapping[str, str],
        limits: Limits,
        until: float,
    ) -> None:
        self._steps, self._limits, self._until = steps, limits, until
        self._mark = uuid.uuid4().hex
        self._tail, self._told, self._left = b"", b"", _REPORT_BYTES
        self._found: list[Outcome] = []
        self._began = time.monotonic()
        self._results, report = os.pipe()
        try:
            self._process = subprocess.Popen(
                [python, "-W", "ignore", "-c", inside_script.text(_SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**child_environment.inherited(environment), _MARK: self._mark},
                start_new_session=True,
                pass_fds=(report,),
            )
        except OSError:
            os.close(self._results)
            raise
        finally:
            os.close(report)
        self._give(report)

    def _give(self, report: int) -> None:
        steps = [[number, one.kind, one.argument] for number, one in enumerate(self._steps)]
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"report": report, "steps": steps}).encode())
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def outcomes(self, on_step: OnStep) -> list[Outcome]:
        """Follow it to its end, and kill what it has started."""
        is_late = False
        try:
            while len(self._found) < len(self._steps):
                step = self._steps[len(self._found)]
                spent = time.monotonic() - self._began
                on_step(step, spent)
                if spent > self._limits.step or time.monotonic() > self._until:
                    is_late = True
                    break
                ended = self._process.poll() is not None
                if not self._read(0.0 if ended else _LOOK_SECONDS) and ended:
                    break
        finally:
            self._end()
        if len(self._found) < len(self._steps):
            self._found.append(self._broken(is_late))
        return self._found

    def _read(self, seconds: float) -> bool:
        """Read once what there is, after at most so long; whether there was anything. A process
        that was left behind may hold the pipes, so their end proves nothing, nor its absence."""
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        ready, _, _ = select.select([self._results, output], [], [], seconds)
        pieces = {one: os.read(one, 65_536) for one in ready}
        self._results_are(pieces.get(self._results, b""))
        self._tail = (self._tail + pieces.get(output, b""))[-_KEPT_BYTES:]
        if ready and seconds and not any(pieces.values()):
            time.sleep(_LOOK_SECONDS / 10)  # both pipes have ended, and the process soon will
        return any(pieces.values())

    def _results_are(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._left < 0:
            return
        *lines, self._told = (self._told + piece).split(b"\n")
        for line in lines:
            told = parsing.of_json(line.decode(errors="replace"))
            number = int(told["step"])
            if told["state"] in ("done", "failed") and number == len(self._found):
                self._found.append(_outcome(self._steps[number], told))
                self._began = time.monotonic()

    def _broken(self, is_late: bool) -> Outcome:
        """The step in which the process ended or was killed."""
        step, seconds = self._steps[len(self._found)], time.monotonic() - self._began
        said = known_secrets.hide_foreign(self._tail.decode(errors="replace"))
        lines = tuple(one[:600] for one in said.splitlines() if one.strip())[-40:]
        if is_late:
            return Outcome(step, seconds, lines=lines, is_late=True)
        return Outcome(step, seconds, lines=lines, died=self._process.returncode)

    def _end(self) -> None:
        """Kill the process, its group, and all that carry its mark."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILL_SECONDS)
        until = time.monotonic() + _KILL_SECONDS
        while (left := _marked(self._mark)) and time.monotonic() < until:
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        self._read_rest()
        os.close(self._results)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read_rest(self) -> None:
        """What is left in the pipes: each holds 64 KiB."""
        for _ in range(64):
            if not self._read(0.0):
                return


def _outcome(step: Step, told: Mapping[str, Any]) -> Outcome:
    seconds = float(told["seconds"])
    if told["state"] == "done":
        return Outcome(step, seconds, facts=dict(told["facts"]))
    lines = tuple(known_secrets.hide_foreign(str(one)) for one in told["lines"])
    absent = told.get("absent")
    return Outcome(step, seconds, lines=lines or ("failed",), absent=absent and str(absent))


def _marked(mark: str) -> list[int]:
    """The processes of this user that have the mark in their environment and still run."""
    wanted = f"{_MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found
