"""The preflight checks of `ktserver up` and `ktserver doctor`: run them and format the findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs import durations
from ktclient.cli import command_settings
from ktclient.cli.render import output, progress_line, terminal, terminal_text
from ktclient.config import settings as config
from server_bundle.errors import ServerDidNotStart

if TYPE_CHECKING:
    from server_bundle.doctor import Finding, Machine
    from server_bundle.plan.launch_plan import LaunchPlan

_WORDS = {"ok": "ok", "note": "note", "warning": "warn", "error": "ERROR"}
_INDENT = " " * 7


def here() -> Machine:
    """This machine, and the servers on it that ktserver started."""
    from server_bundle.doctor import Machine
    from server_bundle.launch import registry, running_note
    from server_bundle.launch.server_folder import ServerFiles

    state = command_settings.state()
    ours = {}
    if embedded := running_note.read(ServerFiles(state.server)):
        ours[embedded.process.pid] = f"the embedded server, {embedded.url}"
    for seen in registry.all_of(state.servers):
        if seen.is_there:
            known = registry.known_processes(seen.server)
            ours.update({one.pid: f"{seen.server.name!r}, {seen.server.url}" for one in known})
    return Machine(environment=dict(config.environment()), ours=ours)


def require(plan: LaunchPlan) -> None:
    """Run the preflight checks and print warnings and errors. Raises `ServerDidNotStart` if there
    is an error that would keep the server from starting."""
    from server_bundle import doctor

    grave = (doctor.Severity.ERROR, doctor.Severity.WARNING)
    found = [one for one in doctor.examine(plan, here()) if one.severity in grave]
    if found:
        output.note(in_words(found))
    if count := sum(one.severity is doctor.Severity.ERROR for one in found):
        errors = "1 error" if count == 1 else f"{count} errors"
        raise ServerDidNotStart(
            f"not started: {errors}, see above. Fix this, or start anyway with --no-check"
        )


def deep(plan: LaunchPlan, machine: Machine, *, is_silent: bool = False) -> list[Finding]:
    """Run the deep checks, with their progress on a terminal."""
    from server_bundle.doctor import deep as deep_checks

    with progress_line.line(is_silent=is_silent or not terminal.is_interactive()) as line:

        def show(step: deep_checks.Step, seconds: float) -> None:
            line.start(f"{step.name}  {durations.rough(seconds)} s", step.name, None, None)

        return deep_checks.examine(plan, machine, on_step=show)


def in_words(findings: Sequence[Finding]) -> str:
    """The findings for people."""
    return "\n".join(line for finding in findings for line in _finding_lines(finding))


def _finding_lines(finding: Finding) -> list[str]:
    found = terminal_text.one_line(finding.found)
    lines = [f"{_WORDS[finding.severity.value]:<5}  {finding.about}: {found}"]
    if finding.reason:
        source = f" ({finding.source})" if finding.source else ""
        lines.append(f"{_INDENT}{terminal_text.one_line(finding.reason)}{source}")
    if finding.cure:
        lines.append(f"{_INDENT}fix: {terminal_text.one_line(finding.cure)}")
    return lines
