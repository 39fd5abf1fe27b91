"""One request inside of the engine, and what the engine says about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from queue import SimpleQueue

PROBE = "HEALTH_CHECK_"


@dataclass(frozen=True)
class Started:
    """The prefill has begun."""


@dataclass(frozen=True)
class Token:
    """One word of the answer."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The end, and the tokens that the server says it took. `status` and `message`: the
    scheduler's own reason to abort, which reaches streams and others in different ways."""

    reason: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    status: int = 0
    message: str = ""


Item = Started | Token | Finished


@dataclass(eq=False)
class Request:
    """One request inside of the engine."""

    n: int
    rid: str
    prompt_tokens: int
    max_tokens: int | None
    words: list[str]
    text: str = field(default="", repr=False)
    out: SimpleQueue[Item] = field(default_factory=SimpleQueue)
    queued: float = 0.0
    admitted: float = 0.0
    due: float = 0.0
    cached: int = 0
    allocated: int = 0
    prefilled: int = 0
    said: int = 0
    retractions: int = 0
    repeated: int = 0
    aborted: bool = False
    refusal: str = ""

    @property
    def is_probe(self) -> bool:
        """/health asks for one token."""
        return self.rid.startswith(PROBE)

    @property
    def limit(self) -> int:
        """How many words it will say."""
        return min(len(self.words), self.max_tokens or len(self.words))

    @property
    def to_prefill(self) -> int:
        """The prompt; and after a retraction what had been said, too."""
        return self.prompt_tokens + self.repeated

    @property
    def left(self) -> int:
        """Tokens of it that are in no chunk yet."""
        return self.to_prefill - self.allocated

    @property
    def held(self) -> int:
        """Its tokens in the KV pool."""
        return self.allocated + self.said - self.repeated

    def wanted(self, clip: int, page: int) -> int:
        """The room that its admission needs: sglang schedule_policy.py, add_one_req."""
        answer = clip if self.max_tokens is None else max(self.max_tokens - self.said, 0)
        return self.to_prefill + min(answer, clip) + page

    def drop(self) -> None:
        """Retracted: what it had computed is gone, and what it said must be read again."""
        self.retractions += 1
        self.repeated, self.allocated, self.prefilled, self.cached = self.said, 0, 0, 0
