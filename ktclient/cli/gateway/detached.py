"""`ktjob serve --detach`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs import extras
from ktclient.cli import exit_codes
from ktclient.cli.gateway import running, server_words
from ktclient.cli.render import output
from ktclient.config.settings import Settings
from ktclient.errors import BadInput
from ktclient.gateway.service import instance, start
from ktclient.gateway.service.instance import Files

KEY_VARIABLE = "KTJOB_API_KEY"


def detach(settings: Settings, options: Mapping[str, Any], words: Sequence[str]) -> int:
    """Start it in the background; print its base URL when it answers. 1: it does not answer.
    Raises `BadInput` if one runs there, `DetachFailed` with the end of the log of one that did not
    start."""
    require_package()
    state, port = settings.state, options["port"]
    if instance.of_port(state, port) is not None:
        raise instance.taken(Files(state, port))
    if settings.environ.get(KEY_VARIABLE):
        output.note(
            f"note: {KEY_VARIABLE} is not passed to a process in the background: put the key into "
            "a file that server.api_key_file in config.toml names"
        )
    url = start.detached(settings, port, words)
    if not running.is_answering(url):
        output.note(f"{url} does not answer yet. Its log: {Files(state, port).log}")
        return exit_codes.FAILED
    output.print_data(f"{url}/v1")
    output.note(f"page: {url}/")
    output.note(f"server: {server_words.of(settings)}")
    output.note(f"log: {Files(state, port).log}")
    number = url.rpartition(":")[2]
    output.note(f"to stop: ktjob serve --stop --port {number}; jobs continue")
    return exit_codes.SUCCEEDED


def require_package() -> None:
    """Raise `BadInput` if a package of the gateway is not installed."""
    import importlib.util

    for name in ("uvicorn", "starlette"):
        if importlib.util.find_spec(name) is None:
            raise BadInput(f"the gateway needs the package {name}: {extras.command('gateway')}")
