"""What the doctor found, as lines and as JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from ktclient.cli.render import terminal_text
from ktclient.records.output_schema import SCHEMA

if TYPE_CHECKING:
    from ktclient.doctor import Finding


_WORDS = {"ok": "ok", "warn": "warn", "fail": "FAIL"}


_INDENT = " " * 6


def lines(finding: Finding) -> str:
    found = terminal_text.one_line(finding.found)
    line = f"{_WORDS[finding.severity.value]:<4}  {finding.about}: {found}"
    return (
        line if finding.cure is None else f"{line}\n{_INDENT}{terminal_text.one_line(finding.cure)}"
    )


def to_json(findings: list[Finding]) -> str:
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
