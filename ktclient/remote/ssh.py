"""The user's own ssh: his configuration, agent and ControlMaster, untouched.

`[hosts.NAME]` of config.toml may name the `address` for ssh, the path of `ktjob` there, and the
`ssh` command (a list). The remote command is fixed: nothing of the user's goes through a shell.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from ktclient.config import file as config_file
from ktclient.config.settings import Settings
from ktclient.errors import BadInput, BadSetting

_DEFAULTS = {"serveraliveinterval": ("0", "5"), "connecttimeout": ("none", "15")}
"""What ssh does by itself, and what ends a dead link within 15 s; where the user's configuration
says otherwise it stays (`ssh -G`, ssh_config(5))."""
_NAME = re.compile(r"[^\s\0-][^\s\0]*")
_SECONDS = 10.0


@dataclass(frozen=True)
class Host:
    """How to reach a machine."""

    name: str
    address: str
    ktjob: str | None
    ssh: tuple[str, ...]

    def argv(self) -> list[str]:
        """The whole command."""
        return [*self.ssh, "-T", *self._options(), self.address, self.remote_command()]

    def remote_command(self) -> str:
        if self.ktjob is not None:
            return f"exec {shlex.quote(self.ktjob)} at-your-service"
        return 'exec "$SHELL" -lc "exec ktjob at-your-service"'  # sh, bash, zsh, fish, csh alike

    def _options(self) -> list[str]:
        told = {**_told(self.ssh, self.address)}
        found = [
            word
            for name, (unset, ours) in _DEFAULTS.items()
            if told.get(name, unset) == unset
            for word in ("-o", f"{name}={ours}")
        ]
        return found if sys.stderr.isatty() else ["-o", "BatchMode=yes", *found]


def host(name: str, settings: Settings) -> Host:
    """Raises `BadInput` for what is no host's name, `BadSetting` for a wrong table."""
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} is no name of a host")
    table, path = settings.tables.get("hosts", {}).get(name, {}), settings.config_file
    where = f"hosts.{name}"
    if not isinstance(table, Mapping):
        raise BadSetting(f"{path}: [{where}] is a table")
    config_file.check_keys(table, {"address", "ktjob", "ssh"}, where, path)
    ssh = table.get("ssh", ["ssh"])
    if not isinstance(ssh, list) or not ssh or not all(isinstance(one, str) for one in ssh):
        raise BadSetting(f"{path}: {where}.ssh must be a list of words, not {ssh!r}")
    address = config_file.text(table, "address", where, path) or name
    if not _NAME.fullmatch(address):
        raise BadSetting(f"{path}: {where}.address: {address!r} is no name of a host")
    return Host(name, address, config_file.text(table, "ktjob", where, path), tuple(ssh))


def _told(ssh: tuple[str, ...], address: str) -> dict[str, str]:
    """What ssh would do by the user's configuration."""
    try:
        asked = subprocess.run(
            [*ssh, "-G", address],
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
    """One run of ssh: what it reads and writes, and what it said itself."""

    def __init__(self, host: Host) -> None:
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()
        self._process = subprocess.Popen(
            host.argv(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self.to: IO[bytes] = self._process.stdin
        self.back: IO[bytes] = self._process.stdout

    def end(self) -> tuple[int, str]:
        """Hang up. Returns ssh's exit code and its words."""
        with contextlib.suppress(OSError):
            self.to.close()
        try:
            code = self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            code = self._process.wait()
        self.back.close()
        self._words.seek(0)
        said = self._words.read().decode(errors="replace").strip()
        self._words.close()
        return code, said
