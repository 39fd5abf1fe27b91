"""`ktjob completion` and `ktserver completion`: click's own scripts, with our live candidates."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ktclient.cli.render import output
from ktclient.cli.setup import completion_candidates
from ktclient.cli.setup.completion_candidates import AnyFile, Completed

_ARGUMENTS = {
    ("wait", "job_id"): completion_candidates.unfinished,
    ("follow", "job_id"): completion_candidates.unfinished,
    ("cancel", "job_id"): completion_candidates.unfinished,
    ("result", "job_id"): completion_candidates.finished,
    ("retry", "job_id"): completion_candidates.finished,
    ("rm", "job_ids"): completion_candidates.ended_only,
    ("key", "server"): completion_candidates.default_and_servers,
    ("set", "name"): completion_candidates.settings,
    ("unset", "name"): completion_candidates.settings,
    ("show", "name"): completion_candidates.profiles,
    ("templates", "name"): completion_candidates.templates,
}
"""By command and parameter, before what a parameter's name alone says."""
_BY_NAME = {
    "job_id": completion_candidates.newest,
    "job_ids": completion_candidates.newest,
    "after": completion_candidates.newest,
    "server": completion_candidates.servers,
    "host": completion_candidates.hosts,
    "template": completion_candidates.templates,
    "profile": completion_candidates.profiles,
}
_FILES = {"files", "file", "schema", "output", "plan_file", "logfile", "requests", "python"}

_PLACES = {
    "bash": "~/.local/share/bash-completion/completions/{name}",
    "zsh": "a folder of $fpath, as _{name}",
    "fish": "~/.config/fish/completions/{name}.fish",
}


def attach(group: click.Group) -> None:
    """Give every parameter of a group's commands what completion may offer for it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            attach(command)
        for param in command.params:
            offer = _ARGUMENTS.get((name, param.name or "")) or _BY_NAME.get(param.name or "")
            if group.name == "ktserver" and param.name == "name":
                offer = completion_candidates.servers_of_ours
            if type(param.type) is not type(click.STRING):
                continue  # numbers and choices complete themselves
            if offer is not None:
                param.type = Completed(offer)
            elif param.name in _FILES:
                param.type = AnyFile()


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
