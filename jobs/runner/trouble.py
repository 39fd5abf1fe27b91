"""Errors of the system in a runner and its children, in words: a traceback is for bugs only."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from jobs import program
from jobs.errors import KtjobError
from jobs.runner.runner_lock import log
from jobs.store import diagnosis
from jobs.store.state_dir import StateDir
from jobs.system import no_memory


def words(error: Exception, state: StateDir) -> str | None:
    """What happened and what to do, for an error of the store, of the system or of ktjob's own
    files, or for lack of memory; None for any other, which is a bug."""
    if isinstance(error, KtjobError):
        return str(error)
    if no_memory.is_it(error):
        return f"{no_memory.words(error)}."
    if isinstance(error, ImportError):
        return program.incomplete(error)
    if isinstance(error, OSError):
        return str(diagnosis.of_system(error, Path(error.filename or state.root)))
    return None


def report(error: Exception, state: StateDir, job_id: str) -> None:
    """Log why a worker ended before it could record the end of its job. Call it in the `except`
    block."""
    if (told := words(error, state)) is not None:
        runner = os.getppid()  # whose limits the next worker will have, too
        log(f"the worker of job {job_id}, a child of process {runner}, ended, retrying: {told}")
    else:
        traceback.print_exc()
