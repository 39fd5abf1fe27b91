"""`ktjob completion` and `ktserver completion`: click's own scripts.

What they offer is in completion_candidates.py, and the names of commands in command_table.py.
"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ktclient.cli.render import output

_PLACES = {
    "bash": "~/.local/share/bash-completion/completions/{name}",
    "zsh": "a folder of $fpath, as _{name}",
    "fish": "~/.config/fish/completions/{name}.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(sorted(_PLACES)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL. Where to save it is printed on stderr."""
    root = ctx.find_root()
    name = root.info_name or "ktjob"
    found = get_completion_class(shell)
    assert found is not None
    variable = f"_{name.upper()}_COMPLETE"
    # Not `.source()`: for bash that starts a bash to find out its version.
    made = found(root.command, {}, name, variable)
    output.print_data(made.source_template % made.source_vars())
    output.note(f"to load it in every new {shell}, save it to {_PLACES[shell].format(name=name)}")
