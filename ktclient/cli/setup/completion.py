"""`ktjob completion` and `ktserver completion`: click's own scripts.

What they offer is in completion_candidates.py, and the names of commands in help.py.
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
    """Print the completion script for SHELL, to be put where stderr says."""
    root = ctx.find_root()
    name = root.info_name or "ktjob"
    found = get_completion_class(shell)
    assert found is not None
    variable = f"_{name.upper()}_COMPLETE"
    # Not `.source()`: for bash that starts a bash to learn its version.
    made = found(root.command, {}, name, variable)
    output.print_data(made.source_template % made.source_vars())
    output.note(f"for every new {shell}: put it into {_PLACES[shell].format(name=name)}")
