"""`ktjob result`, and printing the answers for `--wait`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import click

from ktclient import snapshot, structured, together
from ktclient.cli import exits, family_tree, looking, screen
from ktclient.errors import BadInput, NotFinished
from ktclient.snapshot import Snapshot
from ktclient.together import Answer


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("-o", "--output", metavar="FILE", help="Write the answer to FILE instead of stdout.")
@click.option(
    "--sources", is_flag=True, help="Also list the document parts that [n] in the answer cites."
)
@click.option("--raw", is_flag=True, help="Print the unprocessed model output.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with the text.")
def result(job_id: str, output: str | None, sources: bool, raw: bool, as_json: bool) -> int:
    """Print the answer, or the partial output of a failed job."""
    with looking.job_by(job_id) as (store, job):
        now = snapshot.take(store, job)
        text = snapshot.answer(store, job)
    if sources and text and not as_json:
        text = "\n\n".join([text, "\n".join(family_tree.sources(job))]).rstrip("\n")
    if not now.is_finished:
        raise NotFinished(
            f"job {now.id} has not finished ({screen.activity(now)}); "
            f"wait for it with: ktjob wait {now.id}"
        )
    if now.state != "SUCCEEDED":
        screen.say(looking.ending(now))
    if output is None:
        _print_answer(now, text, as_json=as_json, raw=raw)
    elif now.state == "SUCCEEDED":
        _write(Path(output), text if raw else _shown(now, text))
        remark(now, text)
    else:
        screen.say(f"{output} was not written")
    return exits.code_of_job(now.state, now.cause)


def wait_and_print(
    job_ids: Sequence[str], *, as_json: bool, quiet: bool = False, headings: Sequence[str] = ()
) -> int:
    """Wait for the jobs one by one and print each answer as soon as its job has ended.

    Several answers are printed under their headings, or under their questions if there are no
    `headings`. `quiet` leaves out progress and notes; failures are still reported. Returns the exit
    code of the first job that did not succeed, else 0.
    """
    codes, records = [], []
    for number, job_id in enumerate(job_ids, 1):
        end = looking.watch(job_id, None, is_silent=quiet)
        if end.state != "SUCCEEDED":
            screen.say(looking.ending(end))
        with looking.job_by(end.id) as (store, job):
            text = snapshot.answer(store, job)
        codes.append(exits.code_of_job(end.state, end.cause))
        if as_json:
            records.append(_record(end, text))
        elif len(job_ids) == 1:
            _print_text(end, text, raw=False)
        else:
            gap = "\n" if number > 1 else ""
            heading = headings[number - 1] if headings else end.questions[0]
            screen.put(f"{gap}{number}. {heading}\n\n{_shown(end, text)}")
        if not quiet:
            remark(end, text)
    if as_json:
        screen.put(looking.json_text(records[0] if len(records) == 1 else records))
    return next((code for code in codes if code != exits.SUCCEEDED), exits.SUCCEEDED)


def _print_answer(job: Snapshot, text: str, *, as_json: bool, raw: bool) -> None:
    if as_json:
        screen.put(looking.json_text(_record(job, text)))
    else:
        _print_text(job, text, raw=raw)
    remark(job, text)


def _print_text(job: Snapshot, text: str, *, raw: bool) -> None:
    if text:
        screen.put(text if raw else _shown(job, text))


def _record(job: Snapshot, text: str) -> dict[str, object]:
    """For --json: the raw text, plus one entry per question if there were several."""
    record: dict[str, object] = {**job.to_dict(), "text": text}
    if len(job.questions) > 1:
        record["answers"] = [
            {"question": answer.question, "answer": answer.text} for answer in _apart(job, text)
        ]
    if job.has_schema:
        record["data"] = structured.data_or_none(text)
    return record


def _apart(job: Snapshot, text: str) -> list[Answer]:
    return together.split(text, job.questions)


def _shown(job: Snapshot, text: str) -> str:
    """The answer as it is printed: several answers each under its question, JSON without the text
    around it. Output that cannot be parsed is returned unchanged."""
    if job.has_schema and not structured.is_bare(text):
        data = structured.data_or_none(text)
        return text if data is None else json.dumps(data, ensure_ascii=False, indent=1)
    if len(job.questions) < 2:
        return text
    answers = _apart(job, text)
    whole = len(together.missing(answers)) < len(answers)
    return together.in_words(answers) if whole else text


def remark(job: Snapshot, text: str) -> None:
    """Print the notes that a reader of the answer needs, on stderr."""
    if len(job.questions) > 1:
        _remark_on_missing(job, text)
    if parts := job.figures.get("parts"):
        screen.say(
            f"note: processed in {parts} parts, cited as [n]; list them with: "
            f"ktjob result {job.id} --sources"
        )
    if job.is_truncated:
        screen.say(
            f"note: the answer was cut off at {job.max_tokens:,} tokens; raise the limit with "
            "--max-tokens"
        )
    for name in ("warning", "schema_mismatch"):
        if job.figures.get(name):
            screen.say(f"note: {job.figures[name]}")
    if job.is_by_embedded:
        from server_bundle.embedded import NOTICE

        screen.say(f"note: {NOTICE}")


def _remark_on_missing(job: Snapshot, text: str) -> None:
    missing = together.missing(_apart(job, text))
    if len(missing) == len(job.questions):
        screen.say("note: the output could not be split into one answer per question")
    elif missing:
        numbers = ", ".join(map(str, missing))
        screen.say(
            f"note: no complete answer to question {numbers}; print the whole output with: "
            f"ktjob result --raw {job.id}"
        )


def _write(path: Path, text: str) -> None:
    """Replace the file atomically, so that it never holds half an answer. Raises `BadInput`."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text + "\n", encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise BadInput(f"cannot write {path}: {error.strerror or error}") from None
