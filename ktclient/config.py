"""Where things are and which server is meant: environment first, then the configuration file.

The only reader of the environment in this package. `docs/reference.md` has the table.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jobs.layout import StateDir
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


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the environment and the configuration file. Raises `BadSetting`."""
    config_file = _folder(environ, "KTJOB_CONFIG", "XDG_CONFIG_HOME", ".config") / "config.toml"
    server = _server_table(config_file)
    return Settings(
        state=StateDir(_folder(environ, "KTJOB_HOME", "XDG_STATE_HOME", ".local/state")),
        cache=_folder(environ, "KTJOB_CACHE", "XDG_CACHE_HOME", ".cache"),
        config_file=config_file,
        server=environ.get("KTJOB_SERVER") or _text(server, "url", config_file),
        model=environ.get("KTJOB_MODEL") or _text(server, "model", config_file),
        api_key=_api_key(environ, server, config_file),
        parallel=_parallel(server, config_file),
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


def _server_table(path: Path) -> dict[str, object]:
    try:
        if not path.exists():
            return {}
    except OSError as error:
        raise BadSetting(f"{path} cannot be read: {error.strerror or error}") from None
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadSetting(f"{path} cannot be read: {error}") from error
    table = content.get("server", {})
    unknown = [key for key in content if key != "server"]
    if not isinstance(table, dict):
        raise BadSetting(f"{path}: [server] is a table, with url, model, api_key_file, parallel")
    unknown += [f"server.{key}" for key in table if key not in _KNOWN_KEYS]
    if unknown:
        raise BadSetting(f"{path}: unknown setting {unknown[0]!r}; docs/reference.md has them all")
    return table


def _text(table: dict[str, object], key: str, path: Path) -> str | None:
    value = table.get(key)
    if value is None or isinstance(value, str):
        return value
    raise BadSetting(f"{path}: server.{key} must be text, not {value!r}")


def _api_key(environ: Mapping[str, str], table: dict[str, object], path: Path) -> str | None:
    if environ.get("KTJOB_API_KEY"):
        return _usable_key(environ["KTJOB_API_KEY"], "KTJOB_API_KEY")
    name = _text(table, "api_key_file", path)
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


def _parallel(table: dict[str, object], path: Path) -> int | None:
    value = table.get("parallel")
    if value is None:
        return None
    if isinstance(value, int) and value is not True and value > 0:
        return value
    raise BadSetting(f"{path}: server.parallel must be a whole number above 0, not {value!r}")
