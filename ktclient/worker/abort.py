"""Abort a request on its server, and find out why a connection broke.

sglang-kt computes an aborted prefill to its end: what the server still does after an abort is part
of the message.
"""

from __future__ import annotations

import queue
import time

from jobs.errors import KtjobError
from jobs.worker.attempt import RunningAttempt
from ktclient.errors import ConnectionRefused, ServerDied, StreamCut
from ktclient.servers import probe, queries, starting
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.wording import after_time
from ktclient.worker.ghost_prefill import LOOK_SECONDS, Ghost
from ktclient.worker.heartbeat import call_in_thread, sleep, start
from server_bundle.errors import NoServer

ABORT_SECONDS = 2.0
"""How long a cancel waits for the answer to its abort. sglang answers immediately; a hung server
never does."""
AFTER_CANCEL_SECONDS = 1.0
"""How long a cancel checks whether the server becomes idle, before it reports that it has not.
sglang answers no query inside a chunk, so no answer in that time means the same. Short, because
people wait for it; before the next request its worker looks for as long as it takes."""
DEATH_SECONDS = 0.3
"""Seconds between two checks whether a server that cut the connection still listens."""


def abort(facts: ServerFacts, api_key: str | None, rid: str) -> bool:
    """Ask the server to stop a request, before its connection is closed: until then the server
    still knows its rid. False if the server has no abort endpoint, or did not answer soon."""
    try:
        return start(lambda: queries.abort(facts, api_key, rid)).get(timeout=ABORT_SECONDS) is True
    except queue.Empty:
        return False


def abort_unheard(attempt: RunningAttempt, facts: ServerFacts, api_key: str | None) -> None:
    """Abort after the connection was lost: a proxy in between may still hold the server's end open,
    so nothing else informs the server that its client is gone."""
    if abort(facts, api_key, attempt.rid):
        attempt.log_event("abort", asked=True, dialect=facts.dialect)


def wait_and_report(
    facts: ServerFacts, api_key: str | None, ghost: Ghost, others: str = "other clients"
) -> str:
    """After a request was aborted and its connection closed: what the server still computes, as
    text; empty if it became idle, or cannot report it. `others`: for whom besides."""
    give_up = time.monotonic() + AFTER_CANCEL_SECONDS
    while (left := give_up - time.monotonic()) > 0:
        try:
            silent = start(lambda: queries.is_idle(facts, api_key)).get(timeout=left)
        except queue.Empty:
            break
        if silent is not False:
            return ""
        time.sleep(LOOK_SECONDS / 4)
    return (
        f"{facts.url} still computes: either for {others}, or the rest of this prompt, as "
        f"sglang-kt does{ghost}; until then the next request waits; only a restart of the server "
        "ends it sooner"
    )


def classify_cut(
    attempt: RunningAttempt,
    facts: ServerFacts,
    api_key: str | None,
    error: StreamCut,
    seconds: float,
) -> KtjobError:
    """Whether a connection that broke mid-answer, after this many seconds, means that the server
    died. Raises `WorkCancelled`."""
    when = after_time(seconds)
    for _ in range(3):  # a dying process closes its connections before it stops to listen
        try:
            call_in_thread(attempt, lambda: probe.probe(facts.url, api_key))
        except ConnectionRefused:
            return ServerDied(
                f"the server at {facts.url} died {when}before the answer was complete: nothing "
                f"listens there any more. {_what_now(attempt, facts.url)}"
            )
        except NoServer:
            sleep(attempt, DEATH_SECONDS)
        except KtjobError:
            return error
        else:
            return error
    return error


def _what_now(attempt: RunningAttempt, url: str) -> str:
    """What to do about a server that died: start it, unless its supervisor does."""
    name = starting.restarted_on(attempt.state.servers, url)
    if name is None:
        return "See its log (the usual reason is memory), then start it again."
    return (
        f"ktserver starts {name!r} again (ktserver status). Why it died: ktserver explain --last "
        "(the usual reason is memory)."
    )
