"""`ktserver plan --compare -- COMMAND`: a command that a user has, judged beside the plan."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from jobs import known_secrets
from ktclient.cli import command_settings, exit_codes
from ktclient.cli.comparison import counterpart
from ktclient.cli.render import output, terminal_text
from ktclient.cli.server import preflight
from ktclient.errors import BadInput

if TYPE_CHECKING:
    from server_bundle.doctor.command_line import Typed
    from server_bundle.doctor.comparison import Comparison, Line, Sides
    from server_bundle.plan.flags import Planned

_WORDS = {"note": "note", "warning": "warn", "error": "ERROR"}
_INDENT = " " * 7


def show(given: Mapping[str, Any], *, as_json: bool) -> int:
    """Print the differences. Exit code 1 if a long request or the start would fail.

    `given`: the fields of `PlanOptions`, `profile` None for the one that suits the command. Raises
    `BadInput` for a command that starts no sglang, `PlanRefused` and `NoSuchProfile`.
    """
    from ktclient.servers import own_plan
    from server_bundle.doctor.comparison import Sides
    from server_bundle.plan import machine as plan_machine

    here = preflight.here()
    typed, profile, remarks = counterpart.read(tuple(given["extra"]), given["profile"], here)
    planned = own_plan.work_out(counterpart.wanted(given, typed, profile), command_settings.load())
    window = counterpart.window(typed) or profile.context
    facts = plan_machine.read()
    sides = Sides(typed, planned, profile, facts, window, here.environment)
    found = _compared(sides)
    remarks = [*typed.remarks, *remarks]
    if as_json:
        output.print_data(_json(typed, planned, found, remarks))
    else:
        output.print_data("\n".join(_in_words(typed, planned, found, remarks)))
    return exit_codes.FAILED if found.has_harm else exit_codes.SUCCEEDED


def _compared(sides: Sides) -> Comparison:
    from server_bundle.doctor import comparison
    from server_bundle.errors import PlanRefused

    try:
        return comparison.compare(sides)
    except PlanRefused as error:
        raise BadInput(f"this command cannot be compared: {error}") from None


def _in_words(typed: Typed, planned: Planned, found: Comparison, remarks: list[str]) -> list[str]:
    plan = planned.plan
    lines = [
        f"command   {_command(typed)}",
        f"plan      profile {plan.profile}, {plan.engine} {plan.version or '(version unknown)'}",
        f"prompts   {_longest(found)}",
        *(f"note      {terminal_text.one_line(one)}" for one in remarks),
        "",
        *(line for one in found.lines for line in _difference(one)),
    ]
    if found.other:
        shown = "; ".join(f"{one.what}: {_values(one)}" for one in found.other)
        lines.append(f"also different, without a known effect on long requests: {_safe(shown)}")
    return [*lines, *_end(found, plan.profile, plan.model)]


def _end(found: Comparison, profile: str, model: str) -> list[str]:
    if not found.lines and not found.other:
        return ["no difference from the plan"]
    errors = sum(one.severity.value == "error" for one in found.lines)
    warnings = sum(one.severity.value == "warning" for one in found.lines)
    said = f"{errors} {'error' if errors == 1 else 'errors'}, {warnings} "
    said += "warning" if warnings == 1 else "warnings"
    start = f"ktserver up --profile {profile} --model {model}"
    return ["", f"{said}. Start the plan's server instead with: {start}" if errors else said]


def _longest(found: Comparison) -> str:
    theirs, ours = found.longest, found.longest_planned
    said = "of unknown length" if theirs is None else f"of up to {theirs:,} tokens"
    return f"{said}; the plan's server: " + ("unknown" if ours is None else f"up to {ours:,}")


def _difference(one: Line) -> list[str]:
    source = f" ({one.source})" if one.source else ""
    first = f"{_WORDS[one.severity.value]:<5}  {_safe(f'{one.what}: {_values(one)}')}"
    return [first, f"{_INDENT}{terminal_text.one_line(one.effect)}{source}"]


def _values(one: Line) -> str:
    if one.theirs is None and one.plan is None:
        return "not set"
    return f"{one.theirs or 'not set'}; the plan: {one.plan or 'not set'}"


def _safe(text: str) -> str:
    return terminal_text.one_line(known_secrets.hide_foreign(text))


def _command(typed: Typed) -> str:
    """The server's command without keys: of `kt run` what it starts."""
    shown, hides = [], False
    for word in typed.plan.command:
        name, equals, _ = word.partition("=")
        is_key = name in ("--api-key", "--admin-api-key")
        shown.append("…" if hides else f"{name}=…" if is_key and equals else word)
        hides = is_key and not equals
    return _safe(" ".join(shown))


def _json(typed: Typed, planned: Planned, found: Comparison, remarks: list[str]) -> str:
    def listed(lines: tuple[Line, ...]) -> list[dict[str, Any]]:
        rows = [asdict(one) for one in lines]
        return [{**row, "theirs": row["theirs"] and _safe(row["theirs"])} for row in rows]

    told = {
        "profile": planned.plan.profile,
        "engine": planned.plan.engine,
        "version": planned.plan.version,
        "command": _command(typed),
        "longest": found.longest,
        "longest_planned": found.longest_planned,
        "has_harm": found.has_harm,
        "differences": listed(found.lines),
        "other": listed(found.other),
        "remarks": remarks,
    }
    return json.dumps(told, ensure_ascii=False, indent=1 if sys.stdout.isatty() else None)
