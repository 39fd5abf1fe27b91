"""Where things are and which server is meant: environment first, then the configuration file.

The only reader of the environment in this package. `docs/reference.md` has the table.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jobs.layout import StateDir
from ktclient import config_file
from ktclient.config_file import Table
from ktclient.errors import BadSetting

EMBEDDED = "embedded"
"""The name that stands for our own embedded server wherever a server URL may stand."""

_KNOWN_KEYS = {"url", "model", "api_key_file", "parallel"}


@dataclass(frozen=True)
class Settings:
    """What the environment and the file say; None where they say nothing."""

    state: StateDir
    cache: Path
    config_file: Path
    server: str | None
    model: str | None
    api_key: str | None = field(repr=False)
    parallel: int | None
    """How many requests the server may be given at once."""
    tables: Mapping[str, Table] = field(default_factory=dict, repr=False)
    """The tables of the configuration file, for those who know what is in them."""


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the environment and the configuration file. Raises `BadSetting`."""
    file = _folder(environ, "KTJOB_CONFIG", "XDG_CONFIG_HOME", ".config") / "config.toml"
    tables = config_file.read(file)
    server = tables["server"]
    config_file.check_keys(server, _KNOWN_KEYS, "server", file)
    return Settings(
        state=StateDir(_folder(environ, "KTJOB_HOME", "XDG_STATE_HOME", ".local/state")),
        cache=_folder(environ, "KTJOB_CACHE", "XDG_CACHE_HOME", ".cache"),
        config_file=file,
        server=environ.get("KTJOB_SERVER") or config_file.text(server, "url", "server", file),
        model=environ.get("KTJOB_MODEL") or config_file.text(server, "model", "server", file),
        api_key=_api_key(environ, server, file),
        parallel=_parallel(server, file),
        tables=tables,
    )


def environment() -> Mapping[str, str]:
    """All of it, for what passes it on to other programs."""
    return os.environ


def user_units(environ: Mapping[str, str] = os.environ) -> Path:
    """Where systemd looks for the units that a user wrote himself (systemd.unit(5))."""
    base = environ.get("XDG_CONFIG_HOME", "")
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".config"
    return root / "systemd" / "user"


def _folder(environ: Mapping[str, str], own: str, xdg: str, fallback: str) -> Path:
    if environ.get(own):
        try:
            return Path(environ[own]).expanduser().absolute()
        except RuntimeError as error:  # ~somebody who is not there
            raise BadSetting(f"{own}={environ[own]}: {error}") from None
    # The XDG specification calls relative paths invalid: they are to be ignored.
    base = environ.get(xdg, "")
    root = Path(base) if Path(base).is_absolute() else Path.home() / fallback
    return root / "ktjob"


def _api_key(environ: Mapping[str, str], table: Table, path: Path) -> str | None:
    if environ.get("KTJOB_API_KEY"):
        return _usable_key(environ["KTJOB_API_KEY"], "KTJOB_API_KEY")
    name = config_file.text(table, "api_key_file", "server", path)
    if name is None:
        return None
    try:
        file = path.parent / Path(name).expanduser()
        key = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError, RuntimeError) as error:
        where = path.parent / name
        raise BadSetting(f"{path}: server.api_key_file: {where} cannot be read: {error}") from None
    return _usable_key(key, f"{path}: server.api_key_file")


def _usable_key(key: str, where: str) -> str:
    """The key without blanks around it. Its text is in no message."""
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise BadSetting(f"{where}: the key holds characters that no HTTP header can carry")
    return key


def _parallel(table: Table, path: Path) -> int | None:
    value = table.get("parallel")
    if value is None:
        return None
    if isinstance(value, int) and value is not True and value > 0:
        return value
    raise BadSetting(f"{path}: server.parallel must be a whole number above 0, not {value!r}")
