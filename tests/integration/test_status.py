"""`ktjob status` and `--watch` as people meet them: on a terminal, in a pipe, in a dumb one."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.patience import HANG_SECONDS

from jobs.model import Capacity, NewJob, Outcome
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.prompts.tasks import task
from ktclient.submission.spec import JobSpec

KTJOB = [sys.executable, "-m", "ktclient", "status"]
ENTER, LEAVE = b"\x1b[?1049h\x1b[?25l", b"\x1b[?25h\x1b[?1049l"
SOMEWHERE = ["--in", "documents"]
ANSI = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")


def new(title: str) -> NewJob:
    spec = JobSpec(task(True, None, None), "http://127.0.0.1:9", None, 10, 60.0)
    return NewJob("http://127.0.0.1:9", spec.to_json(), b"text", title)


@pytest.fixture
def store(state: StateDir) -> Iterator[Store]:
    """A queue with a runner that does nothing: we hold its lock."""
    lock = identity.hold(state.runner_lock)
    assert lock is not None
    with Store.open(state) as store:
        yield store
    lock.release()


def put(store: Store, *titles: str) -> list[str]:
    jobs = store.submit_all([new(title) for title in titles], Capacity(slots=100))
    return [job.id for job in jobs]


class Terminal:
    """One that a command runs on, and all that it has shown."""

    def __init__(self, *args: str, size: tuple[int, int] = (24, 80), **environment: str) -> None:
        self.fd, theirs = pty.openpty()
        self.resize(*size)
        given = {**os.environ, "TERM": "xterm", **environment}
        for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
            given.pop(name, None) if name not in environment else None
        self.process = subprocess.Popen(
            [*KTJOB, *args], stdin=theirs, stdout=theirs, stderr=theirs, env=given
        )
        os.close(theirs)
        self.shown = b""

    def resize(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def until(self, condition: Callable[[bytes], object]) -> None:
        give_up = time.monotonic() + HANG_SECONDS
        while not condition(self.shown):
            assert time.monotonic() < give_up, self.shown
            if select.select([self.fd], [], [], 1.0)[0]:
                self.shown += os.read(self.fd, 65536)

    def end(self) -> int:
        give_up = time.monotonic() + HANG_SECONDS
        while time.monotonic() < give_up:
            try:
                got = os.read(self.fd, 65536)
            except OSError:  # EIO: the last who had the other end has gone
                break
            self.shown += got
        return self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.fd)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    started: list[Terminal] = []

    def start(*args: str, **options: object) -> Terminal:
        started.append(Terminal(*args, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_a_pipe_gets_plain_lines_and_a_terminal_colours(
    store: Store, terminal: Callable[..., Terminal], state: StateDir
) -> None:
    """No escape in a pipe or under NO_COLOR; nothing wider than the terminal."""
    put(store, "红楼梦 " * 40, "b.txt")
    with closing(sqlite3.connect(state.database)) as database, database:
        # As old as days: their ages stay the same while the test runs.
        database.execute("UPDATE jobs SET created_at = '2026-01-01T00:00:00.000Z'")
    piped = subprocess.run(KTJOB, capture_output=True, check=True).stdout
    assert b"\x1b" not in piped and "红楼梦 " * 39 in piped.decode()
    coloured = terminal()
    assert coloured.end() == 0 and b"\x1b[1mID" in coloured.shown
    plain = terminal(NO_COLOR="1")
    assert plain.end() == 0 and b"\x1b" not in plain.shown
    assert ANSI.sub(b"", coloured.shown) == plain.shown
    forced = subprocess.run(
        KTJOB, capture_output=True, check=True, env={**os.environ, "FORCE_COLOR": "1"}
    )
    assert ANSI.sub(b"", forced.stdout) == piped != forced.stdout


def test_watching_draws_anew_what_has_changed_and_leaves_the_last_table(
    store: Store, terminal: Callable[..., Terminal], state: StateDir
) -> None:
    """Resized on the way; Ctrl-C ends it with 0, the terminal as it was."""
    first, *_ = put(store, *(f"{number}.txt" for number in range(50)))
    watch = terminal("-w", size=(10, 80))
    watch.until(lambda shown: b"and 43 more: 43 queued" in shown)
    held = identity.hold(state.worker_lock(first))  # else it counts as dead
    assert held is not None
    store.claim(first, identity.mine())
    watch.until(lambda shown: b"RUNNING" in shown)
    watch.resize(30, 100)
    watch.until(lambda shown: b"and 23 more" in shown)
    store.finish(first, 1, Outcome.SUCCEEDED, None, None)
    watch.until(lambda shown: b"SUCCEEDED" in shown)
    watch.process.send_signal(signal.SIGINT)
    assert watch.end() == 0
    drawn, _, last = watch.shown.rpartition(LEAVE)
    assert drawn.count(ENTER) == 1 and LEAVE not in drawn
    assert b"SUCCEEDED" in last and last.count(b"QUEUED") >= 20
    held.release()


@pytest.mark.promise
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_it_gives_the_terminal_back(
    store: Store, terminal: Callable[..., Terminal], number: signal.Signals
) -> None:
    """With the cursor shown, and ended by that signal."""
    watch = terminal("--watch")
    watch.until(lambda shown: b"no jobs yet" in shown)
    watch.process.send_signal(number)
    assert watch.end() == -number
    assert watch.shown.count(ENTER) == watch.shown.count(LEAVE) == 1


def test_stopped_and_continued_it_draws_again(
    store: Store, terminal: Callable[..., Terminal], until: Callable[..., object]
) -> None:
    """Ctrl-Z gives the terminal back, `fg` takes it again."""
    put(store, "a.txt")
    watch = terminal("-w")
    watch.until(lambda shown: b"a.txt" in shown)
    watch.process.send_signal(signal.SIGTSTP)
    watch.until(lambda shown: LEAVE in shown)
    me = identity.of(watch.process.pid)
    assert me is not None
    until(lambda: identity.is_stopped(me))
    watch.process.send_signal(signal.SIGCONT)
    watch.until(lambda shown: b"a.txt" in shown.rpartition(ENTER)[2] and shown.count(ENTER) == 2)


def test_one_job_is_watched_to_its_end(store: Store, terminal: Callable[..., Terminal]) -> None:
    """And what is left is all of it."""
    (job,) = put(store, "a.txt")
    watch = terminal(job[:6], "-w")
    watch.until(lambda shown: b"QUEUED" in shown)
    store.claim(job, identity.mine())
    store.finish(job, 1, Outcome.FAILED, "stream_cut", "it was cut")
    assert watch.end() == 0
    assert b"it was cut [stream_cut]" in watch.shown.rpartition(LEAVE)[2]


@pytest.mark.promise
@pytest.mark.parametrize("dumb", [True, False])
def test_where_nothing_can_be_drawn_again_each_change_is_a_line(
    store: Store, terminal: Callable[..., Terminal], dumb: bool
) -> None:
    """In a pipe and under TERM=dumb; never a control code. Of the parts of a job none."""
    first, second = put(store, "a.txt", "b.txt")
    if dumb:
        watch = terminal("-w", TERM="dumb")
    else:
        watch = terminal("-w")
        watch.close()
        watch.fd, pipe = os.pipe()
        watch.process = subprocess.Popen([*KTJOB, "-w"], stdout=pipe)
        os.close(pipe)
        watch.shown = b""
    watch.until(lambda shown: b"b.txt" in shown)
    store.claim(first, identity.mine())
    store.finish(first, 1, Outcome.FAILED, "stream_cut", "it was cut")
    (third,) = put(store, "c.txt")
    watch.until(lambda shown: b"c.txt" in shown)
    watch.process.send_signal(signal.SIGINT)
    watch.process.wait()
    assert watch.process.returncode == 0 and b"\x1b" not in watch.shown
    said = [line.split()[2:4] for line in watch.shown.decode().replace("^C", "").splitlines()]
    assert said == [
        [first, "QUEUED"],
        [second, "QUEUED"],
        [first, "RUNNING"],
        [first, "FAILED"],
        [third, "QUEUED"],
    ]
    assert b"a.txt  stream_cut" in watch.shown


def test_it_is_for_people(store: Store) -> None:
    """For programs there are events."""
    done = subprocess.run([*KTJOB, "-w", "--json"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "") and "ktjob events --follow" in done.stderr


def test_looking_at_nothing_makes_nothing(tmp_path: Path) -> None:
    """Not even a folder; and in JSON it is an empty list."""
    done = subprocess.run([*KTJOB, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [] and not (tmp_path / "state").exists()


def test_lists_and_searches(store: Store, terminal: Callable[..., Terminal]) -> None:
    """In a table as wide as the terminal, in JSON, and how many more there are."""
    ids = put(store, *(f"{number}-红楼梦.txt" for number in range(5)), "other.txt")
    ktjob = [*KTJOB[:-1], "list"]
    done = subprocess.run(
        [*ktjob, "--search", "红楼梦", "-n", "2", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    assert [job["id"] for job in told] == [ids[4], ids[3]] and "… and 3 more" in done.stderr
    assert told[0]["found"] == {"where": "document", "text": "4-红楼梦.txt"}
    plain = subprocess.run(
        [*ktjob, "--search", "红楼梦", "--state", "queued"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert plain.stdout.count("document: ") == 5 and not plain.stderr
    texts = [*ktjob, "--search", "TEX", "--in", "documents", "-n", "1", "--json"]
    done = subprocess.run(texts, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)[0]["found"] == {"where": "content", "text": "text"}
    assert done.stderr == "… and 5 more; show all with -n 0\n"
    none = subprocess.run([*ktjob, "--state", "ended"], capture_output=True, text=True, check=True)
    assert (none.stdout, none.stderr) == ("", "no job matches\n")
    for wrong in (
        ["--state", "asleep"],
        ["--since", "soon"],
        ["--search", " "],
        ["-n", "-1"],
        SOMEWHERE,
    ):
        assert subprocess.run([*ktjob, *wrong], capture_output=True, check=False).returncode == 2


def test_it_starts_without_the_drawing_library(store: Store) -> None:
    """rich takes 30 ms to import: the live line of `wait` needs it, a table does not."""
    put(store, "a.txt")
    code = (
        "import sys\n"
        "from ktclient.cli.ktjob import ktjob\n"
        "ktjob(sys.argv[1:], standalone_mode=False)\n"
        "print({'rich', 'openai', 'jsonschema'} & set(sys.modules), file=sys.stderr)\n"
    )
    for command in (["status"], ["list"], ["list", "--search", "a"]):
        argv = [sys.executable, "-c", code, *command]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        assert "a.txt" in done.stdout and done.stderr == "set()\n"
