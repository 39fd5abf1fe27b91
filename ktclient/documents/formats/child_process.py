"""Run the process that reads one document, bounded in time, memory and output.

Readers are large and documents may be hostile: a crash, a bomb or an endless loop ends there.
"""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import dataclass

from jobs import child_environment, program
from ktclient import wording
from ktclient.errors import DocumentUnusable

SECONDS = 300.0
"""A PDF of 10,000 pages of text takes about a minute."""


@dataclass(frozen=True)
class Read:
    """The text that was read: Markdown if the format has headings, else plain text."""

    text: str
    about: str
    """Its size, such as "312 pages"."""


def read(body: bytes, format_name: str, title: str, most_bytes: int) -> Read:
    """Read a document. Raises `DocumentUnusable`, with a message about `title`."""
    command = [*program.command(__package__), format_name, str(most_bytes)]
    try:
        # Not in the caller's folder: Python must not import modules from there.
        done = subprocess.run(
            command,
            input=body,
            capture_output=True,
            timeout=SECONDS,
            cwd="/",
            env=child_environment.of_reader(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DocumentUnusable(
            f"{title} could not be read as {format_name} within {SECONDS:,.0f} s; extract its text "
            "with another program, and submit that"
        ) from None
    except OSError as error:
        raise DocumentUnusable(
            f"{title}: its reader cannot be started: {wording.reason(error)}"
        ) from None
    head, _, text = done.stdout.partition(b"\n")
    if done.returncode < 0 or not head:
        raise DocumentUnusable(f"{title} cannot be read as {format_name}: {_death(done)}")
    said = json.loads(head)
    if "error" in said:
        raise DocumentUnusable(f"{title} {said['error']}")
    return Read(text.decode(), said["about"])


def _death(done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode == -signal.SIGXCPU:
        return f"it takes more than {SECONDS:,.0f} s of CPU time"
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return f"it is damaged, or takes too much memory: its reader was killed by {name}"
    last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return f"its reader failed: {last[:200] or done.returncode}"
