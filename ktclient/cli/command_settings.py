"""The settings of the command that runs: read once, however many modules ask."""

from __future__ import annotations

import click

from jobs.store.state_dir import StateDir
from ktclient.config import settings as config


def load() -> config.Settings:
    """The settings, from the environment and the configuration file. Raises `BadSetting`."""
    context = click.get_current_context(silent=True)
    if context is None:  # called by a program, not by a command line
        return config.load()
    root = context.find_root()
    if not isinstance(root.obj, config.Settings):
        root.obj = config.load()
    return root.obj


def state() -> StateDir:
    """The state directory: for commands that look at jobs or end them, which work whatever the
    configuration file says. Raises `BadSetting`."""
    return config.state_dir()
