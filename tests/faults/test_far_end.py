"""Another machine that answers `ktjob --host` with anything: a program here stands for its ssh.

Each answer is refused in words, with an exit code, in bounded memory, and nothing that controls the
terminal comes through.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.patience import HANG_SECONDS

from jobs import parsing
from ktclient.cli.remote import replies
from ktclient.remote import call, frames

DEEP = b"[" * (parsing.LEVELS + 2) + b"]" * (parsing.LEVELS + 2)


def frame(kind: bytes, body: bytes) -> bytes:
    return kind + len(body).to_bytes(4, "big") + body


def hello(body: bytes = b'{"protocol": 1, "version": "0.1.0"}') -> bytes:
    return frames.MAGIC + frame(frames.HELLO, body)


def ended(code: object = 0) -> bytes:
    return frame(frames.EXIT, json.dumps({"code": code}).encode())


def said(text: str, code: int = 0) -> bytes:
    """A whole answer with this output."""
    return hello() + frame(frames.OUT, text.encode()) + ended(code)


@dataclass
class Far:
    """The machine gpu1, whose answer to each connection is `sends`."""

    folder: Path

    def sends(self, *pieces: bytes, endless: bytes = b"", to: str = "stdout") -> None:
        (self.folder / "pieces").write_bytes(b"".join(pieces))
        script = (
            f"#!{sys.executable}\nimport pathlib, sys\n"
            "if sys.argv[1] == '-G': sys.exit()\n"
            f"pieces = pathlib.Path({str(self.folder / 'pieces')!r})\n"
            "sys.stdout.buffer.write(pieces.read_bytes())\n"
            f"sys.stdout.flush()\nmore = {endless!r}\n"
            f"while more: sys.{to}.buffer.write(more)\n"
            "sys.stdin.buffer.read()\n"
        )
        (self.folder / "ssh").write_text(script)
        (self.folder / "ssh").chmod(0o755)

    def run(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """ktjob here, with at most 600 MB of address space."""
        limited = f'ulimit -v 600000; exec {sys.executable} -m ktclient --host gpu1 "$@"'
        return subprocess.run(
            ["sh", "-c", limited, "sh", *words],
            input=b"",
            capture_output=True,
            check=False,
            timeout=HANG_SECONDS,
        )


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Far:
    here = tmp_path / "config"
    here.mkdir()
    (here / "config.toml").write_text(f'[hosts.gpu1]\nktjob = "x"\nssh = ["{tmp_path / "ssh"}"]\n')
    monkeypatch.setenv("KTJOB_CONFIG", str(here))
    return Far(tmp_path)


def refused(done: subprocess.CompletedProcess[bytes]) -> str:
    """The message; there is nothing else than a message and a code."""
    told = done.stderr.decode()
    assert done.returncode in (1, 2), told
    assert "Traceback" not in told and "\x1b" not in told
    assert done.stdout == b""
    return told


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (hello(b"{"), "not JSON"),
        (hello(b"[1]"), "not a JSON object"),
        (hello(b'{"protocol": 1, "version": ' + DEEP + b"}"), "nested more than 2 levels"),
        (hello(b'{"protocol": 1}'), "a greeting without a version"),
        (hello(b'{"protocol": true, "version": "1"}'), "a greeting without a version"),
        (hello(b'{"protocol": "1", "version": "1"}'), "a greeting without a version"),
        (hello(b'{"protocol": 1, "version": "1", "version": "2"}'), "a name twice"),
        (hello(b'{"protocol": ' + b"9" * 5000 + b', "version": "1"}'), "number that is too large"),
        (hello(b'{"protocol": 2, "version": "\\u001b[31m9\\u202e"}'), "ktjob [31m9 on gpu1"),
        (hello(b'{"protocol": 1, "version": NaN}'), "NaN is not a JSON number"),
        (frames.MAGIC + frame(frames.OUT, b"x"), "not JSON"),
        (frames.MAGIC + b"V\xff\xff\xff\xff", "a frame of 4,294,967,295 bytes"),
        (hello() + b"O\x7f\xff\xff\xff", "a frame of 2,147,483,647 bytes"),
        (hello() + frame(b"\x1b", b""), "a frame of no kind"),
        (hello() + frame(frames.MARK, b"{" * 9), "not JSON"),
        (hello() + frame(frames.MARK, b'"' + b"x" * 9000 + b'"'), "a frame of 9,002 bytes"),
        (hello() + ended("0"), "an end without an exit code"),
        (hello() + ended(True), "an end without an exit code"),
        (hello() + ended(256), "an end without an exit code"),
        (hello() + ended(-1), "an end without an exit code"),
        (hello() + ended(10**30), "an end without an exit code"),
        (hello() + frame(frames.EXIT, b"{}"), "an end without an exit code"),
    ],
)
def test_what_is_no_answer_is_refused_at_once(far: Far, answer: bytes, words: str) -> None:
    """An exit code of 256 would be a success."""
    far.sends(answer)
    assert words in refused(far.run("status"))


def test_output_without_end_is_refused(far: Far) -> None:
    """Of a command whose output is held until its end."""
    far.sends(hello(), endless=frame(frames.OUT, b"x" * frames.BLOCK))
    assert f"more than {replies.MOST_HELD_BYTES:,} bytes of output" in refused(far.run("list"))


def test_pieces_of_one_byte_take_no_more_memory_than_others(far: Far) -> None:
    """As a list, they would take sixty times as much."""
    far.sends(hello(), frame(frames.OUT, b"x") * 500_000, ended())
    done = far.run("list")
    assert (done.returncode, len(done.stdout)) == (0, 500_000)


def test_messages_without_end_are_refused(far: Far) -> None:
    """In frames, and on ssh's own stderr, which is kept in a file."""
    far.sends(hello(), endless=frame(frames.SAID, b"progress\n" * 7000))
    done = far.run("status")
    assert done.returncode == 1 and f"{call.MOST_SAID_BYTES:,} bytes of messages" in str(
        done.stderr
    )
    assert len(done.stderr) < 2 * call.MOST_SAID_BYTES
    far.sends(hello(), endless=b"motd\n" * 10_000, to="stderr")
    assert "messages without end" in refused(far.run("status"))


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ("not JSON\n", "an event without a number"),
        ("[1]\n", "an event without a number"),
        ('{"seq": "1"}\n', "an event without a number"),
        ('{"seq": NaN}\n', "an event without a number"),
        (DEEP.decode() + "\n", "an event without a number"),
    ],
)
def test_events_that_are_none_are_refused(far: Far, events: str, words: str) -> None:
    """Also one whose line never ends."""
    far.sends(said(events))
    assert words in refused(far.run("events", "--follow"))


