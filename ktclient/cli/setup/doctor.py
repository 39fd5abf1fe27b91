"""`ktjob doctor`: find what can end or lose jobs on this machine."""

from __future__ import annotations

import click

from ktclient.cli import command_settings, exit_codes
from ktclient.cli.render import findings as render_findings
from ktclient.cli.render import output


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of findings.")
def doctor(as_json: bool) -> int:
    """Check this machine for what can end or lose jobs and suggest fixes. Changes nothing."""
    from ktclient import doctor as doctoring

    findings = doctoring.examine(command_settings.load())
    if as_json:
        output.print_data(render_findings.to_json(findings))
    else:
        output.print_lines("\n".join(render_findings.lines(finding) for finding in findings))
    failed = any(finding.severity is doctoring.Severity.FAIL for finding in findings)
    return exit_codes.FAILED if failed else exit_codes.SUCCEEDED
