"""Where a server's API key is: an environment variable, a file, or the desktop's keyring.

The text of a key is in no message, no `repr`, and never in the configuration file.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from jobs import extras, known_secrets
from jobs.quick_dataclass import record
from ktclient.errors import BadSetting

SERVICE = "ktjob"
"""The service name of ktjob's keys in a keyring; each is stored under its server's name."""

ENVIRONMENT, FILE, KEYRING = "environment", "file", "keyring"
MOST_BYTES = 64_000
"""Of a file that holds a key: servers limit a request's headers to less."""

_INSTEAD = "set api_key_file to a file, or api_key_env to a variable"


@record(frozen=True)
class KeySource:
    """One place that holds a key."""

    kind: str
    """`ENVIRONMENT`, `FILE` or `KEYRING`."""
    place: str
    """The variable, the file's path, or the name in the keyring."""
    said_by: str
    """The setting that names this place, for messages."""

    def read(self, environ: Mapping[str, str]) -> str:
        """The key. Raises `BadSetting` if there is none, or none that can be sent."""
        if self.kind == ENVIRONMENT:
            text = environ.get(self.place, "")
            if not text:
                raise BadSetting(
                    f"{self.said_by}: the variable {self.place} is not set. Set it, or store the "
                    "key in a file (api_key_file) or the keyring"
                )
        else:
            text = self._of_file() if self.kind == FILE else self._of_keyring()
        if not text.strip():  # as while an editor writes it
            raise BadSetting(f"{self.said_by}: {self.place} is empty; write the key into it")
        return usable(text, self.said_by)

    def _of_file(self) -> str:
        try:
            return _content(Path(self.place).expanduser()).decode("utf-8-sig")
        except (OSError, ValueError, RuntimeError) as error:
            from ktclient import wording

            raise BadSetting(
                f"{self.said_by}: {self.place} cannot be read: {wording.reason(error)}"
            ) from None

    def _of_keyring(self) -> str:
        text = read_keyring(self.place, self.said_by)
        if not text:
            raise BadSetting(
                f"{self.said_by}: the keyring has no key for {self.place!r}. Store it with: "
                f"ktjob config key {self.place}"
            )
        return text


def _content(path: Path) -> bytes:
    """Of a regular file of a sane size: a pipe might never be written to. Raises `OSError`."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {MOST_BYTES:,} bytes, so it is no key")
    return content


def usable(key: str, where: str) -> str:
    """The key without blanks around it, which no text shows from now on. Raises `BadSetting` for
    one that cannot be sent."""
    key = key.strip()
    known_secrets.know(key)
    if not (key.isascii() and key.isprintable()):
        raise BadSetting(
            f"{where}: the key contains characters that are not allowed in an HTTP header"
        )
    return key


def read_keyring(name: str, said_by: str) -> str | None:
    """The keyring's key for a server; None if it has none. Raises `BadSetting` if there is no
    keyring, or it stays locked."""
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise BadSetting(
            f"{said_by}: the keyring library is missing: {extras.command('keyring')}"
        ) from None
    try:
        return keyring.get_password(SERVICE, name)
    except Exception as error:  # of any backend, such as D-Bus
        raise BadSetting(f"{said_by}: {_trouble(error)}") from error


def store_in_keyring(name: str, key: str) -> str:
    """Store a key for a server. Returns the keyring's own name. Raises `BadSetting`."""
    about = f"the key of {name}"
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise BadSetting(
            f"{about}: the keyring library is missing: {extras.command('keyring')}"
        ) from None
    try:
        keyring.set_password(SERVICE, name, key)
    except (keyring.errors.KeyringError, OSError, RuntimeError) as error:
        raise BadSetting(f"{about} was not stored: {_trouble(error)}") from error
    if (
        keyring.get_password(SERVICE, name) != key
    ):  # the null backend accepts every key and stores none
        raise BadSetting(
            f"{about} was not stored: this machine's keyring does not store keys; {_INSTEAD}"
        )
    return str(keyring.get_keyring().name)


def _trouble(error: Exception) -> str:
    """The error as a message with a fix: a machine without a desktop session often has no
    keyring."""
    import keyring.errors

    if isinstance(error, keyring.errors.NoKeyringError):
        return f"this machine has no keyring (no desktop session?): {_INSTEAD}"
    if isinstance(error, keyring.errors.KeyringLocked):
        return f"the keyring is locked: unlock it, or {_INSTEAD}"
    return f"the keyring cannot be used ({type(error).__name__}): {_INSTEAD}"
