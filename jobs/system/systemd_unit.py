"""The text of the systemd user unit that resumes queued jobs after a reboot. Pure.

It runs the runner itself, in the foreground. The settings and the quoting follow systemd.service(5)
and systemd.syntax(7).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs import child_environment

NAME = "ktjob.service"
MARKER = "# Written by `ktjob install-unit`. To change it, remove this line: then it is yours."

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_PASSED_ON = {"SSL_CERT_FILE", "SSL_CERT_DIR", *_PROXIES, *(name.upper() for name in _PROXIES)}
_INTERNAL = {
    "KTJOB_READY_FD",
    "KTJOB_LOAD_FIRST",
    "KTJOB_DETACH_ARGV",
    "KTJOB_HOME",
    "KTJOB_CACHE",
    "KTJOB_CONFIG",
}
"""Variables of one process only, or passed by their resolved value."""
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW", re.IGNORECASE)


@dataclass(frozen=True)
class BootUnit:
    """The command of the unit and its environment."""

    python: str
    """The interpreter that ktjob is installed in."""
    state: str
    """The state directory that it serves."""
    argv: Sequence[str]
    environment: Mapping[str, str]


def split_environment(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Which of ktjob's variables the unit takes over, and the names of those that it must not take
    because they hold a secret: any user may read a unit's environment from systemd."""
    kept, withheld = {}, []
    secret = set(environ) - set(child_environment.inherited(environ))
    for name, value in sorted(environ.items()):
        is_ours = name.startswith("KTJOB_") and name not in _INTERNAL
        if not value or not (is_ours or name in _PASSED_ON):
            continue
        if name in secret or _SECRET.search(name) or _has_password(name, value):
            withheld.append(name)
        else:
            kept[name] = value
    return kept, withheld


def _has_password(name: str, value: str) -> bool:
    """Whether a URL has a user, or what may be a key: no URL that ktjob uses has a query."""
    is_url = "://" in value or name.lower().endswith(("_proxy", "_server"))
    return is_url and any(mark in value for mark in "@?#")


def render(unit: BootUnit) -> str:
    """The unit file."""
    argv = [unit.argv[0], *(dollars(word) for word in unit.argv[1:])]
    environment = "\n".join(
        f"Environment={quoted(f'{name}={value}')}"
        for name, value in sorted(unit.environment.items())
    )
    return f"""{MARKER}
[Unit]
Description=ktjob: continue waiting jobs

[Service]
Type=exec
ExecStart={" ".join(quoted(word) for word in argv)}
# A runner exits when it has had nothing to do for a minute: that is no failure. Requests run in
# processes of their own, which outlive it, a stop of this unit, and each other.
KillMode=process
OOMPolicy=continue
TimeoutStopSec=30
Restart=on-failure
RestartSec=10
UMask=0077
{environment}

[Install]
WantedBy=default.target

[X-Ktjob]
Python={json.dumps(unit.python)}
State={json.dumps(unit.state)}
"""


def is_ours(text: str) -> bool:
    """Whether `ktjob install-unit` wrote this unit and its marker line is still there."""
    return MARKER in text.splitlines()


@dataclass(frozen=True)
class Served:
    """What an installed unit starts, and for which state directory."""

    python: str
    state: str


def served(text: str) -> Served | None:
    """The data of a unit file that ktjob wrote; None for any other text."""
    fields = dict(re.findall(r'^(Python|State)=(".*")$', text, re.M))
    try:
        return Served(json.loads(fields["Python"]), json.loads(fields["State"]))
    except (KeyError, ValueError):
        return None


def dollars(word: str) -> str:
    """systemd expands variables in all words except the program's."""
    return word.replace("$", "$$")


def quoted(word: str) -> str:
    """One word, literally: C escapes in quotes, and % doubled because of specifiers."""
    return '"' + "".join(_escaped(byte) for byte in word.encode(errors="surrogateescape")) + '"'


def _escaped(byte: int) -> str:
    if byte in b'"\\':
        return "\\" + chr(byte)
    if byte == ord("%"):
        return "%%"
    # Everything except plain ASCII by number: a unit file must be UTF-8, a path need not be.
    return chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"
