"""Change the configuration file: comments stay, invalid content is rejected, and the previous file
is kept as `config.toml.old`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from jobs import draft, named_file, parsing, private_folder
from ktclient import urls, wording
from ktclient.config import file as config_file
from ktclient.config import servers
from ktclient.config import settings as config
from ktclient.errors import BadInput, BadSetting

EXAMPLE = """\
# ktjob's configuration; `ktjob config show` prints it, `ktjob config check` tests it.
#
# [server]                         the default server
# url = "http://127.0.0.1:40001"   or "embedded", or the name of one of [servers]
# model = "DeepSeek-V4-Flash"      for servers with several
# parallel = 1                     simultaneous requests; default: what the server reports
# probe = "off"                    never call a silent server hung; default: ask whether it is alive
# api_key_file = "key"             beside this file, chmod 600
# api_key_env = "MY_KEY"           or the variable that holds it
# api_key = "keyring"              or: ktjob config key default
#
# [servers.gpu1]                   used with: ktjob submit FILE --server gpu1
# url = "https://gpu1.example"
# api_key = "keyring"              stored with: ktjob config key gpu1
#
# [defaults]                       default values for options of submit and check
# max_tokens = 2048
# label = "mine"

[server]

[defaults]
"""
# No comments in the tables: tomlkit puts a new key after them, below the next table's comments.


_NAMES = "always"
"""In [notify]: names of the other settings, no address."""

Check = Callable[[config.Settings], object]


def replace_file(settings: config.Settings, text: str, check: Check) -> Path | None:
    """Replace the configuration file with `text`, atomically. Returns the path of the kept previous
    file, if any. Raises `BadSetting`; nothing is changed then."""
    new = config.load(without_own_variables(settings.environ), text)
    _require_addresses(settings, new)
    check(new)
    try:
        file = named_file.followed(settings.config_file)  # a link, as into dotfiles, stays a link
        kept = file.with_name(f"{file.name}.old") if file.exists() else None
        private_folder.make(file.parent)
        if kept is not None:
            draft.write(kept, file.read_bytes())
        draft.write(file, text.encode("utf-8", "surrogateescape"), keeps=True)
    except OSError as error:
        raise BadSetting(
            f"{settings.config_file} was not changed: {error.strerror or error}"
        ) from error
    return kept


def _require_addresses(settings: config.Settings, new: config.Settings) -> None:
    """Raises `BadSetting` for an address that is not in the file yet and is only a word: a slip, or
    the name of a server that is not configured."""
    try:
        old: config.Settings | None = config.load(without_own_variables(settings.environ))
    except BadSetting:  # it is being fixed
        old = None
    known = set[str | None]()
    if old is not None:
        known = {old.default.url, *(one.url for one in old.servers.values())}
    for where, server in (("server", new.default), *new.servers.items()):
        url = server.url
        if url is None or url in {*known, servers.EMBEDDED, servers.ANY, *new.servers}:
            continue
        if not urls.is_unmistakable(url):
            table = where if server is new.default else f"servers.{where}"
            names = ", ".join(new.servers) or "none"
            raise BadSetting(
                f"{settings.config_file} was not changed: {table}.url: {url!r} is neither a URL, "
                f"such as http://127.0.0.1:40001, nor a configured server ({names})"
            )
    before = {} if old is None else old.tables["notify"]
    for name, value in new.tables["notify"].items():
        texts = value if isinstance(value, list) else [value]
        is_plain = any(isinstance(text, str) and "://" not in text for text in texts)
        if name != _NAMES and value != before.get(name) and is_plain:  # it may be a secret
            raise BadSetting(
                f"{settings.config_file} was not changed: notify.{name} is not an address, such "
                "as ntfys://ntfy.sh/TOPIC"
            )


def changed(settings: config.Settings, name: str, value: str | None) -> str:
    """The file's text with a setting set, or removed (None). Raises `BadInput` and `BadSetting`."""
    file = settings.config_file
    wording.typed_text(value, f"the value of {name}")
    try:
        text = config_file.content(file)
    except (OSError, ValueError) as error:
        raise BadSetting(f"{file} cannot be changed: {error}") from error
    return changed_text(text, file, name, value)


def changed_text(text: str, file: Path, name: str, value: str | None) -> str:
    """The same of a text that is not in the file yet."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        config_file.parse(text, file, needed=())  # tomlkit bears no text that is nested deeply
        document = tomlkit.parse(text)
        *tables, last = name.split(".")
        if not tables or not all((*tables, last)):
            raise BadInput(f"{name!r} is not a setting; for example: server.url")
        inner: MutableMapping[str, Any] = document
        for table in tables:
            if value is None and table not in inner:
                raise BadInput(f"{name} is not in {file}")
            is_outer = table == "servers" and inner is document
            inner = inner.setdefault(table, tomlkit.table(is_super_table=is_outer or None))
            if not isinstance(inner, MutableMapping):
                raise BadInput(f"{name!r} is not a setting: {table} is not a table")
        if value is None:
            if last not in inner:
                raise BadInput(f"{name} is not in {file}")
            del inner[last]
        else:
            inner[last] = _value(value)
        return tomlkit.dumps(document)
    except (TOMLKitError, OSError, ValueError, RecursionError) as error:
        raise BadSetting(f"{file} cannot be changed: {error}") from error


def _value(text: str) -> Any:
    """Parsed as TOML if it is valid TOML (7, true, ["a"]), else as text: shells remove quotes."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        parsing.of_toml(f"value = {text}")
    except parsing.Unusable as error:
        raise BadInput(f"the value cannot be used: {error}") from None
    except ValueError:
        return text
    with contextlib.suppress(TOMLKitError):
        return tomlkit.value(text)
    return text


def without_own_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without server settings, to check the file alone; its path still applies."""
    hidden = ("KTJOB_SERVER", "KTJOB_MODEL", "KTJOB_API_KEY")
    return {name: value for name, value in environ.items() if name not in hidden}
