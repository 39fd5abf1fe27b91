"""A named server from the variables of OpenAI's clients: `ktjob config init --from-env`.

ktjob never takes these variables by itself: they may mean a service that is paid by the token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jobs import draft, known_secrets, private_folder
from ktclient import urls
from ktclient.config import edit, keys
from ktclient.config import file as config_file
from ktclient.config import settings as config
from ktclient.errors import BadInput, BadSetting

URL, KEY = "OPENAI_BASE_URL", "OPENAI_API_KEY"
NAME = "openai"
"""The name of the server unless another is given."""


def add(
    settings: config.Settings,
    environ: Mapping[str, str],
    name: str,
    check: Callable[[config.Settings], object],
    *,
    in_keyring: bool,
) -> str:
    """Write the server that the variables name into the configuration file, with its key in a file
    beside that (mode 600) or in the keyring. Returns where the key is, empty without one.

    Raises `BadInput` without the URL and for a name that is taken, and `BadSetting` for a URL or
    key that cannot be used; nothing is changed then.
    """
    url = environ.get(URL, "").strip()
    if not url:
        raise BadInput(
            f"{URL} is not set, so there is no server to add. OpenAI's clients then mean OpenAI "
            f"itself; for a server of your own: export {URL}=http://HOST:PORT/v1"
        )
    if name in settings.servers:
        raise BadInput(
            f"there is a [servers.{name}] already; choose another name with --name, or remove it "
            "with: ktjob config edit"
        )
    if urls.without_secrets(url) != url:
        raise BadSetting(f"{URL} has a password in it; put it into {KEY}")
    if not urls.is_unmistakable(url):  # it is not repeated: it may be a key
        raise BadSetting(
            f"{URL} is not the URL of a server, so nothing was added; for example: "
            "http://127.0.0.1:40001/v1"
        )
    key = environ.get(KEY, "").strip()
    known_secrets.know(key)
    table = f"servers.{name}"
    steps = {f"{table}.url": url}
    if key:
        key = keys.usable(key, KEY)
        steps |= {f"{table}.api_key": keys.KEYRING} if in_keyring else {}
        steps |= {} if in_keyring else {f"{table}.api_key_file": f"{name}.key"}
    _try(settings, steps, check)
    where = _store(settings, name, key, in_keyring) if key else ""
    edit.replace_file(settings, _with(settings, steps), check)
    return where


def _with(settings: config.Settings, steps: Mapping[str, str]) -> str:
    """The file's text with all of these settings."""
    file = settings.config_file
    text = config_file.content(file) if file.exists() else edit.EXAMPLE
    for name, value in steps.items():
        text = edit.changed_text(text, file, name, value)
    return text


def _try(
    settings: config.Settings,
    steps: Mapping[str, str],
    check: Callable[[config.Settings], object],
) -> None:
    """Raise what `replace_file` would, before a key is stored."""
    check(config.load(edit.without_own_variables(settings.environ), _with(settings, steps)))


def _store(settings: config.Settings, name: str, key: str, in_keyring: bool) -> str:
    """Where the key is now. Raises `BadSetting`."""
    if in_keyring:
        return f"the keyring ({keys.store_in_keyring(name, key)})"
    file = settings.config_file.parent / f"{name}.key"
    try:
        private_folder.make(file.parent)
        draft.write(file, f"{key}\n")
    except OSError as error:
        raise BadSetting(f"cannot write {file}: {error.strerror or error}") from error
    return f"{file} (only you can read it)"
