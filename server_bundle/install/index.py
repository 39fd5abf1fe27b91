"""Which package index the user has configured, for pip or for uv.

pip reads `pip.conf` and `PIP_*`; uv reads neither, but `uv.toml` and `UV_*`. Wheels are fetched by
this package, so it follows the settings of either: the variables of uv, else pip's settings, else
uv's file, else the public index.
"""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from jobs import known_secrets, parsing
from server_bundle.errors import InstallRefused

PUBLIC = "https://pypi.org/simple"
"""The default of pip and uv."""
_SECTIONS = ("global", "install", "download")
"""Of pip.conf: the later ones win (pip.pypa.io, topics/configuration)."""
_MOST_BYTES = 1_000_000
_SECONDS = 60.0
"""How long a silent index is waited for; pip's own default is 15."""


@dataclass(frozen=True)
class Index:
    """Where wheels come from, and how it is reached."""

    urls: tuple[str, ...] = (PUBLIC,)
    """Simple indexes (PEP 503), in their order. May contain passwords."""
    links: tuple[str, ...] = ()
    """Folders or pages with links to wheels (--find-links)."""
    origin: str = "the default of pip and uv"
    trusted: tuple[str, ...] = ()
    """Hosts whose certificates are not checked."""
    certificates: str | None = None
    client_certificate: str | None = None
    proxy: str | None = None
    seconds: float = _SECONDS
    netrc: str | None = None
    """The file with users and passwords; None for ~/.netrc."""

    @property
    def shown(self) -> str:
        """All of it in one line, without passwords."""
        places = [without_secrets(one) for one in (*self.links, *self.urls)]
        return f"{', '.join(places) or 'no index'} ({self.origin})"


def without_secrets(url: str) -> str:
    """The URL without user, password and parameters; a path unchanged."""
    parts = urlsplit(url)
    if not parts.netloc:
        return url
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def configured(environ: Mapping[str, str]) -> Index:
    """The index that the user has configured. Its passwords are known secrets from then on. Raises
    `InstallRefused` for a configuration that cannot be read."""
    pip = _pip(environ)
    found = _of_uv(environ, _uv_variables(environ), "uv's variables") or _of_pip(pip)
    found = found or _of_uv(environ, _uv_file(environ), "uv.toml") or Index()
    index = Index(
        urls=() if _is_true(pip.get("no-index")) else found.urls,
        links=tuple(_absolute(one) for one in found.links),
        origin=found.origin,
        trusted=tuple(_words(pip.get("trusted-host")))
        + tuple(_words(environ.get("UV_INSECURE_HOST"))),
        certificates=pip.get("cert") or _first(environ, "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),
        client_certificate=pip.get("client-cert") or environ.get("SSL_CLIENT_CERT"),
        proxy=pip.get("proxy"),
        netrc=environ.get("NETRC") or None,
        seconds=max(_SECONDS, _number(pip.get("timeout") or pip.get("default-timeout"))),
    )
    for url in (*index.urls, *index.links, index.proxy or ""):
        known_secrets.know(unquote(urlsplit(url).password or ""))
    return index


def _absolute(place: str) -> str:
    """A path as an absolute one, for a process in another folder; a URL unchanged."""
    return place if "://" in place else str(Path(place).expanduser().absolute())


def _of_pip(pip: Mapping[str, str]) -> Index | None:
    main = _words(pip.get("index-url")) or _words(pip.get("pypi-url")) or [PUBLIC]
    extra, links = _words(pip.get("extra-index-url")), _words(pip.get("find-links"))
    if main == [PUBLIC] and not extra and not links:
        return None
    return Index((main[0], *extra), tuple(links), "pip's settings")


def _pip(environ: Mapping[str, str]) -> dict[str, str]:
    """pip's settings: of its files, and of its variables, which win."""
    found: dict[str, str] = {}
    for path in _pip_files(environ):
        found.update(_of_pip_file(path))
    for name, value in environ.items():
        if name.startswith("PIP_") and value:
            found[name[4:].lower().replace("_", "-")] = value
    return found


def _pip_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """The later ones win (pip.pypa.io, topics/configuration, "Location")."""
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    home = Path(environ.get("HOME") or "/nonexistent")
    system = [one for one in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":") if one]
    for folder in reversed(system):
        yield Path(folder, "pip", "pip.conf")
    yield Path("/etc/pip.conf")
    yield home / ".pip" / "pip.conf"
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    yield Path(environ.get("VIRTUAL_ENV") or sys.prefix) / "pip.conf"
    if named:
        yield Path(named).expanduser()


