"""Starting an installation in a process of its own, following it, and stopping it.

The process is detached: it does not end with the terminal, nor with the command that follows it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jobs import program
from jobs.errors import DetachFailed
from jobs.processes import detach, identity
from server_bundle.errors import InstallFailed, InstallRefused
from server_bundle.install import run
from server_bundle.install.layout import Layout
from server_bundle.install.lock import Lock
from server_bundle.install.run import Order
from server_bundle.plan import installation
from server_bundle.transfers import progress as progresses
from server_bundle.transfers.pool import unwritable
from server_bundle.transfers.progress import Progress
from server_bundle.transfers.run import LOOK_SECONDS

_LOCK_SECONDS = 60.0
_OF_INDEX = ("PIP_", "UV_")
_OF_NETWORK = {"SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CLIENT_CERT", "REQUESTS_CA_BUNDLE", "NETRC"}


@dataclass(frozen=True)
class Begun:
    """`is_new`: whether this call started it; else it ran before."""

    layout: Layout
    is_new: bool


def begin(
    layout: Layout, lock: Lock, order: Order, module: str, environ: Mapping[str, str]
) -> Begun:
    """Start `module`, the process that installs, unless it runs. Raises `InstallRefused` if another
    package set is being installed there, and `InstallFailed` if it does not start."""
    try:
        run.make_folders(layout)
        starting = identity.hold(layout.work / "starting.lock", _LOCK_SECONDS)
        if starting is None:
            raise InstallFailed(
                f"another ktserver is still starting an installation in {layout.folder}. Wait for "
                "it, then try again"
            )
        try:
            if identity.is_held(layout.lock):
                _refuse_another(layout, order)
                return Begun(layout, False)
            run.begin(layout, lock, order.command)
            order.write(layout)
            layout.record.path.unlink(missing_ok=True)
            _spawn(layout, module, environ)
            return Begun(layout, True)
        finally:
            starting.release()
    except OSError as error:
        raise InstallFailed(unwritable(error, layout.folder)) from error


def _refuse_another(layout: Layout, order: Order) -> None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        running = run.read_order(layout)
        if running.lock == order.lock:
            return
        raise InstallRefused(
            f"another installation runs in {layout.folder}: ktserver {running.command}. Wait for "
            "it, or stop it with: ktserver install --stop"
        )


def _spawn(layout: Layout, module: str, environ: Mapping[str, str]) -> None:
    network = {
        name: value
        for name, value in environ.items()
        if name.startswith(_OF_INDEX) or name in _OF_NETWORK or name.lower().endswith("_proxy")
    }
    try:
        detach.spawn(
            [*program.command(module), str(layout.folder)],
            log=layout.log,
            cwd=layout.work,
            extra_env=network,  # also those with a password, which no other child gets
            ready_seconds=_LOCK_SECONDS,
        )
    except DetachFailed as error:
        raise InstallFailed(str(error)) from error


def follow(layout: Layout, on_look: Callable[[Progress], None]) -> Progress:
    """Wait for the end of an installation. Raises `InstallFailed` if it ends before it is
    complete."""
    while True:
        is_running = identity.is_held(layout.lock)
        seen = layout.record.read()
        if seen is not None and seen.is_running:
            on_look(seen)
        elif not is_running:
            return _ended(layout, seen)
        time.sleep(LOOK_SECONDS)  # no event reports what another process wrote


def _ended(layout: Layout, seen: Progress | None) -> Progress:
    if seen is not None and seen.phase == progresses.COMPLETE:
        return seen
    made = installation.of_folder(layout.folder)
    again = f"Run it again to continue: ktserver {made.command}" if made else "Run it again"
    if seen is None or seen.phase == progresses.CUT:
        why = seen.message if seen else "its process ended at its start"
        why += f" ({last})" if (last := detach.tail(layout.log, 500).rpartition("\n")[2]) else ""
        raise InstallFailed(f"the installation ended: {why}. Its log is {layout.log}. {again}")
    if seen.phase == progresses.STOPPED:
        raise InstallFailed(f"the installation was stopped. {again}")
    raise InstallFailed(seen.message)
