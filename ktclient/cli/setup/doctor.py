"""`ktjob doctor`: what can kill jobs or lose them on this machine."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from ktclient.cli import exit_codes
from ktclient.cli.render import screen
from ktclient.config import settings as config
from ktclient.records.snapshot import SCHEMA

if TYPE_CHECKING:
    from ktclient.doctor import Finding

_WORDS = {"ok": "ok", "warn": "warn", "fail": "FAIL"}
_INDENT = " " * 6


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of findings.")
def doctor(as_json: bool) -> int:
    """Say what can kill or lose jobs on this machine, and the cure; repair nothing."""
    from ktclient import doctor as doctoring

    findings = doctoring.examine(config.load())
    if as_json:
        screen.put(json_of(findings))
    else:
        screen.put("\n".join(told(finding) for finding in findings))
    failed = any(finding.severity is doctoring.Severity.FAIL for finding in findings)
    return exit_codes.FAILED if failed else exit_codes.SUCCEEDED


def told(finding: Finding) -> str:
    found = screen.one_line(finding.found)
    line = f"{_WORDS[finding.severity.value]:<4}  {finding.about}: {found}"
    return line if finding.cure is None else f"{line}\n{_INDENT}{screen.one_line(finding.cure)}"


def json_of(findings: list[Finding]) -> str:
    rows = [
        {
            "schema": SCHEMA,
            "severity": one.severity.value,
            "about": one.about,
            "found": one.found,
            "cure": one.cure,
        }
        for one in findings
    ]
    return json.dumps(rows, ensure_ascii=False, indent=1 if sys.stdout.isatty() else None)
