"""What is installed in the server's interpreter, asked of itself: it is not ours.

One process that reads metadata; nothing of the server is imported, so that it takes a moment and
needs no GPU.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from server_bundle.doctor.facts.machine import Machine

SCRIPT = """\
import json, platform
from importlib import metadata
found = {}
for one in metadata.distributions():
    name = one.metadata["Name"]
    if name:
        found.setdefault(name.lower().replace("_", "-").replace(".", "-"), one.version)
print(json.dumps({"version": platform.python_version(), "packages": found}))
"""


@dataclass(frozen=True)
class Inside:
    """An interpreter. `trouble` says why it could not be asked."""

    version: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    """By their normalised names."""
    trouble: str = ""


def ask(machine: Machine, python: str) -> Inside:
    """Ask an interpreter about itself."""
    answer = machine.run([python, "-W", "ignore", "-c", SCRIPT])
    if answer is None:
        return Inside(trouble="there is no such program")
    if answer.status != 0:
        return Inside(trouble=answer.words)
    try:
        told = json.loads(answer.out.strip().splitlines()[-1])
        return Inside(str(told["version"]), dict(told["packages"]))
    except (ValueError, KeyError, IndexError, TypeError):
        return Inside(trouble=f"it is no Python: {answer.words}")
