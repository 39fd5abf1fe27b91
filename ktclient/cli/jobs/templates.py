"""`ktjob templates`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient.cli import command_settings, exit_codes
from ktclient.cli.render import output, terminal_text
from ktclient.errors import BadSetting
from ktclient.records.output_schema import SCHEMA

if TYPE_CHECKING:
    from ktclient.prompts.templates import Template


@click.command()
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object, or a list.")
def templates(name: str | None, as_json: bool) -> int:
    """List prompt templates (built-in and custom), or show template NAME.

    To use one: ktjob submit FILE --template NAME. A custom template is a file NAME.toml. Invalid
    templates are reported; exit code 2.
    """
    from ktclient.cli.render import job_details
    from ktclient.prompts import templates as rules

    own = rules.folder(command_settings.load().config_file)
    if name is not None:
        found = rules.load(name, own)
        record = _record(found)
        output.print_data(job_details.json_text(record) if as_json else _in_full(found))
        return exit_codes.SUCCEEDED
    good: list[Template] = []
    code = exit_codes.SUCCEEDED
    for one in rules.names(own):
        try:
            good.append(rules.load(one, own))
        except BadSetting as error:
            code = exit_codes.USAGE
            output.note(f"ktjob: {error}")
    output.print_data(
        job_details.json_text([_record(one) for one in good]) if as_json else _listed(good)
    )
    if not as_json:
        output.note(f"custom templates are files NAME.toml in {terminal_text.one_line(str(own))}")
    return code


def _record(one: Template) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "name": one.name,
        "description": one.description,
        "path": str(one.path),
        "built_in": one.is_built_in,
        "variables": one.variables(),
        "prompt": one.prompt,
        "system": one.system,
        "max_tokens": one.max_tokens,
        "temperature": one.temperature,
        "thinking": one.thinking,
        "effort": one.effort,
        "has_schema": bool(one.schema),
    }


def _listed(found: list[Template]) -> str:
    rows = [("NAME", "VARIABLES", "DESCRIPTION")]
    for one in found:
        names = " ".join(
            name if default is None else f"[{name}]" for name, default in one.variables().items()
        )
        rows.append((one.name, names, terminal_text.one_line(one.description)))
    return terminal_text.table(rows)


def _in_full(one: Template) -> str:
    """The file as it is; the command that uses it is printed on stderr."""
    import shlex

    wanted = [f"--var {name}=…" for name, default in one.variables().items() if default is None]
    command = " ".join(["ktjob submit FILE --template", shlex.quote(one.name), *wanted])
    output.note(f"{command}\n{'built in' if one.is_built_in else one.path}")
    return one.path.read_text(encoding="utf-8").rstrip()
