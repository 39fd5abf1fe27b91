"""`ktjob config`: show, check and change the configuration file."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from jobs import child_environment
from ktclient.cli import exit_codes, option_defaults
from ktclient.cli.render import findings as render_findings
from ktclient.cli.render import job_details, output, terminal_text
from ktclient.config import file as config_file
from ktclient.config import settings as config
from ktclient.errors import BadInput, BadSetting
from ktclient.records.output_schema import SCHEMA


@click.group("config")
def config_() -> None:
    """Show, check and change the configuration.

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
    """Show the effective configuration and the source of each value. API keys are not shown."""
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
    """Check the configuration file, the API keys and each server.

    Also checks who can read the keys. Exit code 1 if there is a problem.
    """
    from ktclient.doctor import config as doctor_config
    from ktclient.doctor.finding import Severity

    findings = []
    for finding in doctor_config.examine(_checked(ctx, config.load())):
        findings.append(finding)
        if not as_json:  # one by one: a server may take seconds to answer
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
@click.option(
    "--from-env",
    is_flag=True,
    help="Add the server of OPENAI_BASE_URL, with the key of OPENAI_API_KEY, under a name.",
)
@click.option(
    "--name", metavar="NAME", help="With --from-env: the server's name (default: openai)."
)
@click.option(
    "--keyring",
    is_flag=True,
    help="With --from-env: store the key in the keyring (default: a file of its own, mode 600).",
)
@click.pass_context
def init(ctx: click.Context, from_env: bool, name: str | None, keyring: bool) -> None:
    """Write a commented example, if there is no configuration file yet.

    With --from-env, also where there is one: adds the server that the variables of OpenAI's clients
    name. ktjob uses it only with --server NAME; it never takes these variables by itself.
    """
    from ktclient.config import edit as config_edit
    from ktclient.config import openai_variables

    if from_env:
        _add_from_environment(ctx, name or openai_variables.NAME, keyring)
        return
    if name is not None or keyring:
        raise BadInput("--name and --keyring are for --from-env")
    if config.path().exists():
        raise BadInput(f"{config.path()} already exists; change it with: ktjob config edit")
    config_edit.replace_file(config.load(), config_edit.EXAMPLE, lambda new: _checked(ctx, new))
    output.print_data(str(config.path()))
    if config.environment().get(openai_variables.URL):
        output.note(
            f"{openai_variables.URL} is set; to add that server under a name: ktjob config init "
            "--from-env"
        )


def _add_from_environment(ctx: click.Context, name: str, in_keyring: bool) -> None:
    from ktclient.config import openai_variables

    environ = config.environment()
    settings = config.load({**environ, "KTJOB_API_KEY": ""})
    where = openai_variables.add(
        settings, environ, name, lambda new: _checked(ctx, new), in_keyring=in_keyring
    )
    output.print_data(str(config.path()))
    output.note(f"added [servers.{name}] with the URL of {openai_variables.URL}")
    output.note(f"its key is in {where}" if where else "without a key: OPENAI_API_KEY is not set")
    output.note(
        f"use it with: ktjob submit FILE --server {name}. To make it the default: ktjob config set "
        f"server.url {name}"
    )


@config_.command("set")
@click.argument("name")
@click.argument("value")
@click.pass_context
def set_(ctx: click.Context, name: str, value: str) -> None:
    """Set NAME to VALUE in the configuration file; comments are kept.

    For API keys use ktjob config key.
    """
    _change(ctx, name, value)


@config_.command()
@click.argument("name")
@click.pass_context
def unset(ctx: click.Context, name: str) -> None:
    """Remove NAME from the configuration file; comments are kept."""
    _change(ctx, name, None)


def _change(ctx: click.Context, name: str, value: str | None) -> None:
    from ktclient.config import edit as config_edit

    settings = config.load({**config.environment()}, "")  # a broken file can be fixed
    text = config_edit.changed(settings, name, value)
    config_edit.replace_file(settings, text, lambda new: _checked(ctx, new))


@config_.command()
@click.pass_context
def edit(ctx: click.Context) -> None:
    """Open the configuration file in $VISUAL or $EDITOR.

    The file is saved only if it is valid. The previous one is kept as config.toml.old.
    """
    from ktclient.config import edit as config_edit

    settings = config.load({**config.environment()}, "")
    config.learn_variables()
    file = settings.config_file
    text = config_file.content(file) if file.exists() else config_edit.EXAMPLE
    while True:
        with child_environment.without_keys():
            edited = click.edit(text, extension=".toml")
        if edited is None:
            output.note("nothing was changed")
            return
        try:
            kept = config_edit.replace_file(settings, edited, lambda new: _checked(ctx, new))
        except BadSetting as error:
            output.note(str(error))
            if not sys.stdin.isatty() or not click.confirm("Edit again?", default=True, err=True):
                output.note("nothing was changed")
                raise
            text = edited
            continue
        output.note(f"saved {file}" + (f"; the previous file is {kept}" if kept else ""))
        return


@config_.command()
@click.argument("server")
@click.pass_context
def key(ctx: click.Context, server: str) -> None:
    """Store the API key of SERVER ("default" for [server]) in the system keyring.

    The key is read from a hidden prompt or stdin. The configuration file then contains
    `api_key = "keyring"` instead of the key.
    """
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
            config_edit.replace_file(settings, text, lambda new: _checked(ctx, new))
    text = config_edit.changed(settings, f"{table}.api_key", keys.KEYRING)
    config_edit.replace_file(settings, text, lambda new: _checked(ctx, new))
    output.note(f"{about} is in the keyring ({terminal_text.one_line(name)})")


def _table(settings: config.Settings, server: str) -> config_file.Table:
    tables = settings.tables
    inner = tables["servers"].get(server, tables["server"])
    return inner if isinstance(inner, dict) else {}


def _checked(ctx: click.Context, settings: config.Settings) -> config.Settings:
    """The same settings, with `[defaults]` validated too. Raises `BadSetting`."""
    option_defaults.values(settings, ctx)
    return settings
