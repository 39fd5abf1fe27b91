"""`ktserver explain`: diagnose a failed server from its log."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from ktclient.cli import command_settings, exit_codes
from ktclient.cli.render import output, terminal_text
from ktclient.errors import BadInput

if TYPE_CHECKING:
    from server_bundle.logs.explain import Evidence, Explanation, Finding
    from server_bundle.logs.tail import Tail

_INDENT = " " * 6


@click.command()
@click.argument("logfile", required=False, type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--last", is_flag=True, help="Read the newest log of a server started by ktserver.")
@click.option(
    "--exit-status",
    type=int,
    metavar="N",
    help="Exit status of the server's process, such as 137 or -9: some crashes leave no line in "
    "the log.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(logfile: str | None, last: bool, exit_status: int | None, as_json: bool) -> int:
    """Diagnose a failed server from its LOGFILE (- for stdin), or by its name: the cause, the log
    line that proves it, the fix, and the source.

    Only the part after the last start in the file is read, or after the last one that failed, if
    ktserver has restarted the server since. Exit code 1 if something failed and the cause is
    unknown.
    """
    from server_bundle.logs import explain as explaining
    from server_bundle.logs import tail

    if last == (logfile is not None):
        raise BadInput("name a log file, or use --last for the newest server started by ktserver")
    name = str(_newest()) if logfile is None else _log_of(logfile)
    try:
        with _opened(name) as file:
            end = tail.of(file)
    except OSError as error:
        shown = terminal_text.one_line(name)
        raise BadInput(f"cannot read {shown}: {error.strerror or error}") from error
    _note_left_out(name, end)
    lines = end.lines()
    explained, after = explaining.last_failure(lines, exit_status, end.lines_before or 0)
    shown = (
        _json(name, explained, after) if as_json else "\n".join(_as_text(name, explained, after))
    )
    output.print_data(shown)
    is_unknown = explained.is_failure and not explained.is_known
    return exit_codes.FAILED if is_unknown else exit_codes.SUCCEEDED


def _log_of(name: str) -> str:
    """The log of the server of this name, if there is no such file."""
    log = command_settings.state().servers / name / "server.log"
    is_name = "/" not in name and name not in ("-", "", ".", "..")
    return str(log) if is_name and not Path(name).exists() and log.exists() else name


def _opened(name: str) -> BinaryIO:
    if name != "-":
        return Path(name).open("rb")
    if sys.stdin is None:
        raise BadInput("standard input is closed; name a file")
    return sys.stdin.buffer


def _note_left_out(name: str, end: Tail) -> None:
    """Say it if only a part of the log was used."""
    from server_bundle.logs.tail import READ_BYTES

    if end.is_whole:
        return
    part = f"the last {len(end.content) / 1e6:,.1f} MB"
    if not end.has_end:
        part += f" of the first {READ_BYTES / 1e9:,.0f} GB"
    lines = "" if end.lines_before is not None else "; line numbers count from there"
    output.note(f"note: of {name}, only {part} were used{lines}")


def _newest() -> Path:
    state = command_settings.state()
    logs = [*state.server.glob("server.log*"), *state.root.glob("servers/*/server.log*")]
    written = [log for log in logs if log.suffix != ".draft" and log.stat().st_size]
    if not written:
        raise BadInput(f"there is no server log below {state.root}; name a file")
    return max(written, key=lambda log: log.stat().st_mtime)


def _as_text(name: str, explained: Explanation, after: int) -> list[str]:
    lines = [f"{terminal_text.one_line(name)}: {_how_far(explained, after)}"]
    if explained.last is not None and not explained.is_of_server:
        return lines
    for finding in explained.found:
        lines += ["", *_finding_lines(finding)]
    if not explained.is_known:
        lines += ["", *_unknown_lines(explained)]
    return lines


def _how_far(explained: Explanation, after: int) -> str:
    if explained.last is None:
        return "it is empty"
    if not explained.is_of_server:
        return (
            "no line of it is an sglang server's, nor a known failure of vLLM; name the log of the "
            "server that failed"
        )
    if after:
        runs = "once" if after == 1 else f"{after} times"
        return (
            f"the run that failed reached the stage `{explained.stage}`; ktserver has started the "
            f"server again since, {runs}"
        )
    came = f"the last start in this log reached the stage `{explained.stage}`"
    return f"{came} and was stopped on request" if explained.ended else came


def _finding_lines(finding: Finding) -> list[str]:
    cause = finding.cause
    times = f", {finding.times} times" if finding.times > 1 else ""
    word = "FAIL" if cause.is_fatal else "warn"
    return [
        f"{word:<4}  {cause.id}: {cause.title} (at {finding.stage}{times})",
        *(_line_text(evidence) for evidence in finding.evidence),
        f"{_INDENT}cause: {cause.cause}",
        f"{_INDENT}fix: {cause.cure}",
        f"{_INDENT}source: {cause.source}; versions: {cause.versions}",
    ]


def _line_text(evidence: Evidence) -> str:
    return f"{_INDENT}line {evidence.number}: {terminal_text.one_line(evidence.text)}"


def _unknown_lines(explained: Explanation) -> list[str]:
    if explained.exception is not None:
        after = "; it served requests after that" if explained.went_on else ""
        head = f"unknown cause; the last exception is{after}"
        return [head, _line_text(explained.exception)]
    if explained.is_failure:
        return ["unknown cause: the log does not show why that process ended"]
    if explained.ended or explained.last is None or explained.stage in ("prefill", "decode"):
        return ["the log shows no failure"]
    return [
        "the log shows no failure; its last line is",
        _line_text(explained.last),
        "if the process is gone: journalctl -k -g 'Out of memory' shows whether it was killed",
    ]


def _json(name: str, explained: Explanation, after: int) -> str:
    record = {
        "file": name,
        "stage": explained.stage,
        "runs_after": after,
        "ended": explained.ended,
        "known": explained.is_known,
        "causes": [_row(finding) for finding in explained.found],
        "exception": _line(explained.exception),
        "went_on": explained.went_on,
        "last": _line(explained.last),
    }
    return json.dumps(record, ensure_ascii=False, indent=1 if sys.stdout.isatty() else None)


def _row(finding: Finding) -> dict[str, object]:
    cause = finding.cause
    return {
        "id": cause.id,
        "title": cause.title,
        "fatal": cause.is_fatal,
        "stage": finding.stage,
        "times": finding.times,
        "lines": [_line(evidence) for evidence in finding.evidence],
        "cause": cause.cause,
        "cure": cause.cure,
        "source": cause.source,
        "versions": cause.versions,
    }


def _line(evidence: Evidence | None) -> dict[str, object] | None:
    return None if evidence is None else {"number": evidence.number, "text": evidence.text}
