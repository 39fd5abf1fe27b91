"""What the process that reads a document may use. Both sides import this: the one that starts it
says how much, the other sets the limits for itself."""

from __future__ import annotations

import contextlib
import json
import resource
from dataclasses import asdict, dataclass

SECONDS = 300.0
"""A PDF of 10,000 pages of text takes about a minute."""
CPU_SECONDS = 290
MEMORY_BYTES = 3 * 10**9
LAST_CPU_SECONDS = 5
LAST_PART = 32
"""From soft limits to hard ones: seconds, and of memory one part in 32. At the soft limit of CPU
time the kernel sends SIGXCPU, at the hard one SIGKILL, which says nothing. The last part of the
memory is for saying that the rest was used up."""
OPEN_FILES = 64
"""Its three pipes, and its libraries while they are loaded."""


@dataclass(frozen=True)
class Allowance:
    """The bounds of one reading process."""

    output_bytes: int
    """Bytes of text that it may find."""
    seconds: float
    """By the clock."""
    cpu_seconds: int
    memory_bytes: int
    """Bytes of address space."""

    @classmethod
    def usual(cls, output_bytes: int) -> Allowance:
        """The constants above, or less where this process has tighter limits (`ulimit`)."""
        cpu, memory = _soft(resource.RLIMIT_CPU), _soft(resource.RLIMIT_AS)
        return cls(
            output_bytes,
            SECONDS,
            CPU_SECONDS if cpu is None else max(1, min(CPU_SECONDS, cpu - LAST_CPU_SECONDS)),
            MEMORY_BYTES if memory is None else min(MEMORY_BYTES, memory - memory // LAST_PART),
        )

    @classmethod
    def from_json(cls, text: str) -> Allowance:
        """From `to_json`; a number alone is the `output_bytes` of an earlier version."""
        given = json.loads(text)
        return cls.usual(given) if isinstance(given, int) else cls(**given)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def impose(self) -> None:
        """Set the limits of this process."""
        cpu, memory = self.cpu_seconds, self.memory_bytes
        _limit(resource.RLIMIT_CPU, cpu, cpu + LAST_CPU_SECONDS)
        _limit(resource.RLIMIT_AS, memory, memory + memory // LAST_PART)
        _limit(resource.RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES)
        _limit(resource.RLIMIT_CORE, 0, 0)


def forbid_side_effects() -> None:
    """Let this process write to pipes only, and start no other (as root it still may: setrlimit(2),
    RLIMIT_NPROC). Not before all is imported: Python stores what it compiles."""
    _limit(resource.RLIMIT_FSIZE, 0, 0)
    _limit(resource.RLIMIT_NPROC, 0, 0)


def use_last_memory() -> None:
    """Raise the soft limit of memory to the hard one: after it was reached, for the words."""
    with contextlib.suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _soft(kind: int) -> int | None:
    limit = resource.getrlimit(kind)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _limit(kind: int, soft: int, hard: int) -> None:
    """Set both limits; the hard one is never raised, because that is refused."""
    most = resource.getrlimit(kind)[1]
    hard = hard if most == resource.RLIM_INFINITY else min(hard, most)
    resource.setrlimit(kind, (min(soft, hard), hard))
