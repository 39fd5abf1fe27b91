"""Run the user's own ssh, with the user's configuration, agent and ControlMaster.

`[hosts.NAME]` of config.toml may name the `address` for ssh, the path of `ktjob` there, and the
`ssh` command (a list). The remote command is fixed: no user input passes through a shell.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from jobs import child_environment
from ktclient.config import file as config_file
from ktclient.config.settings import Settings
from ktclient.errors import BadInput, BadSetting

_DEFAULTS = {"serveraliveinterval": ("0", "5"), "connecttimeout": ("none", "15")}
"""Options: the ssh default, and ktjob's value, which ends a dead connection within 15 s. A value in
the user's configuration takes precedence (`ssh -G`, ssh_config(5))."""
_NAME = re.compile(r"[^\s\0-][^\s\0]*")
_SECONDS = 10.0
BEGIN_SECONDS = 120.0
BEGIN_WITH_USER_SECONDS = 900.0
"""How long a connection may take until ktjob there answers; more where ssh may ask for a password
on the terminal. Before that only `ConnectTimeout` bounds it, which ends with the login."""
MOST_WORDS_BYTES = 16 << 20
"""Of ssh's messages, which include all that the other side writes to stderr."""
_LAST_WORDS_BYTES = 64 << 10
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Host:
    """How to reach a machine."""

    name: str
    address: str
    ktjob: str | None
    ssh: tuple[str, ...]
    may_ask: bool = True
    """Whether ssh may ask for a password on the terminal."""

    def argv(self) -> list[str]:
        """The complete ssh command. Raises `BadInput` if ssh cannot be run."""
        return [*self.ssh, "-T", *self._options(), self.address, self.remote_command()]

    def remote_command(self) -> str:
        if self.ktjob is not None:
            return f"exec {shlex.quote(self.ktjob)} at-your-service"
        return 'exec "$SHELL" -lc "exec ktjob at-your-service"'  # sh, bash, zsh, fish, csh alike

    def _options(self) -> list[str]:
        configured = {**_parse(self.ssh, self.address)}
        found = [
            word
            for name, (unset, ours) in _DEFAULTS.items()
            if configured.get(name, unset) == unset
            for word in ("-o", f"{name}={ours}")
        ]
        return found if self.may_ask and sys.stderr.isatty() else ["-o", "BatchMode=yes", *found]


def host(name: str, settings: Settings) -> Host:
    """The host of a name. Raises `BadInput` for an invalid host name, `BadSetting` for an invalid
    table."""
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} is not a valid host name")
    table, path = settings.tables.get("hosts", {}).get(name, {}), settings.config_file
    where = f"hosts.{name}"
    if not isinstance(table, Mapping):
        raise BadSetting(f"{path}: [{where}] must be a table")
    config_file.check_keys(table, {"address", "ktjob", "ssh"}, where, path)
    ssh = table.get("ssh", ["ssh"])
    if not isinstance(ssh, list) or not ssh or not all(isinstance(one, str) for one in ssh):
        raise BadSetting(f"{path}: {where}.ssh must be a list of strings, not {ssh!r}")
    address = config_file.text(table, "address", where, path) or name
    if not _NAME.fullmatch(address):
        raise BadSetting(f"{path}: {where}.address: {address!r} is not a valid host name")
    return Host(name, address, config_file.text(table, "ktjob", where, path), tuple(ssh))


def configured(settings: Settings) -> list[str]:
    """The names of the hosts in the configuration, in their order."""
    return list(settings.tables.get("hosts", {}))


def _parse(ssh: tuple[str, ...], address: str) -> dict[str, str]:
    """ssh's effective options, by the user's configuration; empty if ssh does not answer in
    time."""
    try:
        asked = subprocess.run(
            [*ssh, "-G", address],
            env=child_environment.inherited(),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except OSError as error:
        raise BadInput(f"{ssh[0]} cannot be run: {error.strerror or error}") from None
    except subprocess.TimeoutExpired:
        return {}
    lines = asked.stdout.decode(errors="replace").splitlines()
    return {name: value for name, _, value in (line.partition(" ") for line in lines)}


class Link:
    """One ssh process: its input, its output, and its own messages. It is ended if these have no
    end, or if ktjob does not begin there in time; or if it does not end in time (`limit`, by
    `time.monotonic`)."""

    def __init__(
        self, host: Host, limit: float = math.inf, begin_seconds: float | None = None
    ) -> None:
        self.has_begun = threading.Event()
        self.has_flooded = False
        """Whether it was ended because of its messages."""
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()
        self._process = subprocess.Popen(
            host.argv(),
            env=child_environment.inherited(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self.to: IO[bytes] = self._process.stdin
        self.back: IO[bytes] = self._process.stdout
        self._limit, self._begin_seconds = limit, begin_seconds
        self._is_over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _watch(self) -> None:
        patience = BEGIN_WITH_USER_SECONDS if sys.stderr.isatty() else BEGIN_SECONDS
        limit = time.monotonic() + (self._begin_seconds or patience)
        while not self._is_over.wait(_LOOK_SECONDS):
            self.has_flooded = os.fstat(self._words.fileno()).st_size > MOST_WORDS_BYTES
            now = time.monotonic()
            is_late = now > self._limit or (not self.has_begun.is_set() and now > limit)
            if self.has_flooded or is_late:
                self._process.kill()
                return

    def end(self) -> tuple[int, str]:
        """Close the connection. Returns ssh's exit code and its messages."""
        self._is_over.set()
        self._watcher.join()
        with contextlib.suppress(OSError):
            self.to.close()
        try:
            code = self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            code = self._process.wait()
        self.back.close()
        size = self._words.seek(0, os.SEEK_END)
        self._words.seek(max(0, size - _LAST_WORDS_BYTES))
        said = self._words.read(_LAST_WORDS_BYTES).decode(errors="replace").strip()
        self._words.close()
        return code, said
