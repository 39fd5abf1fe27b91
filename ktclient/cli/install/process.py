"""The process that installs: detached, so that it ends by itself whatever happens to the command
that began it. At its end it writes the interpreter into the configuration."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from jobs import durations
from jobs.processes import detach, identity
from ktclient.config import edit as config_edit
from ktclient.config import interpreters as config_interpreters
from ktclient.config import settings as config
from ktclient.errors import BadInput, BadSetting, InstallFailed
from server_bundle.install import index as user_index
from server_bundle.install import run as installing
from server_bundle.install.layout import Layout
from server_bundle.plan import installation
from server_bundle.transfers import run
from server_bundle.transfers.progress import Progress, Record

MODULE = "ktclient.cli.install.process"


def main(argv: Sequence[str]) -> None:
    """Install into the folder `argv[0]` what its order says."""
    layout = Layout(Path(argv[0]))
    lock = identity.hold(layout.lock)
    if lock is None:  # another process was first: it is followed
        detach.say_ready("another installs")
        return
    lock.sign()
    record = layout.record
    record.show(Progress())
    detach.say_ready("installs")

    def work() -> str:
        index = user_index.configured(config.environment())
        show = _Shown(record).show
        installing.perform(layout, installing.read_order(layout), index, show, run.say)
        return configure(layout)

    run.to_log(lambda: run.perform(record, lock, layout.folder, work, InstallFailed))


class _Shown:
    """Writes the progress, and a line into the log where the phase changes."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def show(self, progress: Progress) -> None:
        if progress.phase != self._record.last.phase:
            run.say(f"{progress.phase} after {durations.rough(progress.seconds)} s")
        self._record.show(progress)


def configure(layout: Layout) -> str:
    """Write the environment's interpreter into the configuration file, as that of its engine. Says
    what was done, and what was there before."""
    made = installation.of_folder(layout.folder)
    python = str(layout.python)
    if made is None or made.engine not in config_interpreters.ENGINES:
        return f"use it with --python {python}"
    name = f"{config_interpreters.TABLE}.{made.engine}"
    by_hand = f"ktjob config set {name} {python}"
    try:
        settings = config.load()
        before = settings.interpreter_of(made.engine)
        if before == python:
            return f"{settings.config_file} has it as {name}"
        text = config_edit.changed(settings, name, python)
        config_edit.replace_file(settings, text, lambda new: None)
    except (BadInput, BadSetting) as error:
        return f"it is not in the configuration file ({error}). Correct that, then: {by_hand}"
    if before is None:
        return f"{settings.config_file} has it as {name} now"
    return (
        f"{settings.config_file} has it as {name} now; before, it was {before} (to go back: ktjob "
        f"config set {name} {before})"
    )


def unconfigure(engine: str, python: str) -> str:
    """Remove an interpreter from the configuration file, if it is there. Says what was done; empty
    if nothing was."""
    name = f"{config_interpreters.TABLE}.{engine}"
    settings = config.load()
    if settings.interpreter_of(engine) != python:
        return ""
    try:
        text = config_edit.changed(settings, name, None)
        config_edit.replace_file(settings, text, lambda new: None)
    except (BadInput, BadSetting) as error:
        return f"it is still in the configuration file ({error}): ktjob config unset {name}"
    return f"{name} was removed from {settings.config_file}"


if __name__ == "__main__":
    main(sys.argv[1:])
