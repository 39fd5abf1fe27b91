"""Which work a job of many requests is done by."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.worker.attempt import Perform
from ktclient.errors import BadInput
from ktclient.records.kinds import SPLIT


def conductor_for(kind: str) -> Perform:
    """The function that performs such a job. Raises `BadInput` for a kind of a newer ktjob."""
    found = _conductors().get(kind)
    if found is None:
        raise BadInput(
            f"this job was submitted by a newer ktjob ({kind!r} is unknown here); upgrade ktjob"
        )
    return found


def _conductors() -> Mapping[str, Perform]:
    from ktclient.batch import spec as batch_spec
    from ktclient.worker import batch_conductor, split_conductor

    return {batch_spec.CONDUCT: batch_conductor.conduct, SPLIT: split_conductor.conduct}
