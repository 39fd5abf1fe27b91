"""Deleting jobs one by one, for `rm` and `gc`."""

from __future__ import annotations

import json
from collections.abc import Callable

from jobs.errors import NoSuchJob
from jobs.store.state_dir import StateDir
from ktclient.cli.render import output
from ktclient.records.output_schema import SCHEMA

SIZES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def print_removed(ids: list[str], *, dry_run: bool) -> None:
    output.print_data(json.dumps({"schema": SCHEMA, "removed": ids, "dry_run": dry_run}))


def delete(state: StateDir, ids: list[str], dry_run: bool, tell: Callable[[str], None]) -> None:
    from jobs.upkeep import garbage

    for job_id in ids:
        if not dry_run:
            try:
                garbage.delete_job(state, job_id)
            except NoSuchJob:  # another gc was faster
                continue
        tell(job_id)


def give_back(state: StateDir) -> None:
    from jobs.upkeep import garbage

    with garbage.Upkeep.open(state) as store:
        kept = store.give_back()
    if kept > SIZES["M"]:
        output.note(
            f"{size_text(kept)} stay in the file for new jobs; while none runs, gc returns them"
        )


def size_text(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
