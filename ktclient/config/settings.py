"""Where files are and which server to use: environment first, then the configuration file.

The only reader of the environment in this package. `docs/reference.md` has the table.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path

from jobs import known_secrets, parsing
from jobs.quick_dataclass import record
from jobs.store.state_dir import StateDir
from ktclient import urls
from ktclient.config import file as config_file_module
from ktclient.config import interpreters as config_interpreters
from ktclient.config import keys, server_key
from ktclient.config import servers as config_servers
from ktclient.config.file import Table
from ktclient.config.servers import Server
from ktclient.errors import BadSetting
from ktclient.wording import typed_text

EMBEDDED = config_servers.EMBEDDED


@record(frozen=True)
class Settings:
    """Settings from the environment and the configuration file; None if neither sets a value."""

    state: StateDir
    cache: Path
    config_file: Path
    server: str | None
    """A URL, `EMBEDDED`, or the name of one of `servers`."""
    environ: Mapping[str, str] = field(repr=False)
    default: Server = field(default_factory=Server)
    """`[server]`. Without a URL it applies to KTJOB_SERVER, or to any server on this machine."""
    servers: Mapping[str, Server] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict, repr=False)
    """The tables of the configuration file, for modules that know their contents."""
    is_any: bool = False
    """Whether a request that names no server may have any of them. Then `server` is None."""
    lent: str | None = field(default=None, repr=False)
    """In a worker: the API key that its submitter's environment had for the server of its job. It
    takes precedence over the runner's environment."""

    @property
    def model(self) -> str | None:
        """The model of the default server."""
        return self.model_of(self.meant(None) or self.default)

    @property
    def parallel(self) -> int | None:
        """How many simultaneous requests the default server may be given."""
        return (self.meant(None) or self.default).parallel

    def meant(self, named: str | None) -> Server | None:
        """The selected server: one of the file's by its name, or any by its URL, else the
        configured one. None if none is named or configured."""
        said = named or self.server
        if said is None:
            return None
        return self.servers[said] if said in self.servers else self.of_url(said)

    def of_url(self, url: str) -> Server:
        """The configuration for the server at a URL: a job stores only its server's URL."""
        same = [one for one in self.servers.values() if urls.is_same(one.url or "", url)]
        if same:
            return same[0]
        return replace(self.default if self._is_default(url) else Server(), url=url)

    def model_of(self, server: Server) -> str | None:
        """The model to request from a server; None: the first that it lists. Raises `BadInput`."""
        return typed_text(self.environ.get("KTJOB_MODEL"), "KTJOB_MODEL") or server.model

    def key_for(self, url: str) -> str | None:
        """The API key that may be sent to a URL, or to `EMBEDDED`: the one decision, which every
        request asks for the URL that it really goes to. Raises `BadSetting`."""
        if url == EMBEDDED:
            return None
        server = self.of_url(url)
        is_named = server.name in self.servers
        return server_key.choose(server, self.environ, self.lent, is_named=is_named)

    def key_of_started(self, url: str) -> str | None:
        """The API key of a server that ktserver started on this machine: `key_for`, and where it
        listens by the machine's own address, the key of a `[server]` without URL. Raises
        `BadSetting`."""
        key = self.key_for(url)
        if key is None and self.default.url is None:
            return server_key.choose(self.default, self.environ, self.lent, is_named=False)
        return key

    def interpreter_of(self, engine: str) -> str | None:
        """The configured Python that runs an engine. `ktserver install` sets it."""
        value = self.tables["interpreters"].get(engine)
        return value if isinstance(value, str) else None

    def learn_keys(self) -> None:
        """Read the keys that are in files, so that a log that is shown does not show them."""
        for server in (self.default, *self.servers.values()):
            if server.key is not None and server.key.kind == keys.FILE:
                with contextlib.suppress(BadSetting):
                    server.key.read(self.environ)

    def has_key_for(self, url: str) -> bool:
        """Whether a key is configured for a URL, wherever it is. Reads none."""
        if url == EMBEDDED:
            return False
        server = self.of_url(url)
        return server.key is not None or bool(self.lent or self.environ.get(server_key.VARIABLE))

    def borrowed_key(self, url: str) -> str | None:
        """The same key, if only the environment of this process holds it."""
        if url == EMBEDDED:
            return None
        server = self.of_url(url)
        is_named = server.name in self.servers
        return server_key.borrowed(server, self.environ, self.lent, is_named=is_named)

    def _is_default(self, url: str) -> bool:
        if self.default.url is not None:
            return self.default.url == url or urls.is_same(self.default.url, url)
        if self.server is not None and urls.is_same(self.server, url):
            return True
        return url != EMBEDDED and urls.is_local(url)


