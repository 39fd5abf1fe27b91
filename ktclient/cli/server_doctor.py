"""`ktserver doctor`: what would keep a server from starting, before minutes of loading."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ktclient import config
from ktclient.cli import exits, screen
from ktclient.errors import BadInput

if TYPE_CHECKING:
    from server_bundle.doctor import Finding, Machine

_WORDS = {"ok": "ok", "note": "note", "warning": "warn", "error": "ERROR"}
_INDENT = " " * 7


@click.command()
@click.argument("command", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of findings.")
def doctor(command: tuple[str, ...], as_json: bool) -> int:
    """Say what would keep the server that COMMAND starts from starting, or make it slow; start
    nothing. COMMAND stands after --, as it would be typed:

    ktserver doctor -- SGLANG_DSV4_MODE=2604 numactl --interleave=all python -m
    sglang.launch_server --model DIR ...

    Exit code 1 when something is an ERROR.
    """
    from server_bundle import doctor as doctoring
    from server_bundle.doctor import typed

    machine = here()
    try:
        plan = typed.plan_of(command, machine)
    except ValueError as error:
        raise BadInput(f"this command starts no server that we know: {error}") from None
    findings = doctoring.examine(plan, machine)
    if as_json:
        rows = [asdict(finding) for finding in findings]
        screen.put(json.dumps(rows, ensure_ascii=False, indent=1 if sys.stdout.isatty() else None))
    else:
        screen.put("\n".join(line for finding in findings for line in _told(finding)))
    failed = any(finding.severity is doctoring.Severity.ERROR for finding in findings)
    return exits.FAILED if failed else exits.SUCCEEDED


def here() -> Machine:
    """This machine, and what of ours runs on it."""
    from server_bundle import record
    from server_bundle.doctor import Machine
    from server_bundle.record import ServerFiles

    embedded = record.read(ServerFiles(config.load().state.server))
    ours = {embedded.process.pid: f"the embedded one, {embedded.url}"} if embedded else {}
    return Machine(environment=dict(config.environment()), ours=ours)


def _told(finding: Finding) -> list[str]:
    found = screen.one_line(finding.found)
    lines = [f"{_WORDS[finding.severity.value]:<5}  {finding.about}: {found}"]
    if finding.reason:
        source = f" ({finding.source})" if finding.source else ""
        lines.append(f"{_INDENT}{screen.one_line(finding.reason)}{source}")
    if finding.cure:
        lines.append(f"{_INDENT}cure: {screen.one_line(finding.cure)}")
    return lines
