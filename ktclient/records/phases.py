"""The phases of a running job, as its worker writes them and people read them.

They are data: printed as they are, also by `--json`. A job that starts the embedded server writes
that start's own steps as phases too.
"""

from __future__ import annotations

STARTING = "starting"
"""Claimed; what `jobs.store` writes with the claim."""
PREPARING = "preparing"
"""Looking for the embedded server, or starting it."""
CONNECTING = "connecting"
WAITING_FOR_SERVER = "waiting for the server"
"""The server does not accept requests; the metric `last_refusal` has the reason."""
WAITING_FOR_SETTINGS = "waiting for its settings"
"""The configuration or an API key cannot be read; `last_refusal` has the reason here too."""
PAUSED = "paused"
"""Paused after its worker claimed it and before its request was sent; `last_refusal` has the reason
here too."""
WAITING_FOR_LAST_ATTEMPT = "waiting for the last attempt to end on the server"
"""The request of an earlier attempt is still computed (a ghost prefill)."""
SENDING = "sending"
WAITING = "waiting"
"""Sent, and nothing read yet as far as the server shows."""
PREFILL = "prefill"
DECODE = "decode"
NOT_ANSWERING = "not answering"
"""The server has answered no query for a minute. `done` and `total` are seconds then."""
CHECKING_REQUESTS = "checking requests"
"""Of a batch that came over HTTP: its file was stored as it came."""

REFUSED = (WAITING_FOR_SERVER, WAITING_FOR_SETTINGS, PAUSED)
"""In these `last_refusal` has the reason."""
BEFORE_SENDING = frozenset(
    (
        *(STARTING, PREPARING, CONNECTING),
        *(WAITING_FOR_SERVER, WAITING_FOR_SETTINGS, WAITING_FOR_LAST_ATTEMPT, PAUSED),
        CHECKING_REQUESTS,
    )
)
"""In these the server has nothing to compute for the attempt."""

STORING_REQUESTS = "storing requests"
RUNNING_REQUESTS = "asking"
WRITING_RESULTS = "writing results"
"""Of a batch: its own steps, while its requests are jobs of their own."""

READING_PARTS = "reading parts"
COMBINING_PARTS = "combining parts"
WRITING_ANSWER = "writing"
"""Of a document in parts."""