def _of_pip_file(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(parsing.read_text(path, _MOST_BYTES, pipes=False))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except (OSError, ValueError, configparser.Error) as error:
        words = " ".join(str(error).split())
        raise InstallRefused(
            f"{path}, pip's configuration, cannot be read: {words}. Correct it; `pip config debug` "
            "shows what pip reads"
        ) from error
    found: dict[str, str] = {}
    for section in _SECTIONS:
        if parser.has_section(section):
            found.update({name.replace("_", "-"): value for name, value in parser.items(section)})
    return {name: value for name, value in found.items() if value}


def _uv_variables(environ: Mapping[str, str]) -> dict[str, Any]:
    names = {
        "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
        "extra-index-url": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
        "find-links": ("UV_FIND_LINKS",),
    }
    found = {key: _first(environ, *said) for key, said in names.items()}
    return {key: value for key, value in found.items() if value}


def _uv_file(environ: Mapping[str, str]) -> dict[str, Any]:
    """uv.toml of the user, else of the system. A project's own file is not for this."""
    home = Path(environ.get("HOME") or "/nonexistent")
    user = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "uv" / "uv.toml"
    named = environ.get("UV_CONFIG_FILE")
    for path in (Path(named),) if named else (user, Path("/etc/uv/uv.toml")):
        try:
            found = parsing.of_toml(parsing.read_text(path, _MOST_BYTES, pipes=False))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        except (OSError, ValueError) as error:
            raise InstallRefused(
                f"{path}, uv's configuration, cannot be read: {error}. Correct it"
            ) from error
        return {**found, **_table(found.get("pip"))}
    return {}


def _of_uv(environ: Mapping[str, str], said: Mapping[str, Any], origin: str) -> Index | None:
    """From uv's settings: `index` is a list of tables in its file."""
    tables = [_table(one) for one in _listed(said.get("index"))]
    urls = [
        _named(environ, f"{one.get('name', '')}={one['url']}") for one in tables if "url" in one
    ]
    main = [url for url, one in zip(urls, tables, strict=False) if one.get("default")]
    extra = [_named(environ, one) for one in _listed(said.get("extra-index-url"))]
    extra += [url for url in urls if url not in main]
    main += [_named(environ, one) for one in _listed(said.get("index-url"))]
    links = tuple(re.split(r"[,\s]+", " ".join(_listed(said.get("find-links")))))
    links = tuple(one for one in links if one)
    if not (main or extra or links):
        return None
    return Index((*extra, *(main[:1] or [PUBLIC])), links, origin)


def _named(environ: Mapping[str, str], text: str) -> str:
    """The URL of `NAME=URL`, with the user and password of UV_INDEX_NAME_USERNAME and _PASSWORD."""
    name, _, url = text.partition("=") if re.match(r"[\w.-]*=", text) else ("", "", text)
    known = f"UV_INDEX_{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}"
    user, password = (environ.get(f"{known}_{one}") for one in ("USERNAME", "PASSWORD"))
    parts = urlsplit(url)
    if not name or not (user or password) or "@" in parts.netloc:
        return url
    from urllib.parse import quote

    given = f"{quote(user or '', safe='')}:{quote(password or '', safe='')}"
    return urlunsplit((parts.scheme, f"{given}@{parts.netloc}", *parts[2:]))


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: object) -> list[Any]:
    if isinstance(value, str):
        return value.split()
    return value if isinstance(value, list) else []


def _words(value: str | None) -> list[str]:
    return (value or "").split()


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)


def _is_true(value: str | None) -> bool:
    return (value or "").lower() in ("1", "true", "yes", "on", "y", "t")


def _number(value: str | None) -> float:
    try:
        return float(value or 0)
    except ValueError:
        return 0.0
