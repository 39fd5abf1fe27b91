"""Map foreign errors (openai's, httpx2's) to leaves of the error tree, in this one place.

The deciding question is whether the server may have started to compute: before that a retry costs
nothing, after it a retry may cost half an hour.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx2

from jobs.errors import KtjobError
from ktclient.errors import ErrorInStream, ProtocolError
from ktclient.request import connection_errors, error_bodies, status_errors
from ktclient.request.refusals import busy
from ktclient.request.status_errors import Refusal
from ktclient.wording import quote, spoken

if TYPE_CHECKING:
    import openai

_NO_BODY = re.compile(r"Error code: \d+")
"""openai's message for a status without a body."""


def explain(
    error: BaseException, url: str, *, sent: bool, begun: bool = False, seconds: float = 0.0
) -> KtjobError:
    """The `KtjobError` for whatever ended a request to `url`. `sent`: the whole request was sent,
    `seconds` ago; `begun`: output or progress has arrived."""
    if isinstance(error, KtjobError):
        return error
    if isinstance(error, httpx2.HTTPError):
        if (answer := _refused(error)) is not None:
            return status_errors.by_status(
                Refusal(url, answer.status_code, "", "", seconds, answer.headers)
            )
        return connection_errors.explain(error, url, sent=sent, seconds=seconds)
    import openai  # half a second; only its own client raises what follows

    if isinstance(error, openai.APIStatusError):
        body, headers = _whole_body(error), error.response.headers
        words, codes = _message(error, body), error_bodies.codes(body)
        return status_errors.by_status(
            Refusal(url, error.status_code, words, codes, seconds, headers)
        )
    if isinstance(error, openai.APIConnectionError):
        return connection_errors.explain(error, url, sent=sent, seconds=seconds)
    if isinstance(error, openai.APIError):
        return in_stream(error.body, url, begun=begun, seconds=seconds, told=error.message)
    if isinstance(error, (openai.OpenAIError, ValueError, RecursionError)):
        return ProtocolError(
            f"the response of {url} does not follow the OpenAI protocol ({_words(error)}). Check "
            "that it is an OpenAI-compatible server, with no proxy in between that changes "
            "responses."
        )
    raise error


def _refused(error: httpx2.HTTPError) -> httpx2.Response | None:
    """The error response whose body could not be read, if there is one: its status has arrived,
    and is an answer."""
    found = (
        one for one in connection_errors.chain(error) if isinstance(one, httpx2.HTTPStatusError)
    )
    return next((one.response for one in found), None)


def by_answer(url: str, answer: httpx2.Response) -> KtjobError:
    """The `KtjobError` for a short query that was answered with anything but 200."""
    try:
        body: object = answer.json()
    except (ValueError, RecursionError):
        body = answer.text
    words, codes = error_bodies.words(body), error_bodies.codes(body)
    return status_errors.by_status(
        Refusal(url, answer.status_code, words, codes, 0.0, answer.headers)
    )


def in_stream(
    body: object, url: str, *, begun: bool = False, seconds: float = 0.0, told: str = ""
) -> KtjobError:
    """HTTP 200, then `data: {"error": …}`: how sglang reports most errors of streams. Its code, a
    number or a word, counts as a status if it blames the request, or says that nothing was
    computed."""
    code = error_bodies.status(body)
    words = error_bodies.words(body) or error_bodies.shown(body) or quote(told)
    says_busy = code in (None, 500) and seconds <= status_errors.QUICK_SECONDS
    status = (busy.status(words) if says_busy else None) or code or 500
    refusal = Refusal(url, status, words, error_bodies.codes(body), seconds)
    if status_errors.is_cache_exhausted(refusal):
        return status_errors.cache_exhausted(refusal)
    is_said = status_errors.is_busy(refusal) or status_errors.is_too_long(refusal)
    if not begun and (400 <= status < 500 or is_said):
        return status_errors.by_status(refusal)
    after = f" after {spoken(seconds)}" if seconds >= 1 else ""
    error = f"error {code}: {words}" if code and str(code) in str(body) else words
    began = "started to answer and then failed" if begun else "failed before its first word"
    return ErrorInStream(
        f"the server at {url} {began}{after} ({error}). "
        f"{status_errors.own_limit(refusal) or 'See its log.'}"
    )


def _whole_body(error: openai.APIStatusError) -> object:
    """The body of an error response; openai's library drops what stands beside its "error"."""
    try:
        return error.response.json()
    except (ValueError, RecursionError):
        return error.body


def _message(error: openai.APIError, body: object) -> str:
    said = error_bodies.words(body) or error_bodies.words(error.body) or quote(str(error))
    return "" if _NO_BODY.fullmatch(said) else said


def _words(error: BaseException) -> str:
    """An error's message, or its class name if the message is empty."""
    if isinstance(error, RecursionError):
        return "an event is nested too deeply"
    return quote(str(error)) or type(error).__name__
