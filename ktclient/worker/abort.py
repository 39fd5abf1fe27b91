"""What an attempt leaves behind on its server, and waiting until it is gone.

sglang-kt computes an aborted prefill to its end (a ghost prefill: recorded, 60,605 tokens after a
cut at 20,480). A request sent meanwhile waits behind it, and one sent again is paid twice.
"""

from __future__ import annotations

import queue
import time

from jobs.errors import KtjobError
from jobs.worker.attempt import RunningAttempt
from ktclient.errors import ConnectionRefused, ServerDied, StreamCut
from ktclient.servers import probe, queries
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.wording import after_time
from ktclient.worker.ghost_prefill import LOOK_SECONDS, Ghost
from ktclient.worker.heartbeat import call_in_thread, sleep, start
from server_bundle.errors import NoServer

ABORT_SECONDS = 2.0
"""How long a cancel waits for the answer to its abort. sglang gives it at once; a server that
hangs gives none."""
AFTER_CANCEL_SECONDS = 5.0
"""How long a cancel looks whether the server falls silent, before it says that it has not. sglang
answers no question inside of a chunk, so no answer in that time says the same."""
DEATH_SECONDS = 0.3
"""Between two looks whether a server that cut the connection still listens."""


def abort(facts: ServerFacts, api_key: str | None, rid: str) -> bool:
    """Ask the server to stop a request, before its connection is closed: then it is known by its
    name. False when it has no way to be asked, or did not answer soon."""
    try:
        return start(lambda: queries.abort(facts, api_key, rid)).get(timeout=ABORT_SECONDS) is True
    except queue.Empty:
        return False


def abort_unheard(performing: RunningAttempt, facts: ServerFacts, api_key: str | None) -> None:
    """The line is gone, and whatever was in between may still hold the server's end of it: then
    nobody else tells it that nobody waits any more."""
    if abort(facts, api_key, performing.rid):
        performing.note("abort", asked=True, dialect=facts.dialect)


def wait_and_report(facts: ServerFacts, api_key: str | None, ghost: Ghost) -> str:
    """Once a request was aborted and its connection closed: what the server still does, in words;
    empty when it fell silent, or cannot say."""
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
        f"{facts.url} still computes: either for somebody else, or to the end of this prompt, as "
        f"sglang-kt does{ghost}; until then the next request waits, and only a restart of the "
        "server ends it sooner"
    )


def classify_cut(
    performing: RunningAttempt,
    facts: ServerFacts,
    api_key: str | None,
    error: StreamCut,
    seconds: float,
) -> KtjobError:
    """Whether a connection that ended in the middle, after so many seconds, was the server's end.
    Raises `WorkCancelled`."""
    when = after_time(seconds)
    for _ in range(3):  # a dying process closes its connections before it stops to listen
        try:
            call_in_thread(performing, lambda: probe.probe(facts.url, api_key))
        except ConnectionRefused:
            return ServerDied(
                f"the server at {facts.url} died {when}before the answer was whole: nothing "
                "listens there any more. Its log says why, memory being the usual reason; start "
                "it again."
            )
        except NoServer:
            sleep(performing, DEATH_SECONDS)
        except KtjobError:
            return error
        else:
            return error
    return error
