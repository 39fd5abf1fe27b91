"""The same day's work with each tool on the same server: `python tests/bench/peers/story.py`.

    apt-get install task-spooler jq curl
    python -m venv /tmp/llm && /tmp/llm/bin/pip install llm==0.36
    python -m venv /tmp/litellm && /tmp/litellm/bin/pip install litellm==1.108.7
    python tests/bench/peers/story.py --llm /tmp/llm --litellm /tmp/litellm

For docs/why.md; not in CI. Thirty summaries of a folder, two at a time; five are cancelled, one of
which is being read; the terminal is closed; the programs that hold requests are killed; then all of
the tool's processes are, as a reboot does. What is lost is begun again. Then another question about
a document, one summary with a changed question, all answers in one file, a search, and all on
another machine (a second home directory). The server is the scripted one of this repository: it
takes 3 s to read any document, where a real one takes minutes, and it notes each request that it
begins to read. Everything that is typed, and what it printed, is in the log.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.peers import terminal, tools
from bench.peers.terminal import Terminal
from fake_sglang.process import FakeServer, fake_sglang

DOCUMENTS = 30
CHARACTERS = 400_000
"""Of each: about 100,000 tokens."""
CANCELLED = 5
IDLE_SECONDS = 20.0
"""So long without a request at the server: nothing more comes. llm takes seconds to start on two
busy cores."""
LOOKS = 15
"""At the processes, within about three seconds."""
LIMIT_SECONDS = 400.0
ANSWER = "The harbour silted up, the ferry was moved, and the town paid for both over forty years."
WORD = "silted"
SERVER = (
    *("--prefill-seconds", "3", "--token-seconds", "0.05", "--answer", ANSWER),
    *("--ghost", "off", "--tokens-per-char", "0.27"),
)
"""Tokens as DeepSeek V4 counts this text; an aborted request ends as it does upstream."""


@dataclass
class Row:
    """What is counted of one step."""

    step: str
    lines: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        return f"{self.step:<34} {self.lines:>5} {self.seconds:>7.1f} s  {'; '.join(self.notes)}"


class Story:
    """One tool's day."""

    def __init__(self, tool: tools.Tool, server: FakeServer, log: Path) -> None:
        self.tool, self.server, self.log = tool, server, log
        self.rows: list[Row] = []
        path = f"{tool.programs}{os.pathsep}{os.environ['PATH']}"
        kept = {name: os.environ[name] for name in ("LANG", "TZ") if name in os.environ}
        self.environment = {**kept, "HOME": str(tool.folder), "PATH": path, **tool.environment()}
        self.terminal = Terminal(tool.folder, self.environment)

    def tell(self) -> list[Row]:
        for number in range(1, DOCUMENTS + 1):
            _write_document(self.tool.folder / "docs" / f"{number:02}.txt", number)
        (self.tool.folder / "out").mkdir()
        prepared = Row("written first (lines)", self.tool.prepare())
        self.rows.append(prepared)
        self._start()
        self._cancel()
        self._close()
        self._kill_one()
        self._kill_all()
        self._afterwards()
        return self.rows

    def _row(self, step: str, lines: Sequence[str] = ()) -> Row:
        row = Row(step)
        self.rows.append(row)
        self._type(row, lines)
        return row

    def _type(self, row: Row, lines: Sequence[str]) -> str:
        said = ""
        for line in lines:
            said, seconds = self.terminal.type(line)
            row.lines += 1
            row.seconds += seconds
            with self.log.open("a", encoding="utf-8") as log:
                log.write(
                    f"\n[{self.tool.name}: {row.step}] {seconds:.1f} s\n$ {line}\n{said[:4000]}\n"
                )
        return said

    def _start(self) -> None:
        row = self._row("1 thirty summaries", self.tool.start())
        self._until_done(2)
        row.notes.append(self._processes())
        self._row("2 what each does, time left", self.tool.look())

    def _processes(self) -> str:
        """The most processes that were seen in some seconds, and their memory."""
        seen = []
        for _ in range(LOOKS):
            pids = terminal.living(self.tool.folder)
            seen.append((len(pids), terminal.memory(pids)))
            time.sleep(0.2)
        count, size = max(seen)
        return f"{count} processes, {size:.0f} MB"

    def _being_read(self) -> list[str]:
        """The documents that the server reads now, the newest last."""
        ended = {event["n"] for event in self.server.events("finished")}
        begun = [event["n"] for event in self.server.events("prefill_started")]
        bodies = {
            n: (self.server.record / f"{n:04}.json").read_bytes() for n in begun if n not in ended
        }
        found = [re.search(rb"Report (\d+):", body) for body in bodies.values()]
        return [f"{int(one[1]):02}" for one in found if one is not None]

    def _wanted(self) -> set[str]:
        return self.tool.documents() - self.cancelled

    def _cancel(self) -> None:
        left = sorted(self.tool.documents() - self.tool.done())
        while not (reading := self._being_read()):
            time.sleep(0.05)
        self.cancelled = {reading[-1], *left[-CANCELLED + 1 :]}
        wasted = self._wasted()
        row = self._row("3 cancel five", self.tool.cancel(sorted(self.cancelled)))
        time.sleep(1)  # the server notices a closed connection
        row.notes.append(f"{self._wasted() - wasted} requests ended at the server")
        self._until_done(len(self.tool.done()) + 2)

    def _close(self) -> None:
        before, wasted = self.tool.done(), self._wasted()
        row = self._row("4 the terminal is closed")
        self.terminal.close()
        self._until_idle_or(len(before) + 4)
        self.terminal = Terminal(self.tool.folder, self.environment)
        self._resume(row, len(before) + 4, wasted)

    def _kill_one(self) -> None:
        wasted = self._wasted()
        while not (
            (reading := self._being_read())
            and (holders := terminal.connected(self.tool.folder, self.server.port))
        ):
            time.sleep(0.05)
        goal = len(self.tool.done()) + 6
        row = self._row("5 kill -9 of what holds requests")
        terminal.kill(holders)
        self._until_idle_or(goal)
        if not set(reading) <= self.tool.done():
            self._until_idle_or(goal + 2)  # the tool may take others first
        lost = set(reading) - self.tool.done() - set(self._being_read())
        row.notes.append(f"{len(lost)} not sent again by itself")
        self._resume(row, goal, wasted)

    def _kill_all(self) -> None:
        wasted = self._wasted()
        assert self.tool.done() < self.tool.documents(), "nothing is left to be killed"
        while not self._being_read():
            time.sleep(0.05)
        row = self._row("6 kill -9 of all processes")
        terminal.kill(terminal.living(self.tool.folder))
        self._until_idle_or(len(self._wanted()))
        self._resume(row, len(self._wanted()), wasted, is_last=True)

    def _resume(self, row: Row, goal: int, wasted: int, *, is_last: bool = False) -> None:
        """Begin what was lost again, if it was; and what that took."""
        count = len(self.tool.done() - self.cancelled)
        missing = sorted(self._wanted() - self.tool.done())
        if is_last or (count < goal - 1 and not self._is_working()):
            row.notes.append(f"{len(missing)} not continued by itself")
        while missing and (is_last or not self._is_working()):
            self._type(row, self.tool.resume(missing))
            self._until_idle_or(goal)
            left = sorted(self._wanted() - self.tool.done())
            if not is_last or left == missing:
                break
            missing = left
        row.notes.append(f"{self._wasted() - wasted} prefills paid for nothing")

    def _afterwards(self) -> None:
        have = sorted(self.tool.done() & self._wanted())
        self.rows.append(
            Row("  summaries in the end", 0, 0, [f"{len(have)} of {len(self._wanted())}"])
        )
        self._row("7 another question on a document", self.tool.ask(have[2], "Who paid?"))
        self._row("8 one again, changed question", self.tool.rerun(have[3], "In which years?"))
        row = self._row("9 all answers in one file", self.tool.collect())
        text = (self.tool.folder / "answers.md").read_text(encoding="utf-8")
        asked = "with" if "In which years?" in text else "without"
        row.notes.append(f"{text.count(WORD)} answers, {asked} their questions")
        self._row("10 search them", self.tool.search(WORD))
        other = self.tool.folder.with_name(self.tool.folder.name + "-other")
        other.mkdir()
        row = self._row("11 to another machine", self.tool.move(other))
        shutil.rmtree(self.tool.folder / "docs")
        self._row("12 search there", [self.tool.found_there(other, WORD)])

    def _running(self) -> int:
        begun = len(self.server.events("request"))
        return begun - len(self.server.events("finished"))

    def _wasted(self) -> int:
        """Prefills that were begun and whose request ended without an answer."""
        ended = [
            e for e in self.server.events("finished") if e.get("reason") not in ("stop", "length")
        ]
        begun = {e["n"] for e in self.server.events("prefill_started")}
        return len([e for e in ended if e["n"] in begun])

    def _is_working(self) -> bool:
        if not self.tool.has_daemon:
            return bool(terminal.living(self.tool.folder))
        end = time.monotonic() + IDLE_SECONDS
        while time.monotonic() < end:
            if self._running():
                return True
            time.sleep(0.1)
        return False

    def _until_done(self, count: int) -> None:
        end = time.monotonic() + LIMIT_SECONDS
        while len(self.tool.done()) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.tool.name}: no {count} answers")
            time.sleep(0.3)

    def _until_idle_or(self, count: int) -> None:
        end = time.monotonic() + LIMIT_SECONDS
        while len(self.tool.done() - self.cancelled) < count and self._is_working():
            if time.monotonic() > end:
                raise TimeoutError(f"{self.tool.name}: no {count} answers")
            time.sleep(0.3)


