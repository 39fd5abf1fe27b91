"""The process that installs: detached, so that it ends by itself whatever happens to the command
that began it. At its end it writes the interpreter into the configuration."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from jobs import known_secrets
from jobs.errors import KtjobError
from jobs.processes import detach, identity
from jobs.system import no_room
from ktclient.config import edit as config_edit
from ktclient.config import interpreters as config_interpreters
from ktclient.config import settings as config
from ktclient.errors import BadInput, BadSetting
from server_bundle.install import index as user_index
from server_bundle.install import progress as progresses
from server_bundle.install import run
from server_bundle.install.layout import Layout
from server_bundle.install.progress import Progress
from server_bundle.plan import installation

MODULE = "ktclient.cli.install.process"


class _Stopped(BaseException):
    """SIGTERM or SIGINT arrived."""


def main(argv: Sequence[str]) -> None:
    """Install into the folder `argv[0]` what its order says."""
    layout = Layout(Path(argv[0]))
    lock = identity.hold(layout.lock)
    if lock is None:  # another process was first: it is followed
        detach.say_ready("another installs")
        return
    lock.sign()
    last = _Last(layout)
    detach.say_ready("installs")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        index = user_index.configured(config.environment())
        run.perform(layout, run.read_order(layout), index, last.write)
    except _Stopped:
        last.end(progresses.STOPPED, "stopped on request")
        os._exit(1)  # threads may wait for a silent index
    except KtjobError as error:
        last.end(progresses.FAILED, str(error))
        os._exit(1)
    except OSError as error:
        reason = no_room.reason(error, layout.folder) or error.strerror or str(error)
        last.end(
            progresses.FAILED,
            f"{error.filename or layout.folder}: {reason}. "
            "What has arrived is kept; run the command again to continue",
        )
        os._exit(1)


def _stop(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise _Stopped


class _Last:
    """Writes the progress, and remembers it for the end."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._seen = Progress(progresses.FETCH)
        self.write(self._seen)

    def write(self, progress: Progress) -> None:
        """Write it, and a line into the log where the phase changes."""
        if progress.phase != self._seen.phase:
            print(f"{progress.phase} after {progress.seconds:,.0f} s", flush=True)
        if progress.phase == progresses.COMPLETE:
            progress = dataclasses.replace(progress, message=configure(self._layout))
        self._seen = progress
        progresses.write(self._layout, progress)

    def end(self, phase: str, message: str) -> None:
        """Write how it ended, also where the disk is full: then only the log may have it."""
        text = known_secrets.hide_foreign(message)
        print(f"{phase}: {text}", file=sys.stderr, flush=True)
        try:
            progresses.write(
                self._layout, dataclasses.replace(self._seen, phase=phase, message=text)
            )
        except OSError as error:
            print(f"cannot write {self._layout.progress}: {error}", file=sys.stderr, flush=True)


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
