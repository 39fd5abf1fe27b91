"""`ktserver doctor`: preflight checks, before minutes of loading weights."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ktclient.cli import command_settings, exit_codes
from ktclient.cli.render import output
from ktclient.cli.server import plan_options, preflight
from ktclient.cli.server.plan_options import DEFAULT_PROFILE
from ktclient.errors import BadInput

if TYPE_CHECKING:
    from server_bundle.doctor import Machine
    from server_bundle.plan.launch_plan import LaunchPlan


@click.command()
@click.option(
    "--profile", default=DEFAULT_PROFILE, metavar="P", help=f"Profile (default {DEFAULT_PROFILE})."
)
@plan_options.plan_options
@click.option(
    "--deep",
    is_flag=True,
    help="Also try in the server's Python what a start does before it loads: half a minute.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of findings.")
def doctor(deep: bool, as_json: bool, **given: Any) -> int:
    """Check what would keep a server from starting or make it slow. Starts nothing.

    Requires --model, and checks the server that `ktserver plan` would plan with the same options;
    or takes a complete command instead: ktserver doctor --
    SGLANG_DSV4_MODE=2604 numactl --interleave=all python -m sglang.launch_server --model DIR ...

    With --deep, the server's own Python imports the engine and its kernels, parses the server's
    arguments, reads the model's configuration and tokenizer, and compiles an empty kernel. Nothing
    is loaded. What hangs or crashes is killed with all that it started.

    Exit code 1 if there is an ERROR.
    """
    from server_bundle import doctor as doctoring

    machine = preflight.here()
    plan = _plan(given, machine)
    findings = doctoring.examine(plan, machine)
    if deep:
        findings += preflight.deep(plan, machine, is_silent=as_json)
    if as_json:
        rows = [asdict(finding) for finding in findings]
        output.print_data(
            json.dumps(rows, ensure_ascii=False, indent=1 if sys.stdout.isatty() else None)
        )
    else:
        output.print_lines(preflight.in_words(findings))
    failed = any(finding.severity is doctoring.Severity.ERROR for finding in findings)
    return exit_codes.FAILED if failed else exit_codes.SUCCEEDED


def _plan(given: dict[str, Any], machine: Machine) -> LaunchPlan:
    from ktclient.servers import own_plan
    from ktclient.servers.own_plan import PlanOptions
    from server_bundle.doctor import command_line

    own_plan.require_profile(given["profile"])
    if given["model"]:
        return own_plan.work_out(PlanOptions(**given), command_settings.load()).plan
    if not given["extra"]:
        raise click.UsageError("--model DIR is required, or the server's command after --")
    try:
        typed = command_line.read(given["extra"], machine)
    except ValueError as error:
        raise BadInput(f"this command starts no known server: {error}") from None
    if typed.container is not None:
        output.note(
            "note: this command runs in a container, but Python, packages and folders are looked "
            "for on this machine; `ktserver plan --compare` judges its flags"
        )
    return typed.plan
