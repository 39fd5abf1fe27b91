"""The options from which a server's plan is made, for every command that makes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

DEFAULT_PROFILE = "deepseek-v4-flash-4x5090"


def plan_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that plan a server: the fields of `own_plan.PlanOptions` except
    `profile`."""
    options = (
        click.option("--model", metavar="DIR", help="Folder with the weights."),
        click.option("--python", metavar="PATH", help="Python interpreter of the server."),
        click.option(
            "--engine",
            type=click.Choice(["sglang-kt", "sglang"]),
            help="Engine installed there (default: detected).",
        ),
        click.option("--engine-version", metavar="V", help="Engine version (default: detected)."),
        click.option("--host", metavar="ADDRESS", help="Address to listen on (default 127.0.0.1)."),
        click.option(
            "--port", type=int, metavar="N", help="Port to listen on (default: the profile's)."
        ),
        click.option(
            "--tensor-parallel-size",
            type=int,
            metavar="N",
            help="Number of GPUs (default: the profile's).",
        ),
        click.option("--context", type=int, metavar="N", help="Context window in tokens."),
        click.option(
            "--mem-fraction",
            type=float,
            metavar="F",
            help="Share of GPU memory for weights and KV pool.",
        ),
        click.option(
            "--gpu",
            metavar="NAME",
            help="GPU to plan for, such as H200 (default: this machine's, else the profile's).",
        ),
        click.option(
            "--gpu-memory",
            type=float,
            metavar="GIB",
            help="Memory of one GPU to plan for, as nvidia-smi shows it.",
        ),
        click.option(
            "--env",
            multiple=True,
            metavar="NAME=VALUE",
            help="Variable for the server only, over the profile's. Repeatable. No secrets.",
        ),
        click.option("--served-model-name", metavar="NAME", help="Model name for clients."),
        click.option(
            "--as-guide", is_flag=True, help="Use the flags of the profile's guide, unchanged."
        ),
        click.argument("extra", nargs=-1, metavar="[-- FLAGS...]"),
    )
    for option in reversed(options):
        command = option(command)
    return command
