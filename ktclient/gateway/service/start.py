"""The command of a gateway that runs without a terminal, and its start."""

from __future__ import annotations

from collections.abc import Sequence

from jobs import program
from jobs.processes import detach
from jobs.store.state_dir import StateDir
from jobs.upkeep import log_rotation
from ktclient.config.settings import Settings
from ktclient.gateway.service.instance import Files

READY_SECONDS = 120.0
"""How long a gateway may take to answer: half a second on a quiet machine."""
_PROGRAM = "ktclient"


def folders(settings: Settings) -> dict[str, str]:
    """The variables that name ktjob's folders: they may be relative, or come from XDG variables,
    and the gateway runs in another folder."""
    return {
        "KTJOB_HOME": str(settings.state.root),
        "KTJOB_CACHE": str(settings.cache),
        "KTJOB_CONFIG": str(settings.config_file.parent),
    }


def detached(settings: Settings, port: int, words: Sequence[str]) -> str:
    """Start `ktjob serve` with these options in the background, and return its root URL when it
    answers. Raises `DetachFailed` with the end of its log."""
    state = settings.state.create()
    files = Files(state, port)
    log_rotation.rotate(files.log)
    return detach.spawn(
        [*program.command(_PROGRAM), "serve", *words],
        log=files.log,
        cwd=state.root,
        extra_env=folders(settings),
        ready_seconds=READY_SECONDS,
    )


def foreground_argv(state: StateDir, port: int, words: Sequence[str]) -> list[str]:
    """The command that runs it in the foreground, with log and umask set, for a parent that
    supervises it, such as systemd."""
    argv = [*program.lasting_command(_PROGRAM), "serve", *words]
    return detach.foreground_argv(argv, log=Files(state, port).log)
