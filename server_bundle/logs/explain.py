"""Why a server failed, by its log: known causes with the lines that prove them.

Pure: lines in, causes out. For an unknown failure it reports the exception that ended the server.
"""

from __future__ import annotations

import itertools
import re
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from jobs import known_secrets
from server_bundle.logs import catalogue, stages
from server_bundle.logs.catalogue import Cause
from server_bundle.logs.stages import StagedLine

_SHOWN = 300
"""How many characters of a line are shown around the match."""
_EXCEPTION = re.compile(
    r"^(?: *\| )?(?:(?:[A-Za-z_]\w*\.)*"
    r"(?:[A-Z]\w*)?(?:Error|Exception(?:Group)?|Exit|Interrupt|Failure|Warning|StopIteration)"
    r"|(?:[A-Za-z_]\w*\.)+[A-Za-z]\w*)(?::.*)?$"
)
"""The line that ends a traceback: a name as errors have, or any name with its module (queue.Empty);
after a bar in a group of exceptions."""
_SECRET = re.compile(r"(api_key=['\"]?|--(?:admin-)?api-key[= ]|Bearer )([^\s,'\")]+)")
"""sglang writes its arguments into the log, keys in clear text."""
_OF_THE_LISTENER = ("EOFError", "KeyboardInterrupt", "BrokenPipeError", "ConnectionResetError")
"""Exceptions of the main process after a child has died: never the reason."""
_ORDERLY = (stages.STOPPING,)
_RUN = re.compile(r"^\S+ ktserver: started process \d+:")
_END = re.compile(r"^\S+ ktserver: the server ended: (?:(SIG[A-Z0-9]+)|exit code (\d+))")
"""Lines of ktserver's supervisor in the log: a run of the server, and how it ended."""
_REQUESTED = ", as requested"
"""The end of that line where a stop was requested: sglang then ends with SIGKILL to itself."""


@dataclass(frozen=True)
class Evidence:
    """A line of the log with its number from 1, cut around the match."""

    number: int
    text: str


@dataclass(frozen=True)
class Finding:
    """A known cause: where it was found, how often, and in which stage of the server's life."""

    cause: Cause
    evidence: tuple[Evidence, ...]
    times: int
    stage: str


@dataclass(frozen=True)
class Explanation:
    """What a log shows about the last server that wrote it."""

    found: tuple[Finding, ...]
    """Fatal causes first, then by line."""
    exception: Evidence | None
    """The exception that ended the server, as far as the log shows; None without any."""
    stage: str
    """The last stage that the server reached."""
    last: Evidence | None
    """The last line that is not blank; None for an empty log."""
    ended: bool
    """Whether the server was stopped in an orderly way."""
    went_on: bool
    """Whether it served requests after that exception."""
    is_of_server: bool
    """Whether any line has what sglang writes: its prefix, its arguments, a known failure."""

    @property
    def is_known(self) -> bool:
        """Whether a fatal cause was found, and not only the death that followed it."""
        return any(one.cause.is_fatal and not one.cause.is_aftermath for one in self.found)

    @property
    def is_failure(self) -> bool:
        """Whether the log shows that the server failed, known or not."""
        is_fatal = any(finding.cause.is_fatal for finding in self.found)
        return is_fatal or (self.exception is not None and not self.went_on and not self.ended)


@dataclass
class _Trace:
    """How many patterns of one sign have matched so far."""

    cause: Cause
    sign: catalogue.Sign
    seen: list[Evidence] = field(default_factory=list)

    def look(self, line: StagedLine) -> bool:
        """Whether the sign is complete with this line."""
        pattern = self.sign[len(self.seen)]
        found = pattern.search(line.text)
        is_last = len(self.seen) == len(self.sign) - 1
        if found is None or (is_last and self.cause.when and line.stage not in self.cause.when):
            return False
        self.seen.append(Evidence(line.number, _around(line.text, found.start())))
        return is_last


def _around(text: str, position: int) -> str:
    # Hide keys with as many characters, so that `position` stays valid.
    hidden = _SECRET.sub(lambda found: found[1] + "\0" * len(found[2]), text)
    start = 0 if position < _SHOWN else position - 20
    cut = re.sub("\0+", "…", hidden[start : start + _SHOWN]).strip()
    cut = known_secrets.hide(cut)
    return ("… " if start else "") + cut + (" …" if start + _SHOWN < len(text) else "")


