"""What `ktserver fetch` says: the need of disk and memory before, the progress, the next steps."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from jobs.errors import KtjobError
from ktclient import wording
from ktclient.cli.render import terminal_text
from ktclient.cli.server import preflight
from ktclient.config.settings import Settings
from server_bundle.transfers.size import in_size

if TYPE_CHECKING:
    from server_bundle.doctor import Finding, Machine
    from server_bundle.weights.fetch import Work
    from server_bundle.weights.needs import Disk

_NAMED = 4
_GENERIC = "generic-sglang"


@dataclass(frozen=True)
class Found:
    """What a fetch will do and need. `findings`: warnings of the doctor about memory and GPUs."""

    work: Work
    disk: Disk
    profile: str | None
    findings: tuple[Finding, ...]
    trouble: str
    """Why the memory could not be judged."""

    def to_dict(self, *, is_dry: bool) -> dict[str, Any]:
        work, content = self.work, self.work.content
        return {
            "hub": work.record.hub,
            "repo": work.record.repo,
            "revision": work.record.revision,
            "commit": work.record.commit,
            "to": str(work.request.to),
            "files": len(work.selection.wanted),
            "bytes": work.selection.size,
            "missing_files": len(content.missing) if is_dry else 0,
            "missing_bytes": content.missing_bytes if is_dry else 0,
            "left_out": [
                {"why": one.why, "files": list(one.paths), "bytes": one.size}
                for one in work.selection.left_out
            ],
            "disk": asdict(self.disk),
            "profile": self.profile,
            "findings": [asdict(one) for one in self.findings],
            "whole": not is_dry or work.is_done,
        }


def look(settings: Settings, work: Work, profile: str | None) -> Found:
    """Judge the work against this machine. Raises `NoSuchProfile`."""
    from server_bundle.weights import needs

    machine = preflight.here()
    profile = profile or needs.profile_of(work.request.source)
    findings, trouble = _memory(settings, work, profile, machine)
    disk = needs.disk(machine, work.request.to, work.content.missing_bytes)
    return Found(work, disk, profile, findings, trouble)


def _memory(
    settings: Settings, work: Work, profile: str | None, machine: Machine
) -> tuple[tuple[Finding, ...], str]:
    from ktclient.servers import own_plan
    from server_bundle.doctor import Severity
    from server_bundle.weights import needs

    if profile is None:
        return (), "no profile of ktserver is made for this model, so its memory is not judged"
    try:
        planned = own_plan.work_out(own_plan.PlanOptions(profile, str(work.request.to)), settings)
    except KtjobError as error:
        return (), f"the profile {profile} makes no plan for this machine: {error}"
    sizes = {one.path: one.size for one in work.selection.wanted}
    grave = (Severity.ERROR, Severity.WARNING)
    found = needs.memory_findings(planned.plan, machine, sizes)
    # Nothing of this keeps the weights from being fetched.
    return tuple(
        replace(one, severity=Severity.WARNING) for one in found if one.severity in grave
    ), ""


def in_words(found: Found) -> str:
    """The whole report, before anything is fetched."""
    work, content = found.work, found.work.content
    source, record = work.request.source, work.record
    at = f"at {record.commit[:12]}" if record.commit else f"as listed on {record.listed_at[:10]}"
    pinned = record.revision or ("master" if not record.commit else "main")
    files = wording.count(len(work.selection.wanted), "file")
    lines = [
        f"{record.repo} on {source.hub_name}, revision {pinned} {at}",
        f"  to        {work.request.to}",
        f"  whole     {files}, {in_size(work.selection.size)}",
        f"  missing   {_missing(work)}",
    ]
    lines += [f"  left out  {_left_out(one)}" for one in work.selection.left_out]
    if content.missing:
        free = "unknown" if found.disk.free is None else in_size(found.disk.free)
        lines.append(f"  disk      {in_size(found.disk.needed)} needed, {free} free")
    lines += _machine(found)
    return "\n".join(terminal_text.safe(one) for one in lines)


def _missing(work: Work) -> str:
    content = work.content
    if not content.missing:
        words = "nothing"
    else:
        files = wording.count(len(content.missing), "file")
        words = f"{files}, {in_size(content.missing_bytes)}"
        if content.partial_bytes:
            words += f" (and {in_size(content.partial_bytes)} of them are here)"
    if content.to_check:
        words += f"; {wording.count(len(content.to_check), 'file')} here to be checked"
    return words


def _left_out(one: Any) -> str:
    named = ", ".join(one.paths[:_NAMED]) + (" ..." if len(one.paths) > _NAMED else "")
    return f"{wording.count(len(one.paths), 'file')}, {in_size(one.size)}: {one.why} ({named})"


def _machine(found: Found) -> list[str]:
    if found.trouble:
        return [f"  memory    {found.trouble}"]
    if not found.findings:
        return [f"  memory    enough for the profile {found.profile}"]
    lines = [f"  memory    for the profile {found.profile}, this machine is not enough yet:"]
    for one in found.findings:
        lines += [f"    {line}" for line in preflight.in_words([one]).splitlines()]
    return lines


def next_steps(found: Found) -> str:
    """What to do with the whole folder."""
    record = found.work.record
    model = shlex.quote(str(found.work.request.to))
    profile = found.profile or _GENERIC
    return (
        f"whole: {record.name}, every file compared with the hub's checksum\n"
        f"  plan it:  ktserver plan --profile {profile} --model {model}\n"
        f"  start it: ktserver up --profile {profile} --model {model}"
    )