def test_an_event_whose_line_has_no_end_is_refused(far: Far) -> None:
    """It is held until its line is complete."""
    far.sends(hello(), endless=frame(frames.OUT, b"x" * frames.BLOCK))
    assert "an event without end" in refused(far.run("events", "--follow"))


@pytest.mark.parametrize("ids", ["--help\n", "a;b\n", "\x1b[2Jabc\n", "", "x" * 65])
def test_an_id_that_is_none_is_sent_nowhere(far: Far, tmp_path: Path, ids: str) -> None:
    """It would be an argument of the next command."""
    (tmp_path / "story.txt").write_text("Once upon a time.")
    far.sends(said(ids))
    told = refused(far.run("submit", "--wait", "--quiet", str(tmp_path / "story.txt")))
    assert "no job's id" in told


@pytest.mark.parametrize("record", ["no JSON", "[1]", DEEP.decode(), '{"a": NaN}'])
def test_a_record_that_is_none_is_refused(far: Far, tmp_path: Path, record: str) -> None:
    """From Python."""
    program = (
        "from ktclient import RemoteJob, errors\n"
        "try: RemoteJob('abc', 'gpu1').status()\n"
        "except errors.HostTrouble as error: print(error)\n"
    )
    far.sends(said(record))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert b"the reply" in done.stdout and b"ktjob there is as new as this one" in done.stdout


def test_an_answer_controls_no_terminal(far: Far, tmp_path: Path) -> None:
    """Output and messages; a file gets what was sent."""
    evil = "\x1b]0;title\x07\x1b[2J\u202egnp.exe"
    far.sends(hello(), frame(frames.SAID, evil.encode()), frame(frames.OUT, evil.encode()), ended())
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "ktclient", "--host", "gpu1", "show", "abc"],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        check=False,
    )
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert done.returncode == 0 and "title" in shown
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    kept = tmp_path / "answer.txt"
    assert far.run("result", "-o", str(kept), "abc").returncode == 0
    assert kept.read_text() == evil + "\n"
