"""What to type next about a job, by how it stands and why it failed. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from ktclient.records.snapshot import Snapshot

_EXPLAIN = ("ktserver explain --last", "why the server failed, by the log of one that is ours")
_STATUS = ("ktserver status", "whether a server of ours runs")
_DOCTOR = ("ktjob doctor", "what ends or loses jobs on this machine")
_LOGS = ("ktjob logs {id}", "what happened, step by step")
_CHECK = ("ktjob check FILE --max-tokens N", "what fits, and by how much it does not")

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
    "server_did_not_start": ("ktserver logs", "what the embedded server said"),
    "weights_unavailable": _DOCTOR,
    "worker_died": _DOCTOR,
    "store_unusable": _DOCTOR,
    "does_not_fit": _CHECK,
}
"""Cause -> what to look at first. Of every other cause: the log of the job."""


@dataclass(frozen=True)
class Step:
    """A command line, ready but for words in capitals, and what it is good for."""

    command: str
    why: str


def steps(job: Snapshot, *, has_text: bool) -> list[Step]:
    """What to type next, the most useful first."""
    if not job.is_finished:
        if job.cancel_requested:
            return [Step(f"ktjob wait {job.id}", "until it has ended")]
        return [Step(f"ktjob follow {job.id}", "progress, then the answer as it is written")]
    if job.state == "SUCCEEDED":
        longer = [_again(job, "a longer answer")] if job.is_truncated else []
        return [Step(f"ktjob result {job.id}", "the answer"), *longer]
    kept = [Step(f"ktjob result {job.id}", "what had arrived")] if has_text else []
    retry = Step(f"ktjob retry {job.id}", "the same once more, without asking again what succeeded")
    if job.cause == "part_failed":
        return [Step(f"ktjob show {job.id}", "which part failed, and why"), *kept, retry]
    if job.state == "CANCELLED":
        return [*kept, _again(job, "the same once more")]
    command, why = BY_CAUSE.get(job.cause or "", _LOGS)
    return [
        Step(command.format(id=job.id), why),
        *kept,
        _again(job, "the same once more, when that is mended"),
    ]


def _again(job: Snapshot, why: str) -> Step:
    """By the stored document where a question was asked, else by its file: we know no path."""
    options = ""
    if job.is_truncated:
        options = f" --max-tokens {2 * job.max_tokens}"
    elif job.cause == "deadline_exceeded":
        options = f" --timeout {2 * job.timeout:.0f}"
    if job.task == "batch":
        return Step(f"ktjob retry {job.id}", "asks only what was not answered")
    if job.task == "request":
        return Step("ktjob batch FILE -o RESULTS --retry-failed", why)
    if job.task == "ask" and len(job.questions) == 1:
        return Step(f"ktjob ask {job.id} {shlex.quote(job.questions[0])}{options}", why)
    asked = {"summarize": "--summarize", "prompt": "--prompt TEXT"}.get(job.task)
    if asked is None:
        asked = " ".join(f"--ask {shlex.quote(question)}" for question in job.questions)
        asked += " --together"
    return Step(f"ktjob submit FILE {asked}{options}", why)
