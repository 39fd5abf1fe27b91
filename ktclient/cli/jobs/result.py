"""`ktjob result`, and the answers that `--wait` prints."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import click

from ktclient.cli import exit_codes
from ktclient.cli.jobs import looking
from ktclient.cli.render import part_tree, screen
from ktclient.errors import BadInput, NotFinished
from ktclient.prompts import answer_schema, combined
from ktclient.prompts.combined import Answer
from ktclient.records import snapshot
from ktclient.records.snapshot import Snapshot


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("-o", "--output", metavar="FILE", help="Write the answer there instead.")
@click.option(
    "--sources", is_flag=True, help="Then what its numbers stand for: the parts of the document."
)
@click.option("--raw", is_flag=True, help="What came, as it is, also where it can be taken apart.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with the text.")
def result(job_id: str, output: str | None, sources: bool, raw: bool, as_json: bool) -> int:
    """Print a job's answer. Of a failed job, what had arrived."""
    with looking.job_by(job_id) as (store, job):
        now = snapshot.take(store, job)
        text = snapshot.answer(store, job)
    if sources and text and not as_json:
        text = "\n\n".join([text, "\n".join(part_tree.sources(job))]).rstrip("\n")
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
    return exit_codes.code_of_job(now.state, now.cause)


def wait_and_print(
    job_ids: Sequence[str], *, as_json: bool, quiet: bool = False, headings: Sequence[str] = ()
) -> int:
    """Wait for jobs and print their answers, as each comes; where there are several, under its
    heading, else its question. `quiet`: no progress and no notes, only how a job failed. Returns
    the exit code of the first that did not succeed."""
    codes, told = [], []
    for number, job_id in enumerate(job_ids, 1):
        end = looking.watch(job_id, None, is_silent=quiet)
        if end.state != "SUCCEEDED":
            screen.say(looking.ending(end))
        with looking.job_by(end.id) as (store, job):
            text = snapshot.answer(store, job)
        codes.append(exit_codes.code_of_job(end.state, end.cause))
        if as_json:
            told.append(_record(end, text))
        elif len(job_ids) == 1:
            _print_text(end, text, raw=False)
        else:
            gap = "\n" if number > 1 else ""
            heading = headings[number - 1] if headings else end.questions[0]
            screen.put(f"{gap}{number}. {heading}\n\n{_shown(end, text)}")
        if not quiet:
            remark(end, text)
    if as_json:
        screen.put(looking.json_text(told[0] if len(told) == 1 else told))
    return next((code for code in codes if code != exit_codes.SUCCEEDED), exit_codes.SUCCEEDED)


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
    """For --json: the text as it came, and taken apart where several questions were asked."""
    record: dict[str, object] = {**job.to_dict(), "text": text}
    if len(job.questions) > 1:
        record["answers"] = [
            {"question": answer.question, "answer": answer.text} for answer in _apart(job, text)
        ]
    if job.has_schema:
        record["data"] = answer_schema.data_or_none(text)
    return record


def _apart(job: Snapshot, text: str) -> list[Answer]:
    return combined.split(text, job.questions)


def _shown(job: Snapshot, text: str) -> str:
    """Each answer under its question, JSON without what stands around it; what cannot be taken
    apart is shown as it came."""
    if job.has_schema and not answer_schema.is_bare(text):
        data = answer_schema.data_or_none(text)
        return text if data is None else json.dumps(data, ensure_ascii=False, indent=1)
    if len(job.questions) < 2:
        return text
    answers = _apart(job, text)
    whole = len(combined.missing(answers)) < len(answers)
    return combined.in_words(answers) if whole else text


def remark(job: Snapshot, text: str) -> None:
    """What the reader of an answer must know about it."""
    if len(job.questions) > 1:
        _remark_on_missing(job, text)
    if parts := job.figures.get("parts"):
        screen.say(
            f"note: read in {parts} parts, [n]; which they are: ktjob result {job.id} --sources"
        )
    if job.is_truncated:
        screen.say(f"note: cut off at {job.max_tokens:,} tokens; ask for more with --max-tokens")
    for name in ("warning", "schema_mismatch"):
        if job.figures.get(name):
            screen.say(f"note: {job.figures[name]}")
    if job.is_by_embedded:
        from server_bundle.embedded.server import NOTICE

        screen.say(f"note: {NOTICE}")


def _remark_on_missing(job: Snapshot, text: str) -> None:
    missing = combined.missing(_apart(job, text))
    if len(missing) == len(job.questions):
        screen.say("note: what came could not be taken apart into the answers")
    elif missing:
        numbers = ", ".join(map(str, missing))
        screen.say(
            f"note: no whole answer to question {numbers}; all that came: "
            f"ktjob result --raw {job.id}"
        )


def _write(path: Path, text: str) -> None:
    """Whole or not at all: the file never holds half an answer."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text + "\n", encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise BadInput(f"cannot write {path}: {error.strerror or error}") from None