def load(
    environ: Mapping[str, str] = os.environ,
    text: str | None = None,
    lent: str | None = None,
    needed: Sequence[str] = config_file_module.TABLES,
) -> Settings:
    """Read the environment and the configuration file, or `text` in its place. A key that only a
    keyring, another variable or a named server's file holds is read when it is needed. Raises
    `BadSetting`; if only some tables are `needed`, not for others, nor for a key."""
    file = path(environ)
    if text is None:
        tables = config_file_module.read(file, needed)
    else:
        tables = config_file_module.parse(text, file, needed)
    default = config_servers.default(tables["server"], file)
    config_interpreters.check(tables["interpreters"], file)
    servers = config_servers.named(tables["servers"], file)
    config_servers.require_alias(default, servers, file)
    said = environ.get("KTJOB_SERVER") or default.url
    settings = Settings(
        state=state_dir(environ),
        cache=cache(environ),
        config_file=file,
        server=None if said == config_servers.ANY else said,
        environ=environ,
        default=default,
        servers=servers,
        tables=tables,
        is_any=said == config_servers.ANY,
        lent=lent,
    )
    _learn_variables(settings)
    is_whole = needed == config_file_module.TABLES
    if is_whole and (default.key is None or default.key.kind == keys.FILE):
        # Report a bad key before any other work.
        server_key.choose(default, environ, lent, is_named=False)
    return settings


def learn_variables() -> None:
    """The same for programs that are started although the file may be invalid: an editor to fix
    it, or the command of --on-done."""
    try:
        most = config_file_module.MOST_BYTES
        text = parsing.read_text(path(), most, pipes=False, errors="replace")
    except (OSError, BadSetting, parsing.Unusable):
        return
    for name in re.findall(r"""\bapi_key_env["']?[ \t]*=[ \t]*["']+([^"'\n]+)""", text):
        known_secrets.know_variable(name)
        known_secrets.know(os.environ.get(name, ""))


def _learn_variables(settings: Settings) -> None:
    """No child gets a variable that holds a key, and no text shows what it holds."""
    sources = [one.key for one in (settings.default, *settings.servers.values()) if one.key]
    named = [one.place for one in sources if one.kind == keys.ENVIRONMENT]
    for name in (server_key.VARIABLE, *named):
        known_secrets.know_variable(name)
        known_secrets.know(settings.environ.get(name, ""))
    if settings.lent:
        known_secrets.know(settings.lent)


def state_dir(environ: Mapping[str, str] = os.environ) -> StateDir:
    """The state directory, whatever the configuration file says: looking at jobs does not need
    that. Raises `BadSetting`."""
    return StateDir(_folder(environ, "KTJOB_HOME", "XDG_STATE_HOME", ".local/state"))


def cache(environ: Mapping[str, str] = os.environ) -> Path:
    """The cache, likewise. Raises `BadSetting`."""
    return _folder(environ, "KTJOB_CACHE", "XDG_CACHE_HOME", ".cache")


def path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the configuration file is, or would be. Raises `BadSetting`."""
    return _folder(environ, "KTJOB_CONFIG", "XDG_CONFIG_HOME", ".config") / "config.toml"


def environment() -> Mapping[str, str]:
    """The whole environment, to look things up. Children get `jobs.child_environment`."""
    return os.environ


def of_worker(lent: str | None, needed: Sequence[str] = config_file_module.TABLES) -> Settings:
    """For a worker, whose environment is that of whichever command started the runner:
    KTJOB_API_KEY there may be for another server. Its own is lent. Raises `BadSetting`."""
    environ = {name: text for name, text in os.environ.items() if name != server_key.VARIABLE}
    return load(environ, lent=lent, needed=needed)


def default_host(environ: Mapping[str, str] = os.environ) -> str | None:
    """The machine on which commands run; None: this one."""
    return environ.get("KTJOB_HOST") or None


def user_units(environ: Mapping[str, str] = os.environ) -> Path:
    """Where systemd looks for a user's own units (systemd.unit(5))."""
    base = environ.get("XDG_CONFIG_HOME", "")
    root = Path(base) if Path(base).is_absolute() else home() / ".config"
    return root / "systemd" / "user"


def home() -> Path:
    """The user's home folder, as an absolute path. Raises `BadSetting` where there is none."""
    try:
        return Path.home().absolute()
    except RuntimeError:
        raise BadSetting(
            "this user has no home folder: set HOME, or KTJOB_HOME, KTJOB_CONFIG and KTJOB_CACHE"
        ) from None


def _folder(environ: Mapping[str, str], own: str, xdg: str, fallback: str) -> Path:
    if environ.get(own):
        try:
            return Path(environ[own]).expanduser().absolute()
        except RuntimeError as error:  # ~name of an unknown user
            raise BadSetting(f"{own}={environ[own]}: {error}") from None
    # The XDG specification: relative paths are invalid and must be ignored.
    base = environ.get(xdg, "")
    root = Path(base) if Path(base).is_absolute() else home() / fallback
    return root / "ktjob"
