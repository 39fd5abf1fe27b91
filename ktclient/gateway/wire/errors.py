"""OpenAI's error objects: which status, type and code an error of ours becomes.

`x-should-retry: false` goes with every error that asking again does not cure: openai's clients
would otherwise send the request twice more after any status from 500 on, 408, 409 and 429.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jobs.errors import (
    AmbiguousId,
    KtjobError,
    NoSuchJob,
    NotEnoughMemory,
    OutOfMemory,
    StoreUnusable,
)
from ktclient.errors import (
    BadInput,
    BodyTooLarge,
    DoesNotFit,
    ModelUnknown,
    NoServer,
    RateLimited,
    RequestFailed,
    ServerBusy,
    ServerRefused,
    Unauthorized,
)

INVALID, NOT_FOUND = "invalid_request_error", "not_found_error"
AUTHENTICATION, PERMISSION = "authentication_error", "permission_error"
TOO_LONG = "the prompt is too long"
"""By such words rather than by the code, litellm 1.110 and langchain-openai 1.7 recognise an
overflow, after which agents shorten their history."""
RATE, SERVER = "rate_limit_error", "server_error"


@dataclass
class ApiError(Exception):
    """An answer that is an error."""

    status: int
    message: str
    type: str = INVALID
    code: str | None = None
    param: str | None = None
    """The name of the field, or of the query parameter."""
    is_curable: bool = False
    """Whether the same request may succeed later."""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, object]:
        """The JSON body."""
        said = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": said}

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers that belong to it."""
        return {"x-should-retry": "true" if self.is_curable else "false", **self.headers}


_TABLE: tuple[tuple[type[KtjobError], int, str, str | None, bool], ...] = (
    (DoesNotFit, 400, INVALID, "context_length_exceeded", False),
    (ModelUnknown, 404, INVALID, "model_not_found", False),
    (NoSuchJob, 404, INVALID, "not_found", False),
    (AmbiguousId, 404, INVALID, "not_found", False),
    (BodyTooLarge, 413, INVALID, "request_too_large", False),
    (BadInput, 400, INVALID, None, False),
    # The server behind refuses the key that the gateway has for it: not the caller's fault.
    (Unauthorized, 502, SERVER, "server_refused_key", False),
    (RateLimited, 429, RATE, "rate_limit_exceeded", True),
    (ServerBusy, 503, SERVER, None, True),
    (NoServer, 503, SERVER, None, True),
    (StoreUnusable, 503, SERVER, None, True),
    (NotEnoughMemory, 503, SERVER, None, True),
    (OutOfMemory, 503, SERVER, None, True),
    # Its words say which field; a client that takes it for a failure would send it again.
    (ServerRefused, 400, INVALID, None, False),
    (RequestFailed, 502, SERVER, None, False),
)
"""The first that fits."""


def of(error: KtjobError) -> ApiError:
    """The answer for an error of ours; its `cause` is the code where OpenAI has none."""
    for kind, status, type_, code, is_curable in _TABLE:
        if isinstance(error, kind):
            words = f"{TOO_LONG}: {error}" if kind is DoesNotFit else str(error)
            return ApiError(status, words, type_, code or error.cause, None, is_curable)
    return ApiError(500, str(error), SERVER, error.cause)


def too_large(most: int) -> ApiError:
    """The error for a body of more than so many bytes."""
    words = f"the request has more than {most:,} bytes. Send a smaller one"
    return ApiError(413, words, code="request_too_large", headers={"connection": "close"})
