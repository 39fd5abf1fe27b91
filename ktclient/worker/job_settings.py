"""What a job needs of the configuration, read anew before each try.

Only that: an error in another table ([notify], [defaults] …) holds up no job, and none holds up a
job for the embedded server. What cannot be read now is waited for (retry.py), like a server that
is away: an editor has half written the file, or its disk is not mounted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from jobs.worker.attempt import RunningAttempt
from ktclient.config import keys, server_key
from ktclient.config import settings as config
from ktclient.errors import BadSetting
from ktclient.submission import lent_keys
from ktclient.submission.spec import JobSpec
from ktclient.worker.heartbeat import call_in_thread

_TABLES = ("server", "servers")


@dataclass(frozen=True)
class JobSettings:
    """Where the cache is, and the API key for the job's server; None: it needs none."""

    cache: Path
    api_key: str | None = field(default=None, repr=False)
    may_probe: bool = True
    """Whether the server may be asked, while it is silent, whether it is alive."""
    parallel: int | None = None
    """How many simultaneous requests the server may be given, as configured."""


def read(attempt: RunningAttempt, spec: JobSpec) -> JobSettings:
    """The settings of a job, now. Raises `BadSetting` and `WorkCancelled`."""
    if spec.server == config.EMBEDDED:
        return JobSettings(config.cache())
    # In a thread: a keyring may ask its owner to unlock it, and a file system may hang.
    return call_in_thread(attempt, lambda: _of_server(attempt, spec))


def _of_server(attempt: RunningAttempt, spec: JobSpec) -> JobSettings:
    lent = lent_keys.of(attempt.state, spec.server)
    settings = config.of_worker(lent, _TABLES)
    try:
        key = settings.key_for(spec.server)
    except BadSetting as error:
        source = settings.of_url(spec.server).key
        if lent is not None or source is None or source.kind != keys.ENVIRONMENT:
            raise
        raise BadSetting(
            f"{error}. A job submitted for that server with it set lends it"
        ) from error
    if key is None and spec.has_key:
        raise BadSetting(
            f"{settings.config_file} names no API key for {spec.server} any more, and nothing was "
            "sent without one. Restore it under [server] or [servers], or submit another job for "
            f"that server with {server_key.VARIABLE} set; if the server needs no key any more, "
            "cancel this job and submit it again"
        )
    server = settings.of_url(spec.server)
    return JobSettings(settings.cache, key, server.may_probe, server.parallel)
