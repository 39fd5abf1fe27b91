"""`ktjob doctor`: what can kill jobs or lose them on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient.cli import exit_codes
from ktclient.cli.render import findings as render_findings
from ktclient.cli.render import output
from ktclient.config import settings as config

if TYPE_CHECKING:
    pass


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of findings.")
def doctor(as_json: bool) -> int:
    """Say what can kill or lose jobs on this machine, and the cure; repair nothing."""
    from ktclient import doctor as doctoring

    findings = doctoring.examine(config.load())
    if as_json:
        output.print_data(render_findings.to_json(findings))
    else:
        output.print_data("\n".join(render_findings.lines(finding) for finding in findings))
    failed = any(finding.severity is doctoring.Severity.FAIL for finding in findings)
    return exit_codes.FAILED if failed else exit_codes.SUCCEEDED
