"""Notifications by the apprise library, to names of the configuration file:

    [notify]
    phone = "ntfys://ntfy.sh/a-topic-that-is-hard-to-guess"
    team = ["slack://…", "mailto://…"]
    always = ["phone"]

The addresses contain tokens and passwords, so only names reach the store, logs and command lines.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

from jobs import extras
from jobs.errors import NotTold
from ktclient.config.settings import Settings
from ktclient.errors import BadInput, BadSetting

if TYPE_CHECKING:
    from apprise import Apprise

ALWAYS = "always"
DESKTOP = "desktop"
_BUILT_IN = {DESKTOP: ["dbus://"]}
"""Names that need no configuration, on a machine with a desktop and dbus-python."""
_SHORTEST_SECRET = 3


def always(settings: Settings) -> list[str]:
    """Names that are notified of every job. Raises `BadSetting`."""
    return _texts(ALWAYS, settings) if ALWAYS in settings.tables.get("notify", {}) else []


def names(settings: Settings) -> list[str]:
    """All configured names."""
    return [name for name in settings.tables.get("notify", {}) if name != ALWAYS]


def require(wanted: Sequence[str], settings: Settings) -> None:
    """Raises `BadInput` unless each can be used, as far as can be checked without sending."""
    for name in wanted:
        _apprise(name, settings)


def notify(name: str, title: str, body: str, settings: Settings, *, is_bad: bool = False) -> None:
    """Send a notification, marked as a failure if `is_bad`. Raises `NotTold` if it was not
    delivered and should be retried; `BadInput` for a name that is no longer configured."""
    service = _apprise(name, settings)
    with _logged() as said:
        import apprise

        kind = apprise.NotifyType.FAILURE if is_bad else apprise.NotifyType.SUCCESS
        text = apprise.NotifyFormat.TEXT  # or it would be sent as HTML where that is the default
        is_sent = bool(service.notify(body=body, title=title, notify_type=kind, body_format=text))
    if not is_sent:
        why = _without_secrets(said[-1], name, settings) if said else "apprise reports no reason"
        raise NotTold(f"{name} could not be notified: {why}")


def _apprise(name: str, settings: Settings) -> Apprise:
    addresses = _addresses(name, settings)
    if importlib.util.find_spec("apprise") is None:
        raise BadInput(
            "notifications need apprise, which is not installed. "
            f"Install it with: {extras.command('notify')}"
        )
    with _logged():
        import apprise

        service = apprise.Apprise()
        usable = [bool(service.add(address)) for address in addresses]
    if not all(usable):
        place = f" {usable.index(False) + 1} of {len(usable)}" if len(usable) > 1 else ""
        where = "" if name not in names(settings) else f"{settings.config_file}: "
        raise BadInput(
            f"{where}apprise cannot use the address{place} of {name}: it does not have the form "
            "that apprise documents, or needs a package that is not installed"
        )
    return service


@contextlib.contextmanager
def _logged() -> Iterator[list[str]]:
    """Collects apprise's log messages, and keeps them from stderr: they may contain addresses."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage().strip())  # type: ignore[method-assign]
    logger = logging.getLogger("apprise")
    logger.addHandler(handler)
    spreads, logger.propagate = logger.propagate, False
    try:
        with warnings.catch_warnings():
            # apprise 2.3 imports imghdr where that still is (utils/pgp.py), on first use.
            warnings.simplefilter("ignore", DeprecationWarning)
            yield said
    finally:
        logger.propagate = spreads
        logger.removeHandler(handler)


def _addresses(name: str, settings: Settings) -> list[str]:
    if "://" in name:
        raise BadInput(
            "an address contains secrets, and other users can see a command line: put it into "
            f'{settings.config_file} as [notify] NAME = "…", and use the name'
        )
    if name in names(settings):
        return _texts(name, settings)
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    known = ", ".join(names(settings)) or "none"
    raise BadInput(
        f"{name!r} is not configured in [notify] of {settings.config_file} (configured: {known})"
    )


def _texts(name: str, settings: Settings) -> list[str]:
    value = settings.tables["notify"][name]
    found = value if isinstance(value, list) else [value]
    texts = [one for one in found if isinstance(one, str) and one]
    if not texts or len(texts) != len(found):
        raise BadSetting(f"{settings.config_file}: notify.{name} must be text, or a list of texts")
    return texts


def _without_secrets(words: str, name: str, settings: Settings) -> str:
    """apprise's message with all parts of the addresses masked."""
    for address in _addresses(name, settings):
        parts = [address, *re.split(r"[/:@?&=]+", address)]
        for part in [*parts, *map(unquote, parts)]:
            if len(part) >= _SHORTEST_SECRET:
                words = words.replace(part, "***")
    return words


def is_open_to_others(settings: Settings) -> bool:
    """Whether other users on this machine can read the addresses."""
    try:
        return bool(settings.config_file.stat().st_mode & 0o044) and bool(names(settings))
    except OSError:
        return False
