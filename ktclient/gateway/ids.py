"""Ids of jobs as the interfaces spell them: each kind of object has a prefix, the rest is the job's
id."""

from __future__ import annotations

RESPONSE, CHAT, BATCH = "resp_", "chatcmpl-", "batch_"


def job_id_of(text: str, prefix: str) -> str:
    """The id of the job that an id of this kind names. A job's own id names it too: jobs of the
    command line can be retrieved by it."""
    return text.removeprefix(prefix)
