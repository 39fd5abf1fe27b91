"""Where a server's key is: an environment variable, a file, or the keyring of the desktop.

The text of a key is in no message, no `repr`, and never in the configuration file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ktclient.errors import BadSetting

SERVICE = "ktjob"
"""What ours are filed under in a keyring, each by its server's name."""

ENVIRONMENT, FILE, KEYRING = "environment", "file", "keyring"

_INSTALL = "pip install 'ktjob[keyring]'"
_INSTEAD = "name a file with api_key_file, or a variable with api_key_env"


@dataclass(frozen=True)
class KeySource:
    """One place that holds a key."""

    kind: str
    """`ENVIRONMENT`, `FILE` or `KEYRING`."""
    place: str
    """The variable, the file's path, or the name in the keyring."""
    said_by: str
    """The setting that names it, for messages."""

    def read(self, environ: Mapping[str, str]) -> str:
        """The key. Raises `BadSetting` where there is none, or none that can be sent."""
        if self.kind == ENVIRONMENT:
            text = environ.get(self.place, "")
            if not text:
                raise BadSetting(
                    f"{self.said_by}: the variable {self.place} is not set here. Set it, or keep "
                    "the key in a file (api_key_file) or the keyring"
                )
        else:
            text = self._of_file() if self.kind == FILE else self._of_keyring()
        return usable(text, self.said_by)

    def _of_file(self) -> str:
        try:
            return Path(self.place).expanduser().read_text(encoding="utf-8-sig")
        except (OSError, ValueError, RuntimeError) as error:
            raise BadSetting(f"{self.said_by}: {self.place} cannot be read: {error}") from None

    def _of_keyring(self) -> str:
        text = ask_keyring(self.place, self.said_by)
        if not text:
            raise BadSetting(
                f"{self.said_by}: the keyring holds no key for {self.place!r}. Store it with: "
                f"ktjob config key {self.place}"
            )
        return text


def usable(key: str, where: str) -> str:
    """The key without blanks around it. Raises `BadSetting` for one that cannot be sent."""
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise BadSetting(f"{where}: the key holds characters that no HTTP header can carry")
    return key


def ask_keyring(name: str, said_by: str) -> str | None:
    """What the keyring holds for a server; None: nothing. Raises `BadSetting` where there is no
    keyring, or it stays locked."""
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise BadSetting(f"{said_by}: the keyring library is missing: {_INSTALL}") from None
    try:
        return keyring.get_password(SERVICE, name)
    except (keyring.errors.KeyringError, OSError, RuntimeError) as error:
        raise BadSetting(f"{said_by}: {_trouble(error)}") from error


def store_in_keyring(name: str, key: str) -> str:
    """Keep a key for a server. Returns the keyring's own name. Raises `BadSetting`."""
    about = f"the key of {name}"
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise BadSetting(f"{about}: the keyring library is missing: {_INSTALL}") from None
    try:
        keyring.set_password(SERVICE, name, key)
    except (keyring.errors.KeyringError, OSError, RuntimeError) as error:
        raise BadSetting(f"{about} was not stored: {_trouble(error)}") from error
    if keyring.get_password(SERVICE, name) != key:  # the null backend takes all and keeps nothing
        raise BadSetting(f"{about} was not kept: this machine's keyring forgets. {_INSTEAD}")
    return str(keyring.get_keyring().name)


def _trouble(error: Exception) -> str:
    """In words, with the way out: a machine without a desktop session often has no keyring."""
    import keyring.errors

    if isinstance(error, keyring.errors.NoKeyringError):
        return f"this machine has no keyring (no desktop session?): {_INSTEAD}"
    if isinstance(error, keyring.errors.KeyringLocked):
        return f"the keyring is locked: unlock it, or {_INSTEAD}"
    return f"the keyring cannot be used ({type(error).__name__}): {_INSTEAD}"
