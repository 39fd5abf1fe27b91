"""`ktjob config`: the configuration file shown, tried and changed."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from ktclient.cli import exit_codes, option_defaults
from ktclient.cli.render import findings as render_findings
from ktclient.cli.render import job_details, output, terminal_text
from ktclient.config import file as config_file
from ktclient.config import settings as config
from ktclient.errors import BadInput, BadSetting
from ktclient.records.output_schema import SCHEMA


@click.group("config")
def config_() -> None:
    """Show, try and change the configuration.

    \b
    ktjob config init
    ktjob config set servers.gpu1.url https://gpu1.example
    ktjob config key gpu1
    ktjob config check
    """


@config_.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of settings.")
@click.pass_context
def show(ctx: click.Context, as_json: bool) -> None:
    """Say what holds, and where each value comes from. A key's text is never shown."""
    from ktclient.config import origins

    settings = _checked(ctx, config.load())
    found = origins.origins(settings)
    if as_json:
        output.print_data(
            job_details.json_text([{"schema": SCHEMA, **asdict(one)} for one in found])
        )
        return
    rows = [("SETTING", "VALUE", "FROM")]
    for one in found:
        value = "-" if one.value is None else terminal_text.one_line(str(one.value))
        rows.append((one.name, value, one.origin))
    output.print_data(terminal_text.table(rows))


@config_.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of findings.")
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> int:
    """Try the configuration: the file, the keys and who may read them, and each server. Exits with
    1 where something is wrong."""
    from ktclient.doctor import config as doctor_config
    from ktclient.doctor.finding import Severity

    findings = []
    for finding in doctor_config.examine(_checked(ctx, config.load())):
        findings.append(finding)
        if not as_json:  # at once: a server may take seconds to answer
            output.print_data(render_findings.lines(finding))
    if as_json:
        output.print_data(render_findings.to_json(findings))
    failed = any(finding.severity is Severity.FAIL for finding in findings)
    return exit_codes.FAILED if failed else exit_codes.SUCCEEDED


@config_.command()
def path() -> None:
    """Print the path of the configuration file."""
    output.print_data(str(config.path()))


@config_.command()
@click.pass_context
def init(ctx: click.Context) -> None:
    """Write a commented example, where there is no configuration file yet."""
    from ktclient.config import edit as config_edit

    if config.path().exists():
        raise BadInput(f"{config.path()} is there already; change it with: ktjob config edit")
    config_edit.put(config.load(), config_edit.EXAMPLE, lambda new: _checked(ctx, new))
    output.print_data(str(config.path()))


@config_.command("set")
@click.argument("name")
@click.argument("value")
@click.pass_context
def set_(ctx: click.Context, name: str, value: str) -> None:
    """Set NAME to VALUE in the file; its comments stay. Not for keys: ktjob config key."""
    _change(ctx, name, value)


@config_.command()
@click.argument("name")
@click.pass_context
def unset(ctx: click.Context, name: str) -> None:
    """Take NAME out of the file; its comments stay."""
    _change(ctx, name, None)


def _change(ctx: click.Context, name: str, value: str | None) -> None:
    from ktclient.config import edit as config_edit

    settings = config.load({**config.environment()}, "")  # a broken file is to be mended
    text = config_edit.changed(settings, name, value)
    config_edit.put(settings, text, lambda new: _checked(ctx, new))


@config_.command()
@click.pass_context
def edit(ctx: click.Context) -> None:
    """Open the file in $VISUAL or $EDITOR. It is put in place only if it makes sense; the one
    before is kept as config.toml.old."""
    from ktclient.config import edit as config_edit

    settings = config.load({**config.environment()}, "")
    file = settings.config_file
    text = file.read_text(encoding="utf-8") if file.exists() else config_edit.EXAMPLE
    while True:
        edited = click.edit(text, extension=".toml")
        if edited is None:
            output.note("nothing was changed")
            return
        try:
            kept = config_edit.put(settings, edited, lambda new: _checked(ctx, new))
        except BadSetting as error:
            output.note(str(error))
            if not sys.stdin.isatty() or not click.confirm("Edit again?", default=True, err=True):
                output.note("nothing was changed")
                raise
            text = edited
            continue
        output.note(f"{file} is in place" + (f"; the one before is {kept}" if kept else ""))
        return


@config_.command()
@click.argument("server")
@click.pass_context
def key(ctx: click.Context, server: str) -> None:
    """Store the key of SERVER ("default" for [server]) in the keyring: typed unseen, or from
    standard input. The file says `api_key = "keyring"` then."""
    from ktclient.config import edit as config_edit
    from ktclient.config import keys, servers

    settings = config.load({**config.environment(), "KTJOB_API_KEY": ""})
    known = {servers.DEFAULT, *settings.servers}
    if server not in known:
        raise BadInput(f"there is no [servers.{server}]; there are: {', '.join(sorted(known))}")
    about = f"the key of {server}"
    if sys.stdin.isatty():
        given = click.prompt(f"Key of {server}", hide_input=True, err=True)
    else:
        given = sys.stdin.readline()
    given = keys.usable(given, about)
    if not given:
        raise BadInput(f"{about} is empty")
    name = keys.store_in_keyring(server, given)
    table = "server" if server == servers.DEFAULT else f"servers.{server}"
    for other in servers.KEY_NAMES:
        if other in _table(settings, server):
            text = config_edit.changed(settings, f"{table}.{other}", None)
            config_edit.put(settings, text, lambda new: _checked(ctx, new))
    text = config_edit.changed(settings, f"{table}.api_key", keys.KEYRING)
    config_edit.put(settings, text, lambda new: _checked(ctx, new))
    output.note(f"{about} is in the keyring ({terminal_text.one_line(name)})")


def _table(settings: config.Settings, server: str) -> config_file.Table:
    tables = settings.tables
    inner = tables["servers"].get(server, tables["server"])
    return inner if isinstance(inner, dict) else {}


def _checked(ctx: click.Context, settings: config.Settings) -> config.Settings:
    """With `[defaults]` looked at too. Raises `BadSetting`."""
    option_defaults.values(settings, ctx)
    return settings
