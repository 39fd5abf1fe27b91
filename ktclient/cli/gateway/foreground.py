"""`ktjob serve` in this process, and what it prints."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from jobs import extras
from jobs.processes import detach
from ktclient.cli import exit_codes
from ktclient.cli.gateway import access_options, server_words
from ktclient.cli.render import output
from ktclient.config.settings import Settings
from ktclient.errors import BadInput
from ktclient.gateway.service import process
from ktclient.gateway.service.options import Place, Wanted

_LIMITS = ("max_tokens", "quick_seconds", "comment_seconds", "progress_seconds")


def run(settings: Settings, options: Mapping[str, Any]) -> int:
    """Serve until a signal. Raises `BadInput`."""
    try:
        process.run(settings, _wanted(settings, options), lambda place: _say(place, settings))
    except ModuleNotFoundError as error:
        raise BadInput(
            f"the gateway needs the package {error.name}: {extras.command('gateway')}"
        ) from error
    return exit_codes.SUCCEEDED


def _wanted(settings: Settings, options: Mapping[str, Any]) -> Wanted:
    return Wanted(
        host=options["host"],
        port=options["port"],
        limits={name: options[name] for name in _LIMITS if options[name] is not None},
        rules=access_options.rules(dict(options)),
        is_quiet=options["quiet"],
    )


def _say(place: Place, settings: Settings) -> None:
    output.note(f"listening on {place.url}/v1 (the base URL for clients); page: {place.url}/")
    detach.say_ready(place.url)
    # The server may take its time, and the gateway answers already.
    threading.Thread(target=_say_more, args=(place, settings), daemon=True).start()


def _say_more(place: Place, settings: Settings) -> None:
    output.note(f"server: {server_words.of(settings)}")
    output.note(f"access: {place.remark or 'each request needs an API key'}")
    output.note(f"to stop: Ctrl-C, or ktjob serve --stop --port {place.port}; jobs continue")
