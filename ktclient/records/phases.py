"""The names of a job's phases, as the worker writes them and people read them."""

from __future__ import annotations

WAITING_FOR_SERVER = "waiting for the server"
"""The phase of a job whose server accepts no requests; the figure `last_refusal` has the reason."""


NOT_ANSWERING = "not answering"
"""The phase of a job whose server has not answered for a minute; done and total are seconds."""
