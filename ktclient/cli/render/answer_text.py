"""A job's answer, printed: whole, split by question, or as JSON, with remarks."""

from __future__ import annotations

from pathlib import Path

from jobs import named_file
from jobs.system import no_room
from ktclient.answers.thoughts import Divided
from ktclient.cli import command_settings
from ktclient.cli.render import job_details, terminal_text
from ktclient.cli.render import output as render_output
from ktclient.errors import BadInput
from ktclient.prompts import answer_schema, combined, shown_answer
from ktclient.prompts.combined import Part
from ktclient.records import written_files
from ktclient.records.snapshot import Snapshot
from ktclient.records.written_files import Output

_MOST_HEADING = 200


def print_answer(job: Snapshot, output: Divided, *, as_json: bool, raw: bool) -> None:
    if as_json:
        render_output.print_data(job_details.json_text(record(job, output)))
    else:
        print_text(job, output.answer, raw=raw)
    remark(job, output.answer)


def print_text(job: Snapshot, text: str, *, raw: bool) -> None:
    if text and (raw or job.has_schema):
        render_output.print_data(text if raw else shown(job, text))
    elif text:
        render_output.print_answer(shown(job, text))


def record(job: Snapshot, output: Divided) -> dict[str, object]:
    """For --json: answer and thoughts, plus one entry per question if there were several."""
    text = output.answer
    record: dict[str, object] = {**job.to_dict(), "text": text, "thoughts": output.thoughts}
    if len(job.questions) > 1:
        record["answers"] = [
            {"question": answer.question, "answer": answer.text} for answer in _split(job, text)
        ]
    if job.has_schema:
        record["data"] = answer_schema.data_or_none(text)
    return record


def _split(job: Snapshot, text: str) -> list[Part]:
    return combined.split(text, job.questions)


def heading(job: Snapshot, *, with_title: bool = False) -> str:
    """The heading of an answer among several: what was asked, `with_title` after the document's
    name; of a job that asks no question, the name and the task."""
    words = "; ".join(job.questions) or job.task
    if with_title or not job.questions:
        words = f"{job.title}: {words}"
    line = terminal_text.one_line(words)
    return line if len(line) <= _MOST_HEADING else line[: _MOST_HEADING - 1] + "…"


def shown(job: Snapshot, text: str) -> str:
    """The answer as it is printed: several answers each under its question, JSON without the text
    around it. Output that cannot be parsed is returned unchanged."""
    return shown_answer.shown(text, job.questions, job.has_schema)


def remark(job: Snapshot, text: str) -> None:
    """Print the notes that a reader of the answer needs, on stderr."""
    if len(job.questions) > 1:
        _remark_on_missing(job, text)
    if parts := job.figures.get("parts"):
        render_output.note(
            f"note: processed in {parts} parts, cited as [n]; list them with: "
            f"ktjob result {job.id} --sources"
        )
    if job.is_truncated:
        render_output.note(
            f"note: the answer was cut off at {job.max_tokens:,} tokens; raise the limit with "
            "--max-tokens"
        )
    for name in ("warning", "schema_mismatch"):
        if job.figures.get(name):
            render_output.note(f"note: {job.figures[name]}")
    if job.is_by_embedded:
        from server_bundle.embedded.server import NOTICE

        render_output.note(f"note: {NOTICE}")


def _remark_on_missing(job: Snapshot, text: str) -> None:
    missing = combined.unanswered(_split(job, text))
    if len(missing) == len(job.questions):
        render_output.note("note: the output could not be split into one answer per question")
    elif missing:
        numbers = ", ".join(map(str, missing))
        render_output.note(
            f"note: no complete answer to question {numbers}; print the whole output with: "
            f"ktjob result --raw {job.id}"
        )


def is_stdout(output: str | None) -> bool:
    """Whether the answer is printed: without a file, and for "-" and /dev/stdout."""
    return output is None or named_file.descriptor(output) == named_file.STDOUT


def write_file(wanted: Output, text: str) -> None:
    """Write a file that the user named, whole or not at all. Raises `BadInput`, also for one that
    would be lost."""
    output, state = wanted.name, command_settings.state()
    path, content = Path(output), (text + "\n").encode()
    written_files.require_replaceable(state, wanted, content)
    try:
        if (number := named_file.descriptor(output)) is not None:
            named_file.write_to_descriptor(number, content)
        elif (what := named_file.irregular(path)) is not None:
            raise BadInput(
                f"cannot write {path}: it is {what}, not a regular file. Name another file, or "
                "print the answer without -o and redirect it"
            )
        elif not named_file.write(path, content):
            render_output.note(
                f"note: {path} was overwritten in place, because no file can be made in its folder"
            )
    except OSError as error:
        reason = no_room.reason(error, path) or error.strerror or error
        raise BadInput(f"cannot write {path}: {reason}") from None
    written_files.note(state, wanted)
