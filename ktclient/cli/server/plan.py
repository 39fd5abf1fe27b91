"""`ktserver plan`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ktclient import wording
from ktclient.cli import command_settings, exit_codes
from ktclient.cli.render import output, terminal, terminal_text
from ktclient.cli.server import plan_options
from ktclient.cli.server.plan_options import DEFAULT_PROFILE

if TYPE_CHECKING:
    from server_bundle.plan.flags import Difference, Planned

_TABLE = (0.6, 0.7, 0.75)
"""The guide's three rows of --mem-fraction-static."""


@click.command()
@click.option(
    "--profile", default=DEFAULT_PROFILE, metavar="P", help=f"Profile (default {DEFAULT_PROFILE})."
)
@plan_options.plan_options
@click.option("--sh", "form", flag_value="sh", help="Print a shell script that starts it.")
@click.option("--json", "form", flag_value="json", help="Print JSON for `ktserver up --plan`.")
@click.option(
    "--systemd", "form", flag_value="systemd", help="Print a systemd unit that starts it."
)
@click.option(
    "--compare",
    is_flag=True,
    help="Judge the command after `--` beside the plan: what each difference does to a long "
    "request.",
)
def plan(form: str | None, compare: bool, **given: Any) -> int:
    """Plan how to start a server and explain every choice. Starts nothing. Requires --model.

    Flags after `--` are passed to the server unchanged. An API key in KTJOB_API_KEY becomes the
    server's key. It is passed in a file, never on a command line.

    With --compare, what follows `--` is a whole command that you have: ktserver plan --compare --
    kt run DIR; or `python -m sglang.launch_server …`, `sglang serve …`, `docker run … IMAGE
    COMMAND`. Model, engine, port and number of GPUs are taken from it. Exit code 1 if a long
    request or the start would fail.
    """
    if compare:
        return _compare(form, given)
    from ktclient.servers import own_plan
    from ktclient.servers.own_plan import PlanOptions

    own_plan.require_profile(given["profile"])
    if not given["model"]:
        raise click.UsageError("--model DIR is required: the folder of the weights")
    settings = command_settings.load()
    planned = own_plan.work_out(PlanOptions(**given), settings)
    _note_absent(planned.plan.model)
    if form is None:
        output.print_lines(describe(planned))
        output.print_data(f"\n{planned.plan.script().rstrip()}")
        return exit_codes.SUCCEEDED
    key = own_plan.write_key(planned, settings)
    output.print_data(_FORMS[form](planned).rstrip("\n"))
    for note in planned.notes:
        output.note(f"note: {note}")
    if key is not None:
        output.note(f"the server's key is in {key}; only you can read it")
    return exit_codes.SUCCEEDED


def _note_absent(model: str) -> None:
    """A plan may be made before the weights are there, but not by a slip unseen."""
    path = Path(model)
    if path.is_absolute() and not path.is_dir():
        output.note(f"note: there is no folder {model}; `ktserver doctor` checks it before a start")


def _compare(form: str | None, given: dict[str, Any]) -> int:
    from ktclient.cli.comparison import report

    if form in ("sh", "systemd"):
        raise click.UsageError(f"--compare prints text or --json, not --{form}")
    if given["as_guide"]:
        raise click.UsageError("--compare has the guide's own command after `--`, not --as-guide")
    source = click.get_current_context().get_parameter_source("profile")
    if source is click.core.ParameterSource.DEFAULT:
        given = {**given, "profile": None}
    return report.show(given, as_json=form == "json")


def _unit(planned: Planned) -> str:
    from server_bundle.plan import systemd_unit

    return systemd_unit.render(planned.plan)


_FORMS: dict[str, Callable[[Planned], str]] = {
    "sh": lambda planned: planned.plan.script(),
    "json": lambda planned: json.dumps(asdict(planned.plan), indent=1),
    "systemd": _unit,
}


def describe(planned: Planned) -> str:
    """The plan as text for people, without its command."""
    plan = planned.plan
    lines = [
        f"profile   {plan.profile}",
        f"engine    {plan.engine} {plan.version or '(version unknown)'}, {plan.python}",
        f"server    {plan.url}, model {plan.served_name}, {wording.count(plan.gpus, 'GPU')}",
    ]
    if plan.context:
        lines.append(f"context   {plan.context:,} tokens")
    lines += _kv(planned)
    if planned.differences:
        lines += ["", "Differences from the guide:"]
        lines += [line for one in planned.differences for line in _difference(one)]
    if planned.notes:
        lines += ["", "notes:"]
        lines += [line for one in planned.notes for line in _wrapped(one, " " * 4, "  - ")]
    return "\n".join(lines)


def _kv(planned: Planned) -> list[str]:
    from server_bundle.plan import kv_pool

    kv = planned.kv
    if kv is None:
        pool = planned.plan.planned_pool
        return [f"KV pool   {pool:,} tokens at most"] if pool else []
    rows = sorted({*_TABLE, kv.fraction})
    plans = [kv_pool.plan(kv.card, one, kv.context, kv.layout, kv.reserved_gib) for one in rows]
    table = terminal_text.table(
        [
            ("mem-fraction", "KV pool", "longest context", "workspace", ""),
            *(
                (
                    f"{one.fraction:g}",
                    f"{one.pool:,}",
                    f"{kv_pool.safe_context(one.pool):,}",
                    f"{one.workspace_gib:.1f} GiB",
                    "<- this plan" if one.fraction == kv.fraction else "",
                )
                for one in plans
            ),
        ]
    )
    return [f"KV pool   {kv.verdict}", "", table]


def _difference(one: Difference) -> list[str]:
    lines = [f"  {one.what}: {one.before} -> {one.after}", *_wrapped(one.reason, " " * 6)]
    return [*lines, *_wrapped(f"({one.evidence})", " " * 6)] if one.evidence else lines


def _wrapped(text: str, indent: str, first: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        width=min(terminal_text.COMFORTABLE, terminal.columns() or terminal_text.COMFORTABLE),
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
