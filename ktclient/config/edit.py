"""Change the configuration file: comments stay, invalid content is rejected, and the previous file
is kept as `config.toml.old`."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from ktclient import wording
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


Check = Callable[[config.Settings], object]


def replace_file(settings: config.Settings, text: str, check: Check) -> Path | None:
    """Replace the configuration file with `text`, atomically. Returns the path of the kept previous
    file, if any. Raises `BadSetting`; nothing is changed then."""
    check(config.load(_without_own_variables(settings.environ), text))
    file = settings.config_file.resolve()  # a link, for example into dotfiles, stays a link
    kept = file.with_name(f"{file.name}.old") if file.exists() else None
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = file.stat().st_mode & 0o777 if kept else 0o600
        if kept is not None:
            _write(kept, file.read_text(encoding="utf-8", errors="surrogateescape"), mode)
        _write(file, text, mode)
    except OSError as error:
        raise BadSetting(f"{file} was not changed: {error.strerror or error}") from error
    return kept


def changed(settings: config.Settings, name: str, value: str | None) -> str:
    """The file's text with a setting set, or removed (None). Raises `BadInput` and `BadSetting`."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    file = settings.config_file
    wording.typed_text(value, f"the value of {name}")
    try:
        document = tomlkit.parse(file.read_text(encoding="utf-8") if file.exists() else "")
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
    except (TOMLKitError, OSError, ValueError) as error:
        raise BadSetting(f"{file} cannot be changed: {error}") from error


def _value(text: str) -> Any:
    """Parsed as TOML if it is valid TOML (7, true, ["a"]), else as text: shells remove quotes."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    with contextlib.suppress(TOMLKitError):
        return tomlkit.value(text)
    return text


def _without_own_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without server settings, to check the file alone; its path still applies."""
    hidden = ("KTJOB_SERVER", "KTJOB_MODEL", "KTJOB_API_KEY")
    return {name: value for name, value in environ.items() if name not in hidden}


def _write(file: Path, text: str, mode: int) -> None:
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        Path(name).chmod(mode)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
