"""The effective configuration and the source of each value. API keys show only as set or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jobs import known_secrets
from ktclient import urls
from ktclient.config import keys
from ktclient.config.servers import Server
from ktclient.config.settings import Settings

_FOLDERS = (
    ("state", "KTJOB_HOME", "XDG_STATE_HOME"),
    ("cache", "KTJOB_CACHE", "XDG_CACHE_HOME"),
    ("config", "KTJOB_CONFIG", "XDG_CONFIG_HOME"),
)


@dataclass(frozen=True)
class Origin:
    """One setting. `value` is None if it is not set."""

    name: str
    value: object
    origin: str
    """A variable's name, "config.toml", or "default"."""


def origins(settings: Settings) -> list[Origin]:
    """All settings."""
    return [*_of_default(settings), *_of_named(settings), *_others(settings), *_folders(settings)]


def _of_default(settings: Settings) -> Iterator[Origin]:
    server = settings.default
    yield _first(settings, "server.url", "KTJOB_SERVER", server.url)
    yield _first(settings, "server.model", "KTJOB_MODEL", server.model)
    if settings.environ.get("KTJOB_API_KEY"):
        yield Origin("server.api_key", "set", "KTJOB_API_KEY")
    else:
        yield _file("server.api_key", _key(server))
    yield _file("server.parallel", server.parallel)
    yield _file("server.probe", server.probe)


def _of_named(settings: Settings) -> Iterator[Origin]:
    for name, server in settings.servers.items():
        yield _file(f"servers.{name}.url", server.url)
        for key, value in (
            ("model", server.model),
            ("parallel", server.parallel),
            ("probe", server.probe),
        ):
            if value is not None:
                yield _file(f"servers.{name}.{key}", value)
        if server.key is not None:
            yield _file(f"servers.{name}.api_key", _key(server))


def _others(settings: Settings) -> Iterator[Origin]:
    for table in ("defaults", "notify", "hosts", "interpreters"):
        for name, value in settings.tables[table].items():
            is_shown = table in ("defaults", "interpreters")
            shown = value if is_shown else "set"  # a notification's URL may be secret
            yield _file(f"{table}.{name}", shown)


def _folders(settings: Settings) -> Iterator[Origin]:
    places = (settings.state.root, settings.cache, settings.config_file.parent)
    for (name, own, xdg), place in zip(_FOLDERS, places, strict=True):
        said = [one for one in (own, xdg) if settings.environ.get(one)]
        is_xdg_void = said == [xdg] and not settings.environ[xdg].startswith("/")
        yield Origin(name, str(place), "default" if not said or is_xdg_void else said[0])


def _first(settings: Settings, name: str, variable: str, value: object) -> Origin:
    said = settings.environ.get(variable)
    return _origin(name, said, variable) if said else _file(name, value)


def _file(name: str, value: object) -> Origin:
    return _origin(name, value, "default" if value is None else "config.toml")


def _origin(name: str, value: object, origin: str) -> Origin:
    """A URL that contains a key or a password is not usable, but may be written all the same."""
    if not isinstance(value, str):
        return Origin(name, value, origin)
    shown = urls.without_secrets(value) if name.endswith(".url") else value
    return Origin(name, known_secrets.hide_shapes(shown), origin)


def _key(server: Server) -> str | None:
    if server.key is None:
        return None
    if server.key.kind == keys.KEYRING:
        return "in the keyring"
    return f"set ({server.key.kind} {server.key.place})"
