"""Which machine, boot and container this is."""

from __future__ import annotations

import os
from pathlib import Path

MACHINE_ID = Path("/etc/machine-id")


def machine_id() -> str:
    """The id that systemd gave this installation (machine-id(5)); empty where there is none, as in
    most containers."""
    try:
        found = MACHINE_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return "" if found == "uninitialized" else found


def host_name() -> str:
    """The name of this machine or container. A container mostly gets another one at each start."""
    return os.uname().nodename
