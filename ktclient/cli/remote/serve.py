"""`ktjob at-your-service`: the far end of `ktjob --host`, on stdin and stdout of an ssh session."""

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

from ktclient._version import __version__
from ktclient.cli import exit_codes
from ktclient.cli.remote import stream_marks
from ktclient.remote import frames
from ktclient.remote.frames import Cut


class _Framed(io.RawIOBase):
    """A stream whose bytes become frames. When the link is gone they go nowhere."""

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
    """The far end of --host: started by it over ssh, for programs only."""
    group = context.find_root().command
    wire_in, wire_out = sys.stdin.buffer, sys.stdout.buffer
    with contextlib.ExitStack() as undo:
        try:
            wire_out.write(frames.MAGIC)
            hello = {"protocol": frames.PROTOCOL, "version": __version__}
            frames.write_record(wire_out, frames.HELLO, {**hello})
            argv = _arrived(wire_in, undo)
        except (Cut, OSError):
            return exit_codes.FAILED  # nobody hears; what had come goes with the folder
        code = _run(group, argv, wire_in, wire_out)
    # Whoever hears nothing of it asks again.
    with contextlib.suppress(OSError):
        frames.write_record(wire_out, frames.EXIT, {"code": code})
    os._exit(0)  # the thread that waits for the link's end holds stdin's lock


def _arrived(wire: BinaryIO, undo: contextlib.ExitStack) -> list[str]:
    """The command, its files in a folder that is the current one, and gone in the end. Raises
    `Cut` unless everything came whole."""
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
            raise Cut("a name that leads elsewhere")
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("xb") as file:
            frames.receive_file(wire, file)
    if frames.read(wire)[0] != frames.GO:
        raise Cut("no word to begin")
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
    """Nobody listens any more: as Ctrl-C does, which ends a command and never a job."""
    while wire.read(1):
        continue
    signal.pthread_kill(main, signal.SIGINT)
