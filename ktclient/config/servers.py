"""The servers of the configuration file: `[server]`, the default one, and `[servers.NAME]`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from jobs.quick_dataclass import record
from ktclient import urls
from ktclient.config import file as config_file
from ktclient.config import keys
from ktclient.config.file import Table
from ktclient.config.keys import KeySource
from ktclient.errors import BadInput, BadSetting

KEY_NAMES = ("api_key_file", "api_key_env", "api_key")
"""The settings for an API key; only one may be used."""
KNOWN = {"url", "model", "parallel", "probe", *KEY_NAMES}

EMBEDDED = "embedded"
"""The name of the embedded server, allowed wherever a server URL is."""
DEFAULT = "default"
"""The name of `[server]`, if a name is needed."""
ANY = "any"
"""Stands for the best of all servers, where a request names one."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@record(frozen=True)
class Server:
    """One configured server. Without a `name`: a URL that is not in the file."""

    name: str | None = None
    url: str | None = None
    """As written: a root URL or `EMBEDDED`; for the default server also a name, or None."""
    model: str | None = None
    parallel: int | None = None
    """How many simultaneous requests it may be given."""
    key: KeySource | None = None
    probe: str | None = None
    """"off": a silent server is never asked whether it is alive, so it never counts as hung."""

    @property
    def may_probe(self) -> bool:
        return self.probe != "off"


def default(table: Table, file: Path) -> Server:
    """The server of `[server]`. Raises `BadSetting`."""
    return _read(table, "server", DEFAULT, file)


def named(table: Table, file: Path) -> dict[str, Server]:
    """The servers of `[servers.NAME]`, by name. Raises `BadSetting`."""
    found: dict[str, Server] = {}
    for name, inner in table.items():
        where = f"servers.{name}"
        if not isinstance(inner, dict):
            raise BadSetting(f"{file}: [{where}] must be a table")
        if not _NAME.fullmatch(name) or name in (EMBEDDED, DEFAULT, ANY):
            raise BadSetting(
                f"{file}: [{where}]: a server's name may contain letters, digits, - and _, and "
                f"must not be {EMBEDDED}, {DEFAULT} or {ANY}"
            )
        server = _read(inner, where, name, file)
        if server.url is None:
            raise BadSetting(f"{file}: {where}.url is missing")
        _require_address(server.url, where, file)
        _require_own_key(server, found.values(), file)
        found[name] = server
    return found


def require_alias(server: Server, others: Mapping[str, Server], file: Path) -> None:
    """If `server.url` is another server's name, or `ANY`, `[server]` must set nothing else. Raises
    `BadSetting`."""
    more = (server.model, server.parallel, server.key, server.probe)
    if all(one is None for one in more):
        return
    if server.url == ANY:
        raise BadSetting(
            f'{file}: server.url is "{ANY}": move the other settings of [server] to the servers '
            "that they are for"
        )
    if server.url in others:
        raise BadSetting(
            f"{file}: server.url names [servers.{server.url}]: move the other settings of [server] "
            "there"
        )


def _read(table: Table, where: str, name: str, file: Path) -> Server:
    config_file.check_keys(table, KNOWN, where, file)
    url = config_file.text(table, "url", where, file)
    if url is not None and not url.strip():
        raise BadSetting(f"{file}: {where}.url is empty; for example: http://127.0.0.1:40001")
    return Server(
        name=name,
        url=url,
        model=config_file.text(table, "model", where, file),
        parallel=_parallel(table, where, file),
        key=_key(table, where, name, file),
        probe=_probe(table, where, file),
    )


def _key(table: Table, where: str, name: str, file: Path) -> KeySource | None:
    said = [one for one in KEY_NAMES if one in table]
    if not said:
        return None
    if len(said) > 1:
        raise BadSetting(f"{file}: {where} sets its key twice: {' and '.join(said)}; keep one")
    setting = f"{file}: {where}.{said[0]}"
    if said[0] == "api_key":
        if table["api_key"] != keys.KEYRING:  # its text, which is perhaps a key, is not repeated
            raise BadSetting(
                f'{setting}: only "{keys.KEYRING}" is allowed here. This file must not contain a '
                "key: store the key in another file, and set api_key_file to its path"
            )
        return KeySource(keys.KEYRING, name, setting)
    text = config_file.text(table, said[0], where, file) or ""
    if said[0] == "api_key_env":
        return KeySource(keys.ENVIRONMENT, text, setting)
    try:
        return KeySource(keys.FILE, str(file.parent / Path(text).expanduser()), setting)
    except RuntimeError as error:  # ~name of an unknown user
        raise BadSetting(f"{setting}: {text} cannot be read: {error}") from None


def _parallel(table: Table, where: str, file: Path) -> int | None:
    value = table.get("parallel")
    if value is None:
        return None
    if isinstance(value, int) and value is not True and value > 0:
        return value
    raise BadSetting(f"{file}: {where}.parallel must be a whole number above 0, not {value!r}")


def _probe(table: Table, where: str, file: Path) -> str | None:
    value = table.get("probe")
    if value in (None, "on", "off"):
        return None if value is None else str(value)
    raise BadSetting(f'{file}: {where}.probe must be "on" or "off", not {value!r}')


def _require_address(url: str, where: str, file: Path) -> None:
    try:
        urls.root_of(url)
    except BadInput as error:
        raise BadSetting(f"{file}: {where}.url: {error}") from None


def _require_own_key(server: Server, others: Iterable[Server], file: Path) -> None:
    """A job stores only its server's URL, so a URL can have only one key. Raises `BadSetting`."""
    assert server.url is not None
    for other in others:
        same = urls.is_same(server.url, other.url or "")
        if same and _place(server) != _place(other):
            raise BadSetting(
                f"{file}: [servers.{other.name}] and [servers.{server.name}] have the same url but "
                "different keys: give both the same api_key_file"
            )


def _place(server: Server) -> tuple[str, str] | None:
    return (server.key.kind, server.key.place) if server.key else None
