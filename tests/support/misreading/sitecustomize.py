"""In place of the HTML reader, in its real process: one that does what the page's comment says."""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
import types


def hoard() -> None:
    """Until no more is given."""
    kept = []
    while True:
        kept.append(bytearray(b"x" * 1_000_000))


def hoard_and_crash() -> None:
    """As a library in C that does not expect that it gets no memory."""
    global kept
    kept = []
    try:
        while True:
            kept.append(bytearray(b"x" * 1_000_000))
    except MemoryError:
        os.abort()


def spin() -> None:
    while True:
        pass


def spin_on() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGXCPU])
    spin()


def write_without_end(fd: int) -> None:
    while True:
        os.write(fd, b"x" * 65_536)


def say(words: bytes) -> None:
    os.write(1, words)
    os._exit(0)


def leave_a_child() -> None:
    """That has the pipes open, until nobody reads. Only root's reader may."""
    with contextlib.suppress(BlockingIOError):
        if os.fork() == 0:
            waiting = select.poll()
            waiting.register(1, 0)
            waiting.poll()
            os._exit(0)
    raise ValueError("with a child")


def close_all_and_sleep() -> None:
    for fd in range(3):
        os.close(fd)
    time.sleep(3600)


def fail_for_memory() -> None:
    print("terminate called after throwing an instance of 'std::bad_alloc'", file=sys.stderr)
    sys.stderr.flush()
    os.abort()


def raise_it(error: BaseException) -> None:
    raise error


DEEDS = {
    "sleep": lambda: time.sleep(3600),
    "sleep in C": lambda: ctypes.PyDLL(None).sleep(3600),  # with Python's lock
    "close all and sleep": close_all_and_sleep,
    "spin": spin,
    "spin on": spin_on,
    "hoard": hoard,
    "hoard and crash": hoard_and_crash,
    "bad_alloc": fail_for_memory,
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "exit": lambda: os._exit(3),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "ended": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "interrupted": lambda: os.kill(os.getpid(), signal.SIGINT),
    "flood": lambda: write_without_end(1),
    "flood of errors": lambda: write_without_end(2),
    "nothing": lambda: say(b""),
    "noise": lambda: say(b"noise\n\xff"),
    "nested": lambda: say(b"[" * 100_000),
    "no text": lambda: say(b'{"about": "1 word"}\n\xff'),
    "child": leave_a_child,
    "file": lambda: os.write(os.memfd_create("file"), b"x"),
    "files": lambda: [os.open("/", os.O_RDONLY) for _ in range(1000)],
    "import": lambda: raise_it(ImportError("libfoo.so: no such file")),
    "library": lambda: raise_it(ImportError("libfoo.so: failed to map segment")),
}


def read(body: bytes) -> tuple[str, str]:
    DEEDS[body.decode().partition("<!--")[2].partition("-->")[0]]()  # type: ignore[operator]
    return "text", "1 word"


if "ktclient.documents.formats" in sys.orig_argv:
    reader = types.ModuleType("ktclient.documents.formats.html")
    reader.read = read  # type: ignore[attr-defined]
    sys.modules[reader.__name__] = reader
