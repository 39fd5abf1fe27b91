"""The options from which a server's plan is made, for every command that makes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

DEFAULT_PROFILE = "deepseek-v4-flash-4x5090"


def plan_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What `plan` takes to work out a server, for every command that does: the fields of
    `server_planning.Wanted` other than `profile`."""
    options = (
        click.option("--model", metavar="DIR", help="Folder of the weights."),
        click.option("--python", metavar="PATH", help="The server's interpreter."),
        click.option(
            "--engine",
            type=click.Choice(["sglang-kt", "sglang"]),
            help="What that interpreter has; looked up when not given.",
        ),
        click.option("--engine-version", metavar="V", help="Its version; looked up as well."),
        click.option("--host", metavar="ADDRESS", help="Where to listen; 127.0.0.1."),
        click.option("--port", type=int, metavar="N", help="The port; the profile's."),
        click.option("--tensor-parallel-size", type=int, metavar="N", help="GPUs; the profile's."),
        click.option("--context", type=int, metavar="N", help="Longest request, in tokens."),
        click.option(
            "--mem-fraction", type=float, metavar="F", help="Share of GPU memory: weights, KV pool."
        ),
        click.option("--served-model-name", metavar="NAME", help="The model's name for clients."),
        click.option("--as-guide", is_flag=True, help="Exactly what the profile's source says."),
        click.argument("extra", nargs=-1, metavar="[-- FLAGS...]"),
    )
    for option in reversed(options):
        command = option(command)
    return command
