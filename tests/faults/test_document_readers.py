"""The process that reads a document ends with the command that started it, however that ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.model import Identity
from jobs.processes import identity

Until = Callable[..., object]
MISREADING = Path(__file__).parents[1] / "support" / "misreading"
PARAGRAPHS = 100_000
"""A page that keeps a reader busy for seconds."""
READ = "import sys; from ktclient.documents import document; print(document.read(sys.argv[1]).text)"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_text("<!DOCTYPE html><html><body>" + "<p>It was a dark night.</p>" * PARAGRAPHS)
    return path


@contextlib.contextmanager
def reading(*command: str, until: Until) -> Iterator[tuple[subprocess.Popen[str], Identity]]:
    """A command in a process group of its own, and the reader that it has started."""
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process, until(lambda: reader_of(process.pid))  # type: ignore[misc]
    finally:
        process.kill()
        process.communicate()


def reader_of(parent: int) -> Identity | None:
    """The reader, once it is told what to read: after its exec."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    for child in map(int, children):
        with contextlib.suppress(OSError):
            if b"ktclient.documents.formats" in Path(f"/proc/{child}/cmdline").read_bytes():
                return identity.of(child)
    return None


def has_begun(reader: Identity) -> bool:
    """Whether it has set its limits, which it does after it is tied to its parent."""
    with contextlib.suppress(OSError):
        return "Max open files            64" in Path(f"/proc/{reader.pid}/limits").read_text()
    return False


@pytest.mark.promise
@pytest.mark.parametrize("when", ["at its start", "while it reads"])
def test_a_killed_command_leaves_no_reader(page: Path, until: Until, when: str) -> None:
    """`kill -9`. The reader is stopped, so that it does not end by itself."""
    with reading("-m", "ktclient", "check", str(page), until=until) as (command, reader):
        if when == "while it reads":
            until(lambda: has_begun(reader))
        os.kill(reader.pid, signal.SIGSTOP)
        until(lambda: identity.is_stopped(reader))
        command.kill()
        command.wait()
        with contextlib.suppress(ProcessLookupError):  # at its start it has to look itself
            if when == "at its start":
                os.kill(reader.pid, signal.SIGCONT)
        until(lambda: not identity.is_same_process_alive(reader))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_no_signal_to_a_command_leaves_a_reader(
    tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch, how: signal.Signals
) -> None:
    """Which computes in C, with Python's lock, for an hour."""
    monkeypatch.setenv("PYTHONPATH", str(MISREADING))
    page = tmp_path / "page.html"
    page.write_text("<html><!--sleep in C-->")
    with reading("-m", "ktclient", "check", str(page), until=until) as (command, reader):
        until(lambda: has_begun(reader))
        command.send_signal(how)
        _, errors = command.communicate()
        assert command.returncode == (130 if how is signal.SIGINT else -how)
        assert "Traceback" not in errors
        until(lambda: not identity.is_same_process_alive(reader))


@pytest.mark.parametrize("is_begun", [False, True])
def test_ctrl_c_at_a_terminal_ends_both(page: Path, until: Until, is_begun: bool) -> None:
    """It reaches both, and neither shows a traceback."""
    with reading("-m", "ktclient", "check", str(page), until=until) as (command, reader):
        if is_begun:
            until(lambda: has_begun(reader))
        os.killpg(command.pid, signal.SIGINT)
        out, errors = command.communicate()
        assert (command.returncode, out) == (130, "") and "Traceback" not in errors
        until(lambda: not identity.is_same_process_alive(reader))


def test_both_are_stopped_and_continue(page: Path, until: Until) -> None:
    """Ctrl-Z and fg in the middle: the text is whole."""
    with reading("-c", READ, str(page), until=until) as (command, reader):
        until(lambda: has_begun(reader))
        one = identity.of(command.pid)
        assert one is not None
        os.killpg(command.pid, signal.SIGSTOP)
        until(lambda: identity.is_stopped(reader) and identity.is_stopped(one))
        os.killpg(command.pid, signal.SIGCONT)
        out, errors = command.communicate()
        assert command.returncode == 0, errors
        assert out.count("It was a dark night.") == PARAGRAPHS


@pytest.mark.promise
def test_a_reader_has_no_variable_but_paths_and_language(
    page: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what the kernel says of a real one."""
    monkeypatch.setenv("KTJOB_API_KEY", "a-key-of-the-test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another secret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    with reading("-c", READ, str(page), until=until) as (_, reader):
        environment = Path(f"/proc/{reader.pid}/environ").read_bytes()
    names = {one.partition(b"=")[0].decode() for one in environment.split(b"\0") if one}
    assert "LANG" in names and names <= {
        *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH"),
        *("PYTHONPATH", "PYTHONHOME", "PYTHONUTF8", "PYTHONPYCACHEPREFIX"),
    }
