"""`ktserver logs`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jobs import known_secrets
from ktclient.cli import command_settings, exit_codes
from ktclient.cli.render import output
from ktclient.cli.server import selection
from ktclient.config.settings import Settings
from server_bundle.embedded import server as embedded
from server_bundle.launch import registry

if TYPE_CHECKING:
    from server_bundle.launch.registry import Observed


_FOLLOW_SECONDS = 0.3


_TAIL_BYTES_PER_LINE = 400
_MOST_BYTES = 32 << 20
"""Read at once. A log is rotated at that size."""


@click.command()
@click.argument("name", required=False)
@click.option("-f", "--follow", is_flag=True, help="Keep printing until Ctrl-C or the server ends.")
@click.option(
    "--lines",
    type=click.IntRange(0, 100_000),
    default=100,
    help="Number of lines to print first (default 100).",
)
def logs(name: str | None, follow: bool, lines: int) -> int:
    """Print the end of a server's log. NAME can be left out if there is only one server."""
    settings = command_settings.load()
    seen = selection.find(settings, name)
    settings.learn_keys()
    log = Path(seen.server.log) if seen else settings.state.server / "server.log"
    if not log.exists():
        output.note(f"there is no log yet: {log}")
        return exit_codes.NO_SERVER
    offset = _tail(log, lines)
    while follow:
        alive = _is_alive(settings, seen)
        offset = _more(log, offset)
        if not alive:
            output.note("the server has ended; see: ktserver status")
            break
        time.sleep(_FOLLOW_SECONDS)  # a file that grows gives no event
    return exit_codes.SUCCEEDED


def _is_alive(settings: Settings, seen: Observed | None) -> bool:
    if seen is None:
        return embedded.status(settings.state.server) is not None
    now = registry.inspect(seen.files)
    return now is not None and now.is_running


def _tail(log: Path, lines: int) -> int:
    """Print the last lines. Returns the end of the file, as an offset in bytes."""
    with log.open("rb") as file:
        end = file.seek(0, 2)
        size = min(_MOST_BYTES, _TAIL_BYTES_PER_LINE * max(1, lines))
        while True:
            start = file.seek(max(0, end - size))
            data = file.read(min(size, end - start))
            if start == 0 or data.count(b"\n") > lines or size >= _MOST_BYTES:
                break
            size = min(_MOST_BYTES, size * 4)
    kept_lines = data.splitlines(keepends=True)[-lines:] if lines else []
    _put(b"".join(kept_lines))
    return end


def _more(log: Path, offset: int) -> int:
    """Print what was added after `offset`. Returns the new end of the file, in bytes.

    A file that is shorter than before was rotated by the supervisor: read it from its start.
    """
    try:
        with log.open("rb") as file:
            end = file.seek(0, 2)
            start = file.seek(offset if offset <= end else 0)
            new = file.read(min(_MOST_BYTES, end - start))
            _put(new)
            return start + len(new)
    except FileNotFoundError:
        return 0


def _put(data: bytes) -> None:
    text = known_secrets.hide(data.decode(errors="replace"))
    if text:
        output.print_data(text.removesuffix("\n"))