def _write_document(path: Path, number: int) -> None:
    path.parent.mkdir(exist_ok=True)
    line = f"Report {number}: the harbour, the ferry and the town, entry by entry. "
    path.write_text((line * (CHARACTERS // len(line) + 1))[:CHARACTERS], encoding="utf-8")


def main() -> None:
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    asked.add_argument("--llm", type=Path, help="virtual environment with llm")
    asked.add_argument("--litellm", type=Path, help="virtual environment with litellm")
    asked.add_argument("--log", type=Path, default=Path("story.log"))
    asked.add_argument("--only", help="one tool's name")
    given = asked.parse_args()
    here = Path(sys.executable).parent
    chosen: list[tuple[type[tools.Tool], Path]] = [(tools.Ktjob, here), (tools.TaskSpooler, here)]
    if given.llm is not None:
        programs = given.llm.resolve() / "bin"
        chosen += [(tools.TaskSpoolerLlm, programs), (tools.Llm, programs)]
    if given.litellm is not None:
        chosen.append((tools.LiteLlm, given.litellm.resolve() / "bin"))
    given.log.unlink(missing_ok=True)
    for kind, programs in chosen:
        if given.only in (None, kind.name):
            with tempfile.TemporaryDirectory(prefix="peers-", ignore_cleanup_errors=True) as folder:
                _one(kind, programs, Path(folder), given.log)


def _one(kind: type[tools.Tool], programs: Path, folder: Path, log: Path) -> None:
    home = folder / "home"
    home.mkdir()
    with fake_sglang(folder, *SERVER) as server:
        tool = kind(home, server.url, programs)
        story = Story(tool, server, log)
        began = time.monotonic()
        try:
            story.tell()
        finally:
            print(f"\n{tool.version()}: {time.monotonic() - began:.0f} s in all")
            print(f"{'step':<34} {'lines':>5} {'seconds':>9}")
            print("\n".join(row.text() for row in story.rows), flush=True)
            story.terminal.close()
            terminal.kill(terminal.living(home) + terminal.living(home.with_name("home-other")))


if __name__ == "__main__":
    main()