class _Reader:
    """Collects findings line by line; a new start of the server clears the earlier ones."""

    def __init__(self, known: Sequence[Cause]) -> None:
        self._known = known
        self._forget()

    def _forget(self) -> None:
        self._traces = [_Trace(cause, sign) for cause in self._known for sign in cause.signs]
        self.found: dict[str, Finding] = {}
        self.exceptions: list[Evidence] = []
        self.of_scheduler: list[Evidence] = []
        self.last: StagedLine | None = None
        self.last_served = 0
        self.stage = stages.ARGUMENTS
        self.is_of_server = False
        self._is_in_traceback = self._is_of_scheduler = False

    def read(self, line: StagedLine) -> None:
        if line.is_start:
            self._begin()
            self.stage = line.stage
        self.is_of_server |= line.is_start or line.is_prefixed
        if line.text.strip():
            self.last = line
        if stages.STAGES.index(line.stage) > stages.STAGES.index(self.stage):
            self.stage = line.stage
        if line.is_chatter:
            self.last_served = line.number
        else:
            self._look(line)
            self._follow_traceback(line)

    def _begin(self) -> None:
        """Keep findings from before the server printed its arguments, except those about arguments.
        If an earlier server had printed its arguments, the findings are of that one: drop them."""
        before = self.found if self.stage == stages.ARGUMENTS else {}
        self._forget()
        self.found = {
            name: one for name, one in before.items() if one.cause.stage != stages.ARGUMENTS
        }

    def _look(self, line: StagedLine) -> None:
        for trace in self._traces:
            if trace.look(line):
                self._note(trace.cause, tuple(trace.seen), line.stage)
                trace.seen.clear()

    def _note(self, cause: Cause, seen: tuple[Evidence, ...], stage: str) -> None:
        before = self.found.get(cause.id)
        if before is None:
            self.found[cause.id] = Finding(cause, seen, 1, stage)
        else:
            again = Finding(cause, before.evidence, before.times + 1, before.stage)
            self.found[cause.id] = again

    def _follow_traceback(self, line: StagedLine) -> None:
        if "Traceback (most recent call last)" in line.text:
            self._is_in_traceback = True
            self._is_of_scheduler = "Scheduler hit an exception" in line.text
        elif self._is_in_traceback and not line.is_prefixed and _EXCEPTION.match(line.text):
            seen = Evidence(line.number, _around(line.text, 0))
            self.exceptions.append(seen)
            if self._is_of_scheduler:
                self.of_scheduler.append(seen)
            self._is_in_traceback = False


def explain(raw: Iterable[str], exit_status: int | None = None, before: int = 0) -> Explanation:
    """The causes of a failure, by the lines of a log from the last start of a server on. `before`:
    how many lines of the log come before these.

    `exit_status` is the main process's, in the form of a shell or of subprocess (137 or -9), where
    it is known: some ends leave no line in the log. It is used only for a log without a fatal cause
    or exception, because sglang kills itself with SIGKILL after a child's failure.
    """
    known = catalogue.causes()
    reader = _Reader(known)
    for line in stages.read(raw, before):
        reader.read(line)
    harmless = _harmless(reader.found.values())
    exception = _worth_showing(reader.of_scheduler, harmless) or _worth_showing(
        reader.exceptions, harmless
    )
    found = _without_consequences(list(reader.found.values()), exception)
    last = _evidence(reader.last)
    if exception is None and last is not None and not any(one.cause.is_fatal for one in found):
        silent = (one for one in known if exit_status is not None and exit_status in one.exits)
        found += [Finding(one, (last,), 1, reader.stage) for one in silent]
    found.sort(key=lambda one: (not one.cause.is_fatal, one.evidence[0].number))
    ended = reader.last is not None and reader.last.stage in _ORDERLY
    went_on = exception is not None and reader.last_served > exception.number
    is_of_server = reader.is_of_server or bool(found) or exception is not None
    return Explanation(tuple(found), exception, reader.stage, last, ended, went_on, is_of_server)


def last_failure(
    raw: Iterable[str], exit_status: int | None = None, before: int = 0
) -> tuple[Explanation, int]:
    """The same, of the last run that failed, and how many runs came after it.

    A supervisor restarts a server into the same log, whose last run then shows nothing. Without a
    failure in any run it is the last one.
    """
    runs = _runs(list(raw))
    last: Explanation | None = None
    for after, (start, lines) in enumerate(reversed(runs)):
        status = exit_status if not after else None
        status = _exit_status(lines) if status is None else status
        found = explain(lines, status, before + start)
        if found.is_failure:
            return found, after
        last = last or found
    assert last is not None
    return last, 0


def _runs(lines: list[str]) -> list[tuple[int, list[str]]]:
    """The runs of a supervised server: how many lines come before, and the lines."""
    starts = [at for at, line in enumerate(lines) if _RUN.match(line)]
    edges = [0, *starts[1:], len(lines)]
    return [(begin, lines[begin:end]) for begin, end in itertools.pairwise(edges)]


def _exit_status(lines: list[str]) -> int | None:
    """As the supervisor wrote it, in the form of subprocess; None where it did not, or where the
    server was to stop."""
    for line in reversed(lines):
        if found := _END.match(line):
            if line.rstrip().endswith(_REQUESTED):
                return None
            return int(found[2]) if found[2] else -_signal_number(found[1])
    return None


def _signal_number(name: str) -> int:
    try:
        return int(signal.Signals[name])
    except KeyError:
        return 0


def _evidence(line: StagedLine | None) -> Evidence | None:
    return None if line is None else Evidence(line.number, _around(line.text, 0))


def _harmless(found: Iterable[Finding]) -> set[str]:
    """The exceptions that prove a known cause that ends no server."""
    return {
        _without_bar(evidence.text)
        for one in found
        if not one.cause.is_fatal
        for evidence in one.evidence
    }


def _without_bar(text: str) -> str:
    return text.lstrip("| ")


def _worth_showing(exceptions: list[Evidence], harmless: set[str]) -> Evidence | None:
    """The last exception that is not just the reaction to another process's end, nor the proof of
    a harmless cause."""
    left = [one for one in exceptions if _without_bar(one.text) not in harmless]
    told = [one for one in left if not one.text.startswith(_OF_THE_LISTENER)]
    return (told or left)[-1] if left else None


def _without_consequences(found: list[Finding], exception: Evidence | None) -> list[Finding]:
    replaced = {name for one in found for name in one.cause.replaces}
    kept = [one for one in found if one.cause.id not in replaced]
    firm = any(one.cause.is_fatal and not one.cause.yields for one in kept)
    return [
        one
        for one in kept
        if not one.cause.yields
        or (not firm and (one.cause.yields == "causes" or exception is None))
    ]
