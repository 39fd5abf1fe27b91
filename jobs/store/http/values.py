"""Rows of requests, files, uploads and API keys as values. Times are UTC, ISO 8601."""

from __future__ import annotations

from dataclasses import field

from jobs.quick_dataclass import record


@record(frozen=True)
class Request:
    """The request that a job came with over HTTP."""

    job_id: str
    owner: str
    surface: str
    digest: str
    fields: dict[str, object]
    """What its answers repeat of it, and its input."""
    is_stored: bool
    created_at: str
    delivered_at: str | None
    """When its answer was delivered first."""
    deleted_at: str | None
    """When it was deleted over HTTP; its job may not have ended yet."""


@record(frozen=True)
class Head:
    """As much of a job as tells whether its streams have something new to say."""

    id: str
    status: str
    outcome: str
    attempt: int
    pieces: int
    """The `seq` of the attempt's last piece of output; 0 before the first."""
    marks: int
    """The number of the job's last progress mark; 0 before the first."""


@record(frozen=True)
class ProgressMark:
    """What streams of a job said between two pieces of its output, the same in every stream."""

    number: int
    attempt: int
    """0 while the job is queued for its first attempt."""
    after_piece: int
    """The `seq` of the piece of that attempt after which it was said; 0: before the first."""
    at: str
    data: dict[str, object]


@record(frozen=True)
class Totals:
    """What the parts of a job have come to: how many ended how, and tokens of their attempts."""

    succeeded: int
    failed: int
    """FAILED or LOST; not those that were cancelled."""
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    thought_tokens: int


@record(frozen=True)
class File:
    """A file that was uploaded. Its bytes are in a file of its id."""

    seq: int
    id: str
    owner: str
    filename: str
    purpose: str
    bytes: int
    created_at: str
    expires_at: str | None


@record(frozen=True)
class NewFile:
    """What the caller says of a new file. `bytes` is its size."""

    id: str
    owner: str
    filename: str
    purpose: str
    bytes: int
    expires_at: str | None = None


@record(frozen=True)
class Upload:
    """An upload in parts. `bytes` is the size that was announced."""

    id: str
    owner: str
    filename: str
    purpose: str
    mime_type: str
    bytes: int
    status: str
    """pending, completed, cancelled or expired."""
    file_id: str | None
    file_seconds: int | None
    """How long its file is kept, from its completion."""
    created_at: str
    expires_at: str


@record(frozen=True)
class UploadPart:
    """One part of an upload. Its bytes are in a file of its id."""

    id: str
    upload_id: str
    bytes: int
    created_at: str


@record(frozen=True)
class ApiKey:
    """Who may use the gateway. `hash`: SHA-256 of the key, hexadecimal."""

    id: str
    name: str
    hash: str = field(repr=False)
    is_admin: bool
    created_at: str
    expires_at: str | None
