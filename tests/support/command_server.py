"""A process that has imported what `ktjob` commands import, and forks for each command.

The child is a process of its own, with the arguments, environment, folder and streams of that
command, and with nothing in memory that another command did; only the 0.3 s of imports are shared.
Run by `support.commands`: `python command_server.py SOCKET`, the number of a connected socket.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import pkgutil
import signal
import socket
import sys
from typing import TextIO

PACKAGES = ("ktclient.cli.jobs", "ktclient.cli.render", "ktclient.cli.setup", "ktclient.planning")
MODULES = (
    *("ktclient.cli.ktjob", "ktclient.submission.enqueue", "ktclient.submission.followup"),
    *("ktclient.batch.enqueue", "ktclient.servers.probe", "ktclient.servers.starting"),
    *("ktclient.servers.turn_marks", "ktclient.documents.collection", "jobs.store.store"),
    *("jobs.store.files.schema", "jobs.runner.start", "jobs.processes.detach"),
    *("jobs.system.logout", "jobs.upkeep.log_rotation", "httpx2", "httpcore2", "rich.console"),
)


def load() -> None:
    """Import what the commands have in common."""
    gc.disable()
    names = list(MODULES)
    for package in map(importlib.import_module, PACKAGES):
        names += [
            one.name for one in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
        ]
    for name in names:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    gc.enable()


def serve(line: socket.socket) -> list[str] | None:
    """Fork for each command until nobody asks any more. Returns in the child with its arguments,
    and with None in the server at its end."""
    while True:
        message, fds, _, _ = socket.recv_fds(line, 1 << 20, 4)
        if not message:
            return None
        pid = os.fork()
        if pid == 0:
            line.close()
            return become(json.loads(message), fds)
        for fd in fds:
            os.close(fd)
        os.waitpid(pid, 0)  # it only forks


def become(asked: dict[str, object], fds: list[int]) -> list[str]:
    """Become the command, in a child of a grandchild, which says how it ended."""
    if os.fork():
        os._exit(0)
    *streams, report = fds
    if pid := os.fork():
        for fd in (0, 1, 2, *streams):
            os.close(fd)
        _, status = os.waitpid(pid, 0)
        os.write(report, str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    os.close(report)
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
        os.close(fd)
    environment, argv, folder = asked["environment"], asked["argv"], asked["folder"]
    assert isinstance(environment, dict) and isinstance(argv, list) and isinstance(folder, str)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin = stream(0, "r", sys.stdin)
    sys.stdout, sys.stderr = stream(1, "w", sys.stdout), stream(2, "w", sys.stderr)
    return argv


def stream(fd: int, mode: str, like: TextIO) -> TextIO:
    """As Python opened the server's own."""
    raw = open(fd, f"{mode}b", closefd=False)  # noqa: SIM115 - no path, and until the end
    return io.TextIOWrapper(raw, like.encoding, like.errors, write_through=mode == "w")


def main() -> None:
    del sys.path[0]  # the folder of this file, whose modules have common names
    number = int(sys.argv[1])
    load()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    argv = serve(socket.socket(fileno=number))
    if argv is not None:
        sys.argv[:] = ["ktjob", *argv]
        sys.path.insert(0, os.getcwd())  # as `python -m` does
        from ktclient import programs

        programs.ktjob()


if __name__ == "__main__":
    main()
