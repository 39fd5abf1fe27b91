"""Makes the pictures in this folder: what the commands print on a terminal, over a real small run.

    python docs/screenshots/make.py [FOLDER]

The server is the tests' double; the runner, the workers and every line are the product's own.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from fake_sglang.process import fake_sglang  # noqa: E402 - found through the line above
from rich.console import Console  # noqa: E402
from rich.text import Text  # noqa: E402
from support import processes  # noqa: E402

from jobs.store.state_dir import StateDir  # noqa: E402

COLUMNS = 128
ANSWER = "Crossings were cancelled for fog, for a broken shaft, and once for a wedding."
PATIENCE = 60.0


class Desk:
    """A folder with documents, a state directory, and a terminal to type at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "state"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KTJOB_")}
        self.environment = {
            **kept,
            "KTJOB_HOME": str(self.home),
            "KTJOB_CONFIG": str(folder / "config"),
            "TERM": "xterm-256color",
        }
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
            self.environment.pop(name, None)
        (folder / "config").mkdir()
        (folder / "config" / "config.toml").write_text("[server]\nparallel = 1\n")
        shutil.copy(ROOT / "examples" / "report.txt", folder)
        shutil.copy(ROOT / "tests/data/hongloumeng-opening.txt", folder / "红楼梦.txt")

    def quiet(self, *args: str) -> str:
        """Run a command in a pipe. Returns what it says on stdout."""
        command = [sys.executable, "-m", "ktclient", *args]
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self.environment,
            cwd=self.folder,
        )
        return done.stdout.strip()

    def typed(self, line: str) -> str:
        """What stands on a terminal after a command was typed there."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
        program, *args = shlex.split(line)
        assert program == "ktjob"
        with subprocess.Popen(
            [sys.executable, "-m", "ktclient", *args],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=self.environment,
            cwd=self.folder,
        ) as process:
            os.close(theirs)
            shown = _all_of(ours)
            process.wait(PATIENCE)
        # What was drawn over is gone from a terminal: the lines of the spinner.
        text = re.sub("[^\n]*[\u2801-\u28ff][^\n]*\n?", "", shown.decode().replace("\r\n", "\n"))
        text = text.replace(str(self.home), "~/.local/state/ktjob")
        return f"\x1b[1m$ {line}\x1b[0m\n{text}"


def _all_of(terminal: int) -> bytes:
    shown = b""
    while True:
        try:
            got = os.read(terminal, 65536)
        except OSError:  # EIO: the last who had the other end has gone
            got = b""
        if not got:
            os.close(terminal)
            return shown
        shown += got


def picture(name: str, text: str) -> str:
    """An SVG of that text, colours and all."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text.rstrip("\n")), soft_wrap=False)
    return console.export_svg(title="ktjob", unique_id=name)


def run(desk: Desk, fast: str, slow: str) -> dict[str, str]:
    """Do what there is to see. Returns what was seen, by the picture's name."""
    desk.environment["KTJOB_SERVER"] = fast
    told = {"check": desk.typed("ktjob check report.txt")}
    ask = 'ktjob submit report.txt --ask "Why were crossings cancelled?" --label ferry'
    told["submit"] = desk.typed(ask)
    first = json.loads(desk.quiet("status", "--json"))[0]["id"]
    desk.quiet("wait", first)
    failed = desk.quiet("submit", "-q", "report.txt", "--label", "ferry")
    desk.quiet("wait", failed)
    running = desk.quiet("submit", "-q", "红楼梦.txt", "--server", slow)
    desk.quiet("submit", "-q", "红楼梦.txt", "--ask", "黛玉是谁?", "--server", slow)
    until_read(desk, running)
    told["status"] = desk.typed("ktjob status")
    told["list"] = desk.typed('ktjob list --search "broken shaft" --since 2d')
    told["show"] = desk.typed(f"ktjob show {failed}")
    return told


def until_read(desk: Desk, job: str) -> None:
    """Until the server has read a part of it."""
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        if (json.loads(desk.quiet("status", job, "--json"))["done"] or 0) > 100:
            return
        time.sleep(0.5)  # a status is a process of half a second: no event tells of progress
    raise TimeoutError(f"{job} did not get on within {PATIENCE} s")


def main(out: Path) -> None:
    """Make all pictures."""
    with tempfile.TemporaryDirectory(prefix="ktjob-") as name:
        folder = Path(name)
        desk = Desk(folder)
        quick = ("--answer", ANSWER, "--fault", "none,cut_midway,cut_midway")
        slowly = ("--prefill-seconds", "120", "--chunk", "64")
        with fake_sglang(folder, *quick) as fast, fake_sglang(folder, *slowly) as slow:
            try:
                told = run(desk, fast.url, slow.url)
            finally:
                processes.end_all(StateDir(desk.home))
    out.mkdir(parents=True, exist_ok=True)
    for one, text in told.items():
        (out / f"{one}.svg").write_text(picture(one, text), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
