"""Suggest the next commands for a job, by its state and its cause of failure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from jobs import durations
from jobs.store.state_dir import StateDir
from ktclient.records.snapshot import Snapshot

_EXPLAIN = ("ktserver explain --last", "diagnose the server's log")
_STATUS = ("ktserver status", "show whether the server is running")
_OF_OTHERS = {
    _EXPLAIN: ("ktserver explain LOGFILE", "diagnose the server's log, if it is sglang's"),
    _STATUS: ("ktjob config check", "show whether the servers of the configuration answer"),
}
"""What to try instead where ktserver did not start the server."""
_DOCTOR = ("ktjob doctor", "check this machine for what can end or lose jobs")
_LOGS = ("ktjob logs {id}", "show what happened, step by step")
_CHECK = ("ktjob check FILE --max-tokens N", "check whether it fits, and if not, what is missing")

BY_CAUSE: Mapping[str, tuple[str, str]] = {
    "server_died": _EXPLAIN,
    "server_broke": _EXPLAIN,
    "server_hung": _EXPLAIN,
    "server_silent": _EXPLAIN,
    "error_in_stream": _EXPLAIN,
    "aborted_by_server": _EXPLAIN,
    "stream_cut": _EXPLAIN,
    "connection_refused": _STATUS,
    "server_unreachable": _STATUS,
    "link_lost": _STATUS,
    "no_server": _STATUS,
    "server_did_not_start": ("ktserver logs", "the log of the embedded server"),
    "weights_unavailable": _DOCTOR,
    "worker_died": _DOCTOR,
    "store_unusable": _DOCTOR,
    "does_not_fit": _CHECK,
}
"""Cause -> the first command to try. For every other cause: the log of the job."""


@dataclass(frozen=True)
class Step:
    """A command line, complete except for words in capitals, and what it shows or does."""

    command: str
    why: str


def steps(job: Snapshot, *, has_text: bool, is_own_server: bool) -> list[Step]:
    """The next commands, the most useful first. `is_own_server`: ktserver started the job's
    server."""
    if not job.is_finished:
        if job.cancel_requested:
            return [Step(f"ktjob wait {job.id}", "wait until the job has ended")]
        return [Step(f"ktjob follow {job.id}", "progress, then the answer as it is generated")]
    if job.state == "SUCCEEDED":
        longer = [_again(job, "a longer answer")] if job.is_truncated else []
        return [Step(f"ktjob result {job.id}", "the answer"), *longer]
    kept = [Step(f"ktjob result {job.id}", "the partial output")] if has_text else []
    if job.imported:
        return [*kept, Step(f"ktjob rerun {job.id}", "send its request from here")]
    retry = Step(f"ktjob retry {job.id}", "retry; finished parts are reused")
    if job.cause == "part_failed":
        return [Step(f"ktjob show {job.id}", "which part failed, and why"), *kept, retry]
    whole = job.parent or job.id
    if job.state == "CANCELLED":
        return [*kept, Step(f"ktjob retry {whole}", "run it again")]
    first = BY_CAUSE.get(job.cause or "", _LOGS)
    command, why = first if is_own_server else _OF_OTHERS.get(first, first)
    if job.cause == "deadline_exceeded":
        again = _again(job, "submit it again with more time")
    else:
        again = Step(f"ktjob retry {whole}", "retry after fixing the cause")
    return [Step(command.format(id=job.id), why), *kept, again]


def is_own_server(state: StateDir, job: Snapshot) -> bool:
    """Whether ktserver started the job's server, or it is the embedded one."""
    from server_bundle.launch import registry

    known = registry.all_of(state.servers)
    return job.is_by_embedded or any(
        registry.is_same_place(one.server.url, job.server) for one in known
    )


def _again(job: Snapshot, why: str) -> Step:
    """The command that runs a job again. For a question it uses the stored document; otherwise it
    needs the file, whose path is not stored."""
    options = ""
    if job.is_truncated:
        options = f" --max-tokens {2 * job.max_tokens}"
    elif job.cause == "deadline_exceeded":
        options = f" --timeout {durations.typed(2 * job.timeout)}"
    if job.task == "batch":
        return Step(f"ktjob retry {job.id}", "retry; finished requests are reused")
    if job.task == "request":
        return Step("ktjob batch FILE -o RESULTS --retry-failed", why)
    if job.task == "ask" and len(job.questions) == 1:
        return Step(f"ktjob ask {job.id} {shlex.quote(job.questions[0])}{options}", why)
    asked = {"summarize": "--summarize", "prompt": "--prompt TEXT"}.get(job.task)
    if asked is None:
        asked = " ".join(f"--ask {shlex.quote(question)}" for question in job.questions)
        asked += " --together"
    return Step(f"ktjob submit FILE {asked}{options}", why)
