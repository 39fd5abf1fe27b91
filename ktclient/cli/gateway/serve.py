"""`ktjob serve`: OpenAI's HTTP interface over the job store."""

from __future__ import annotations

from typing import Any

import click

from ktclient.cli import command_settings, exit_codes
from ktclient.cli.gateway import access_options
from ktclient.cli.gateway.keys import keys
from ktclient.errors import BadInput

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8640


@click.group(invoke_without_command=True)
@click.option("--host", default=DEFAULT_HOST, show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="The port; 0: any free one.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    help="Maximum output tokens of requests that set none (default: by the server's window).",
)
@click.option("--quiet", is_flag=True, help="Write no line per request.")
@click.option("--detach", is_flag=True, help="Start in the background and return when it answers.")
@click.option("--status", is_flag=True, help="Show the running gateways of this state directory.")
@click.option(
    "--stop", is_flag=True, help="Stop the gateway; several: that on --port. Jobs continue."
)
@click.option("--install-unit", is_flag=True, help="Start it at boot: write a systemd user unit.")
@click.option("--remove-unit", is_flag=True, help="Remove that unit.")
@click.option("--dry-run", is_flag=True, help="With --install-unit: only show what would be done.")
@click.option("--json", "as_json", is_flag=True, help="With --status: print one JSON object.")
@click.option(
    "--quick-seconds",
    type=click.FloatRange(min=0),
    help="Time until a plain answer begins, so that quick errors keep their status (default: 15).",
)
@click.option(
    "--comment-seconds",
    type=click.FloatRange(min=0.01),
    help="Longest silence of a connection (default: 15). For a proxy that is less patient.",
)
@click.option(
    "--progress-seconds",
    type=click.FloatRange(min=0.01),
    help="Longest time of a stream without an event (default: 60).",
)
@access_options.access_options
@click.pass_context
def serve(context: click.Context, /, **options: Any) -> int:
    """Serve OpenAI's HTTP interface: each request becomes a job.

    Clients use the printed URL as their base URL. A job is kept when its client, this command or
    the server dies; the same request again gets the same answer. Stop it with Ctrl-C: jobs
    continue.
    """
    if context.invoked_subcommand is not None:
        return exit_codes.SUCCEEDED
    actions = ("detach", "status", "stop", "install_unit", "remove_unit")
    chosen = [name for name in actions if options[name]]
    if len(chosen) > 1:
        first, second = (f"--{name.replace('_', '-')}" for name in chosen[:2])
        raise BadInput(f"{first} and {second} exclude each other")
    if options["status"] or options["stop"]:
        from ktclient.cli.gateway import running

        state = command_settings.state()
        if options["stop"]:
            return running.end(state, _port_given(context))
        return running.show(state, _port_given(context), as_json=options["as_json"])
    if options["install_unit"] or options["remove_unit"]:
        from ktclient.cli.gateway import boot_unit

        if options["remove_unit"]:
            return boot_unit.remove(is_dry=options["dry_run"])
        return boot_unit.install(command_settings.load(), options, _words(context))
    from ktclient.cli.gateway import foreground

    if options["detach"]:
        from ktclient.cli.gateway import detached

        return detached.detach(command_settings.load(), options, _words(context))
    return foreground.run(command_settings.load(), options)


def _port_given(context: click.Context) -> int | None:
    """The port, if the command line has one."""
    is_given = context.get_parameter_source("port") is not click.core.ParameterSource.DEFAULT
    port: int = context.params["port"]
    return port if is_given else None


_PASSED_ON = ("max_tokens", "quick_seconds", "comment_seconds", "progress_seconds")


def _words(context: click.Context) -> list[str]:
    """The options with which another process serves the same way."""
    given = context.params
    words = ["--host", given["host"], "--port", str(given["port"])]
    for name in _PASSED_ON:
        if given[name] is not None:
            words += [f"--{name.replace('_', '-')}", f"{given[name]:g}"]
    for name in ("allow_host", "allow_origin"):
        words += [word for value in given[name] for word in (f"--{name.replace('_', '-')}", value)]
    flags = [name for name in ("behind_proxy", "quiet") if given[name]]
    return [*words, *(f"--{name.replace('_', '-')}" for name in flags)]


serve.add_command(keys)
