"""`ktjob serve-remote`: the server side of `ktjob --host`, on stdin and stdout of an ssh session.

The command is registered under its old name, by which versions of ktjob call each other.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import click

from jobs import private_folder
from ktclient._version import __version__
from ktclient.cli import exit_codes
from ktclient.cli.remote import stream_marks
from ktclient.remote import frames
from ktclient.remote.frames import Cut


class _Framed(io.RawIOBase):
    """A stream that writes its bytes as frames; they are dropped when the connection is gone."""

    def __init__(self, wire: BinaryIO, kind: bytes, lock: threading.Lock) -> None:
        self._wire, self._kind, self._lock = wire, kind, lock

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        body = bytes(data)  # type: ignore[call-overload]
        with self._lock, contextlib.suppress(OSError):
            for start in range(0, len(body), frames.BLOCK):
                frames.write(self._wire, self._kind, body[start : start + frames.BLOCK])
        return len(body)


@click.command("at-your-service", hidden=True)
@click.pass_context
def at_your_service(context: click.Context) -> int:
    """Internal: server side of --host, started over ssh."""
    group = context.find_root().command
    wire_in, wire_out = sys.stdin.buffer, sys.stdout.buffer
    with contextlib.ExitStack() as undo:
        try:
            wire_out.write(frames.MAGIC)
            hello = {"protocol": frames.PROTOCOL, "version": __version__}
            frames.write_record(wire_out, frames.HELLO, {**hello})
            argv = _arrived(wire_in, undo)
        except (Cut, OSError):
            return exit_codes.FAILED  # the connection is gone; files received so far are deleted
        code = _run(group, argv, wire_in, wire_out)
    # If the client does not get this frame, it connects again.
    with contextlib.suppress(OSError):
        frames.write_record(wire_out, frames.EXIT, {"code": code})
    os._exit(0)  # the thread that waits for the link's end holds stdin's lock


def _arrived(wire: BinaryIO, undo: contextlib.ExitStack) -> list[str]:
    """Receive the command. Returns its arguments.

    Its files are written to a temporary folder, which becomes the current one; `undo` deletes it.
    Raises `Cut` unless everything arrived complete.
    """
    os.umask(0o077)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
    kind, body = frames.read(wire)
    request = frames.record(body)
    argv, names = request.get("argv"), request.get("files")
    if kind != frames.REQUEST or not _are_words(argv) or not _are_words(names):
        raise Cut("no request")
    assert isinstance(argv, list) and isinstance(names, list)
    if names:
        folder = undo.enter_context(tempfile.TemporaryDirectory(prefix="ktjob-"))
        undo.callback(os.chdir, Path.cwd())
        os.chdir(folder)
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise Cut("a file name that leaves the folder")
        private_folder.make(Path(path).parent)
        with Path(path).open("xb") as file:
            frames.receive_file(wire, file)
    if frames.read(wire)[0] != frames.GO:
        raise Cut("no start signal")
    return argv


def _are_words(given: object) -> bool:
    return isinstance(given, list) and all(isinstance(w, str) and "\0" not in w for w in given)


def _leave(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _run(group: click.Command, argv: list[str], wire_in: BinaryIO, wire_out: BinaryIO) -> int:
    lock = threading.Lock()

    def text(kind: bytes) -> io.TextIOWrapper:
        raw = io.BufferedWriter(_Framed(wire_out, kind, lock))
        return io.TextIOWrapper(
            raw, encoding="utf-8", errors="surrogatepass", newline="", write_through=False
        )

    def tell(mark: dict[str, object]) -> None:
        sys.stdout.flush()
        with lock, contextlib.suppress(OSError):
            frames.write_record(wire_out, frames.MARK, mark)

    old = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = text(frames.OUT), text(frames.SAID)
    stream_marks.to(tell)
    main = threading.get_ident()
    threading.Thread(target=_interrupt_at_end, args=(wire_in, main), daemon=True).start()
    try:
        return exit_codes.code_of_command(group, "ktjob", argv)
    finally:
        with contextlib.suppress(ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        sys.stdout, sys.stderr = old


def _interrupt_at_end(wire: BinaryIO, main: int) -> None:
    """When the client is gone, interrupt the command like Ctrl-C: that never ends a job."""
    while wire.read(1):
        continue
    signal.pthread_kill(main, signal.SIGINT)
