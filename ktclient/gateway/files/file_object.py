"""Files as OpenAI's objects, and the checks of what is said of a new one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote as percent_encoded

from jobs import clock
from jobs.store.http.values import File
from ktclient.gateway.wire.errors import ApiError
from ktclient.wording import quote

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
OUTPUT = "batch_output"
"""The purpose of results."""
ANCHOR = "created_at"
LEAST_SECONDS, MOST_SECONDS = 3600, 2_592_000
"""Of `expires_after`, as OpenAI has it: an hour to 30 days."""


@dataclass(frozen=True)
class Shown:
    """What is said of a file, wherever its bytes are. Times as in the store."""

    id: str
    filename: str
    purpose: str
    bytes: int
    created_at: str
    expires_at: str | None = None

    @classmethod
    def of(cls, file: File) -> Shown:
        return cls(
            file.id, file.filename, file.purpose, file.bytes, file.created_at, file.expires_at
        )

    def to_json(self) -> dict[str, object]:
        """OpenAI's object."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": epoch(self.created_at),
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
            "expires_at": None if self.expires_at is None else epoch(self.expires_at),
        }


def epoch(at: str) -> int:
    """A stored time in seconds since 1970."""
    return int(clock.moment(at).timestamp())


def purpose(given: object) -> str:
    """A valid purpose. Raises `ApiError`."""
    if given not in PURPOSES:
        known = ", ".join(PURPOSES)
        words = f"purpose is {quote(str(given))}; it must be one of: {known}"
        raise ApiError(400, words, param="purpose", code="invalid_value")
    return str(given)


def lifetime(given: object, param: str = "expires_after") -> int | None:
    """The seconds in an `expires_after` object; None if there is none. Raises `ApiError`."""
    if given is None:
        return None
    if not isinstance(given, Mapping) or given.get("anchor") != ANCHOR:
        words = f"{param} must have the anchor {ANCHOR}, and seconds"
        raise ApiError(400, words, param=f"{param}[anchor]", code="invalid_value")
    seconds = given.get("seconds")
    if isinstance(seconds, str) and seconds.isascii() and seconds.isdigit() and len(seconds) < 9:
        seconds = int(seconds)
    is_number = isinstance(seconds, int) and not isinstance(seconds, bool)
    if not is_number or not LEAST_SECONDS <= int(str(seconds)) <= MOST_SECONDS:
        words = f"{param}: seconds must be a number from {LEAST_SECONDS:,} to {MOST_SECONDS:,}"
        raise ApiError(400, words, param=f"{param}[seconds]", code="invalid_value")
    return int(str(seconds))


def lifetime_of_form(fields: Mapping[str, str]) -> int | None:
    """The same for the fields of a form, `expires_after[anchor]` and `expires_after[seconds]`."""
    prefix = "expires_after["
    given = {
        name.removeprefix(prefix).removesuffix("]"): text
        for name, text in fields.items()
        if name.startswith(prefix)
    }
    return lifetime(given or None)


def expiry(seconds: int | None) -> str | None:
    """When a file ends that lives so long from now."""
    return None if seconds is None else clock.ago(-seconds)


def disposition(filename: str) -> str:
    """The header Content-Disposition for a download under this name (RFC 6266)."""
    plain = "".join(one if " " <= one <= "~" and one not in '"\\%' else "_" for one in filename)
    return (
        f"attachment; filename=\"{plain}\"; filename*=UTF-8''{percent_encoded(filename, safe='')}"
    )
