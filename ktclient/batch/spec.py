"""What a batch stores: its spec, and its requests as the lines of its document.

The document holds all that a part needs, so the batch's conductor queries no server.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field

from ktclient.batch.file import Line, Problem
from ktclient.documents import turn_marks
from ktclient.prompts.tasks import Kind, Task
from ktclient.records import kinds
from ktclient.request.body import Body
from ktclient.submission import prefix
from ktclient.submission.spec import VERSION, JobSpec
from ktclient.tokens.estimate import Estimate

CONDUCT = kinds.BATCH
"""The conductor's kind."""


@dataclass(frozen=True)
class Request:
    """One line of the file, ready to be a part."""

    custom_id: str
    body: bytes = field(repr=False)
    model: str | None
    """None: the model that the server serves."""
    max_tokens: int
    timeout: float
    weight: int
    counted: Estimate | None
    is_model_chosen: bool = False
    is_short: bool = False
    """Both as in a job's spec."""

    def to_json(self) -> bytes:
        tokens = self.counted and [self.counted.low, self.counted.likely, self.counted.high]
        head = {
            "custom_id": self.custom_id,
            "model": self.model,
            "max_tokens": self.max_tokens,
            "timeout": self.timeout,
            "weight": self.weight,
            "tokens": tokens,
            **({"chosen": True} if self.is_model_chosen else {}),
            **({"short": True} if self.is_short else {}),
        }
        return json.dumps(head, ensure_ascii=False).encode()[:-1] + b', "body": ' + self.body + b"}"

    @classmethod
    def from_json(cls, text: bytes) -> Request:
        found = json.loads(text)
        tokens = found["tokens"]
        return cls(
            custom_id=found["custom_id"],
            body=Body(found["body"]).to_bytes(),
            model=found["model"],
            max_tokens=found["max_tokens"],
            timeout=found["timeout"],
            weight=found["weight"],
            counted=None if tokens is None else Estimate(*tokens),
            is_model_chosen=bool(found.get("chosen")),
            is_short=bool(found.get("short")),
        )

    def spec(self, server: str, *, has_key: bool, others: tuple[str, ...] = ()) -> str:
        """The spec of its part, as JSON."""
        return JobSpec(
            task=Task(Kind.REQUEST),
            server=server,
            model=self.model,
            max_tokens=self.max_tokens,
            timeout=self.timeout,
            counted=self.counted,
            has_key=has_key,
            is_model_chosen=self.is_model_chosen,
            is_short=self.is_short,
            others=others,
            prefix=self.prefix,
        ).to_json()

    @functools.cached_property
    def prefix(self) -> str:
        """As in a job's spec."""
        is_long = len(self.body) >= prefix.LEAST_CHARACTERS
        return prefix.of_body(Body.from_bytes(self.body)) if is_long else ""


def to_document(requests: Iterable[Request]) -> bytes:
    return b"\n".join(request.to_json() for request in requests)


def from_document(document: bytes) -> Iterator[Request]:
    return (Request.from_json(line) for line in document.split(b"\n"))


@dataclass(frozen=True)
class BatchSpec:
    """How a batch processes its document."""

    results: str
    """The absolute path of the file to write."""
    errors: str | None
    """The path of a file for failed lines; None: they go to `results`."""
    mode: int
    """The permissions of new files."""
    lines: int
    digest: str
    """A hash of the requests: custom_ids and bodies, in order."""
    server: str
    model: str | None
    max_tokens: int
    timeout: float
    """`max_tokens` and `timeout` are the largest of any request. Before the check, `max_tokens` is
    the limit of an answer where its request sets none; 0: by the window."""
    max_attempts: int
    """For each request."""
    has_key: bool = False
    """As `JobSpec.has_key`."""
    is_held: bool = False
    """No file is written: `results` is only a name, and the lines are read from the store."""
    is_checked: bool = True
    """False: the document is a file of requests as it came, which the conductor checks first."""
    others: tuple[str, ...] = ()
    """As `JobSpec.others`, of each request for the model `others_serve`."""
    others_serve: str | None = None
    shares: Mapping[str, bool] = field(default_factory=dict)
    """Those of them that get some of the requests, and as `has_key`."""
    refused: tuple[Problem, ...] = ()
    """What is wrong with lines that whoever stored the file has left out of it."""

    def to_json(self) -> str:
        stored = {
            "version": VERSION,
            "conduct": CONDUCT,
            "task": {"kind": Kind.BATCH.value, "text": ""},
            "server": self.server,
            "model": self.model,
            "max_tokens": self.max_tokens,
            "timeout": self.timeout,
            "max_attempts": self.max_attempts,
            "results": self.results,
            "errors": self.errors,
            "mode": self.mode,
            "lines": self.lines,
            "digest": self.digest,
            "keyed": self.has_key,
            **({"held": True} if self.is_held else {}),
            **({} if self.is_checked else {"unchecked": True}),
            **({"others": list(self.others), "serve": self.others_serve} if self.others else {}),
            **({"shares": dict(self.shares)} if self.shares else {}),
            **({"refused": [asdict(one) for one in self.refused]} if self.refused else {}),
        }
        return json.dumps(stored, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> BatchSpec:
        found = json.loads(text)
        names = ("results", "errors", "mode", "lines", "digest", "server", "model", "max_tokens")
        return cls(
            **{name: found[name] for name in names},
            timeout=found["timeout"],
            max_attempts=found["max_attempts"],
            has_key=bool(found.get("keyed")),
            is_held=bool(found.get("held")),
            is_checked=not found.get("unchecked"),
            others=tuple(found.get("others", ())),
            others_serve=found.get("serve"),
            shares=dict(found.get("shares", {})),
            refused=tuple(Problem(**one) for one in found.get("refused", ())),
        )


def mark(results: str) -> str:
    """A text that occurs in the spec of exactly those batches that write this file."""
    return f'"results": {json.dumps(results, ensure_ascii=False)}, '


def digest(requests: Iterable[Request | Line]) -> str:
    """A hash of the requests: custom_ids and bodies, in order."""
    return _digest((request.custom_id, request.body) for request in requests)


def digest_before(lines: Iterable[Line]) -> str:
    """The same as earlier versions stored it."""
    return _digest((line.custom_id, _before(line.body)) for line in lines)


def sums(requests: Iterable[Request | Line]) -> dict[str, frozenset[str]]:
    """custom_id -> SHA-256 of the body, now and as earlier versions stored it: they made marks of
    any model harmless before they stored a line."""
    return {
        request.custom_id: frozenset(
            hashlib.sha256(body).hexdigest() for body in {request.body, _before(request.body)}
        )
        for request in requests
    }


def _before(body: bytes) -> bytes:
    if turn_marks.is_as_before(body.decode()):
        return body
    return Body.from_bytes(body).as_before().to_bytes()


def _digest(bodies: Iterable[tuple[str, bytes]]) -> str:
    found = hashlib.sha256()
    for custom_id, body in bodies:
        found.update(json.dumps(custom_id).encode() + b"\n" + body + b"\n")
    return found.hexdigest()
