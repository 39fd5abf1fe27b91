"""`ktjob --host all`: a command on all configured machines at the same time.

Each machine has its own connection and its own time. What a machine answers is printed when it is
there, so one that is dead or slow delays no other; it is named with the reason.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import click

from jobs import parsing
from jobs.errors import KtjobError
from ktclient.cli import exit_codes
from ktclient.cli.remote import replies
from ktclient.cli.render import job_details
from ktclient.cli.render import output as render_output
from ktclient.config.settings import Settings
from ktclient.errors import BadInput
from ktclient.records.output_schema import SCHEMA
from ktclient.remote import call as remote_call
from ktclient.remote import ssh

COMMANDS = ("status", "list", "servers", "models", "wait")
"""Those whose answers from several machines make sense beside each other."""
FIRST_SECONDS = 20.0
"""How long a machine may take until ktjob answers there: ssh gives up after 15 s (`ssh._DEFAULTS`),
and a login shell on a busy machine takes some more."""
MOST_SECONDS = 45.0
"""How long all of a command but `wait` may take: `ktjob servers` waits six seconds for servers."""
_LEFT_OUT = "with --host all, "


@dataclass
class _Answer:
    """What one machine answered. `reason`: why it gave none."""

    host: str
    code: int = exit_codes.FAILED
    out: str = ""
    said: list[bytes] = field(default_factory=list)
    reason: str | None = None

    def to_dict(self) -> dict[str, object]:
        """For --json."""
        answer: object = None
        if self.out.strip():
            try:
                answer = parsing.of_json(self.out)
            except ValueError:
                self.reason = self.reason or "its answer is no JSON"
        return {
            "host": self.host,
            "exit_code": self.code,
            "reason": self.reason,
            "messages": b"".join(self.said).decode(errors="replace").splitlines(),
            "answer": answer,
        }


def run(command: click.Command, context: click.Context, argv: list[str], settings: Settings) -> int:
    """Run a command line on all machines. Returns the exit code of the first, as configured, that
    did not succeed. Raises `BadInput` for a command that makes no sense there."""
    name, *rest = argv
    if name not in COMMANDS:
        raise BadInput(f"{_LEFT_OUT}there are {', '.join(COMMANDS)}. Name one host for {name}")
    with command.make_context(name, list(rest), parent=context) as inner:
        _require_possible(name, inner.params)
        as_json = bool(inner.params["as_json"])
    names = ssh.configured(settings)
    if not names:
        raise BadInput(
            f"no machine is configured. Name each in {settings.config_file}, as [hosts.NAME]"
        )
    found: dict[str, _Answer] = {}
    for answer in _answers([ssh.host(one, settings) for one in names], argv):
        found[answer.host] = answer
        if not as_json:
            _print(answer)
    ordered = [found[one] for one in names]
    if as_json:
        render_output.print_data(
            job_details.json_text({"schema": SCHEMA, "hosts": [one.to_dict() for one in ordered]})
        )
    codes = (one.code for one in ordered)
    return next((code for code in codes if code != exit_codes.SUCCEEDED), exit_codes.SUCCEEDED)


def _require_possible(name: str, given: dict[str, object]) -> None:
    if given.get("watch"):
        raise BadInput(f"{_LEFT_OUT}there is no --watch: it redraws the page of one machine")
    if given.get("job_id") or given.get("job_ids"):
        raise BadInput(f"{_LEFT_OUT}name no job: an ID belongs to one machine. Name that host")
    if given.get("prints"):
        raise BadInput(
            f"{_LEFT_OUT}there is no --print. See answers with: ktjob --host NAME result"
        )


def _answers(hosts: Sequence[ssh.Host], argv: list[str]) -> Iterator[_Answer]:
    """The answers in the order in which they arrive."""
    done: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
    for host in hosts:
        # Not a pool: the interpreter would wait at its end for a machine that does not answer.
        threading.Thread(target=lambda host=host: done.put(_ask(host, argv)), daemon=True).start()
    for _ in hosts:
        yield done.get()


def _ask(host: ssh.Host, argv: list[str]) -> _Answer:
    """Never raises."""
    answer = _Answer(host.name)
    held = replies.Held()
    held.hearing.said = answer.said.append
    limit = math.inf if argv[0] == "wait" else MOST_SECONDS
    asked = remote_call.Call(
        replace(host, may_ask=False),
        ["--host", "", *argv],
        begin_seconds=FIRST_SECONDS,
        most_seconds=limit,
    )
    try:
        answer.code = remote_call.run(asked, held.hearing)
    except (KtjobError, OSError) as error:
        answer.reason = str(error)
    answer.out = held.text
    return answer


def _print(answer: _Answer) -> None:
    """Its name, then what it printed."""
    if answer.reason is not None:
        is_named = answer.reason.startswith(f"{answer.host} ")
        render_output.note(answer.reason if is_named else f"{answer.host}: {answer.reason}")
        return
    render_output.print_data(f"{answer.host}:")
    render_output.print_part(answer.out)
    if answer.said:
        replies.Reply(answer.host)(b"".join(answer.said))
