"""`ktjob serve`: OpenAI's HTTP interface over the job store."""

from __future__ import annotations

import click

from ktclient.cli import command_settings, exit_codes
from ktclient.cli.render import output
from ktclient.errors import BadInput

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8640


@click.command()
@click.option("--host", default=DEFAULT_HOST, show_default=True, help="The address to listen on.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="The port; 0: any free one.")
def serve(host: str, port: int) -> int:
    """Serve OpenAI's HTTP interface: each request becomes a job."""
    try:
        from ktclient.gateway.context import Limits
        from ktclient.gateway.service import server
    except ModuleNotFoundError as error:
        raise BadInput(
            f"the gateway needs the package {error.name}: pip install 'ktjob[gateway]'"
        ) from error
    server.run(command_settings.load(), host, port, _tell, Limits())
    return exit_codes.SUCCEEDED


def _tell(url: str) -> None:
    output.note(f"listening on {url}/v1")
