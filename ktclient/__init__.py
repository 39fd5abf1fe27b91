"""Long requests to self-hosted LLMs that never get lost.

>>> from pathlib import Path
>>> from ktclient import submit_long
>>> job = submit_long(Path("report.txt"), summarize=True)  # returns immediately; it runs detached
>>> print(job.id, job.wait().result())                     # or come back tomorrow: Job("k7…")

Names are imported on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from ktclient._version import __version__ as __version__

TYPE_CHECKING = False  # as type checkers know it; `typing` may be hidden by a file of the user
if TYPE_CHECKING:
    from ktclient import errors
    from ktclient.api.job import Job as Job
    from ktclient.api.queue_control import pause_queue as pause_queue
    from ktclient.api.queue_control import resume_queue as resume_queue
    from ktclient.api.remote_job import FarJob as FarJob
    from ktclient.api.remote_job import RemoteJob as RemoteJob
    from ktclient.api.selection import Selection as Selection
    from ktclient.api.selection import import_jobs as import_jobs
    from ktclient.api.selection import select as select
    from ktclient.api.submit import submit_batch as submit_batch
    from ktclient.api.submit import submit_files as submit_files
    from ktclient.api.submit import submit_long as submit_long
    from ktclient.api.submit import submit_questions as submit_questions

__all__ = [
    "FarJob",
    "Job",
    "RemoteJob",
    "Selection",
    "__version__",
    "errors",
    "import_jobs",
    "pause_queue",
    "resume_queue",
    "select",
    "submit_batch",
    "submit_files",
    "submit_long",
    "submit_questions",
]

_HOMES = {
    "FarJob": "ktclient.api.remote_job",
    "Job": "ktclient.api.job",
    "RemoteJob": "ktclient.api.remote_job",
    "Selection": "ktclient.api.selection",
    "import_jobs": "ktclient.api.selection",
    "select": "ktclient.api.selection",
    "pause_queue": "ktclient.api.queue_control",
    "resume_queue": "ktclient.api.queue_control",
    "submit_batch": "ktclient.api.submit",
    "submit_files": "ktclient.api.submit",
    "submit_long": "ktclient.api.submit",
    "submit_questions": "ktclient.api.submit",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'ktclient' has no attribute {name!r}")
    import importlib

    try:
        if name == "errors":
            return importlib.import_module("ktclient.errors")
        return getattr(importlib.import_module(_HOMES[name]), name)
    except Exception as error:  # a file that is not ours may raise anything
        from ktclient import hidden

        if (words := hidden.explained(error)) is None:
            raise
        raise hidden.PackageHidden(words) from None


def __dir__() -> list[str]:
    return __all__
