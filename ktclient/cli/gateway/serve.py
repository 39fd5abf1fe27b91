"""`ktjob serve`: OpenAI's HTTP interface over the job store."""

from __future__ import annotations

from typing import Any

import click

from ktclient.cli import command_settings, exit_codes
from ktclient.cli.gateway import access_options
from ktclient.cli.gateway.keys import keys
from ktclient.cli.render import output
from ktclient.errors import BadInput

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8640


@click.group(invoke_without_command=True)
@click.option("--host", default=DEFAULT_HOST, show_default=True, help="The address to listen on.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="The port; 0: any free one.")
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    help="Maximum output tokens of requests that set none (default: by the server's window).",
)
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
def serve(context: click.Context, /, host: str, port: int, **limits: Any) -> int:
    """Serve OpenAI's HTTP interface: each request becomes a job."""
    if context.invoked_subcommand is not None:
        return exit_codes.SUCCEEDED
    try:
        from ktclient.gateway.context import Limits
        from ktclient.gateway.service import server
    except ModuleNotFoundError as error:
        raise BadInput(
            f"the gateway needs the package {error.name}: pip install 'ktjob[gateway]'"
        ) from error
    rules = access_options.rules(limits)
    given = {name: value for name, value in limits.items() if value is not None}
    server.run(command_settings.load(), host, port, _tell, Limits(**given), rules)
    return exit_codes.SUCCEEDED


def _tell(url: str) -> None:
    output.note(f"listening on {url}/v1")


serve.add_command(keys)
