"""`ktjob result`, and printing the answers for `--wait`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from ktclient import wording
from ktclient.answers.thoughts import Divided
from ktclient.cli import exit_codes
from ktclient.cli.jobs import selection
from ktclient.cli.render import answer_text, job_activity, job_details
from ktclient.cli.render import output as render_output
from ktclient.errors import NotFinished
from ktclient.records import snapshot, written_files
from ktclient.records.snapshot import Snapshot
from ktclient.records.written_files import Output

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from jobs.model import Job
    from jobs.store.store import Store
    from ktclient.cli.jobs.selection import Given


@dataclass(frozen=True)
class _Shape:
    """How the answers are printed."""

    output: str | None
    sources: bool
    thoughts: bool
    raw: bool
    as_json: bool
    force: bool

    @property
    def is_printed(self) -> bool:
        return self.output is None or answer_text.is_stdout(self.output)

    def file(self, ids: Sequence[str]) -> Output:
        """The file for the answers of these jobs."""
        assert self.output is not None
        return Output(self.output, tuple(ids), self.force)


@dataclass(frozen=True)
class _Answer:
    """A job that has ended, and its output."""

    now: Snapshot
    found: Divided
    raw: str
    sources: str
    """The parts that its citations mean; empty unless asked for."""


@click.command()
@selection.options
@click.option(
    "-o", "--output", metavar="FILE", help='Write the answer to FILE ("-" for stdout, the default).'
)
@click.option("--force", is_flag=True, help="Replace FILE even if ktjob did not write it.")
@click.option(
    "--sources", is_flag=True, help="Also list the document parts that [n] in the answer cites."
)
@click.option("--thoughts", is_flag=True, help="Print the model's thoughts instead of the answer.")
@click.option("--raw", is_flag=True, help="Print the unprocessed model output.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object with the text, or a list."
)
def result(
    output: str | None,
    force: bool,
    sources: bool,
    thoughts: bool,
    raw: bool,
    as_json: bool,
    **given: Unpack[Given],
) -> int:
    """Print the answer, or the partial output of a failed job.

    Several answers are printed as Markdown, each under a heading, in the order of the jobs. With
    --all, prints those of all jobs that have ended. FILE is replaced only if ktjob wrote it and it
    was not changed since.
    """
    from ktclient.records.selector import Scope

    shape = _Shape(output, sources, thoughts, raw, as_json, force)
    wanted = selection.parse(given)
    scope = Scope.ENDED if wanted.is_all else Scope.ANY
    with selection.open_selected(wanted, scope) as (store, found):
        if output is not None:
            written_files.require_no_source(output, found.jobs)
        answers = [_read(store, job, shape) for job in found.jobs]
    _require_finished([one.now for one in answers], " ".join(given["job_ids"]))
    if wanted.is_one:
        _print_one(answers[0], shape)
    elif as_json:
        records = [answer_text.record(one.now, one.found) for one in answers]
        render_output.print_data(job_details.json_text(records))
    else:
        _print_all(answers, shape)
    return exit_codes.code_of_jobs((one.now.state, one.now.cause) for one in answers)


def _read(store: Store, job: Job, shape: _Shape) -> _Answer:
    from ktclient.cli.render import part_tree

    raw = snapshot.raw(store, job) if shape.raw and not shape.as_json else ""
    wants_sources = shape.sources and not shape.as_json
    sources = "\n".join(part_tree.sources(job)) if wants_sources else ""
    return _Answer(snapshot.of_job(store, job), snapshot.output(store, job), raw, sources)


def _require_finished(jobs: Sequence[Snapshot], names: str) -> None:
    """Raises `NotFinished`, before anything is printed. `names`: as the jobs were named."""
    left = [now for now in jobs if not now.is_finished]
    if len(jobs) > 1 and left:
        raise NotFinished(
            f"{len(left):,} of {wording.count(len(jobs), 'job')} have not finished. Wait for them "
            f"with ktjob wait {names or 'and the same options'}, or add --state ended to print the "
            "others"
        )
    for now in left:
        raise NotFinished(
            f"job {now.id} has not finished ({job_activity.activity(now)}); "
            f"wait for it with: ktjob wait {now.id}"
        )


def _text(one: _Answer, shape: _Shape) -> str:
    """The answer as text, before it is laid out."""
    text = one.raw if shape.raw and not shape.as_json else one.found.answer
    if one.sources and text:
        text = f"{text}\n\n{one.sources}".rstrip("\n")
    return text


def _print_one(one: _Answer, shape: _Shape) -> None:
    now, text = one.now, _text(one, shape)
    if now.state != "SUCCEEDED":
        render_output.note(job_details.final_line(now))
    if shape.thoughts and not shape.as_json:
        _print_thoughts(now.id, one.found.thoughts, shape)
    elif shape.is_printed:
        found = replace(one.found, answer=text)
        answer_text.print_answer(now, found, as_json=shape.as_json, raw=shape.raw)
    elif now.state == "SUCCEEDED":
        text = text if shape.raw else answer_text.shown(now, text)
        answer_text.write_file(shape.file([now.id]), text)
        answer_text.remark(now, text)
    else:
        render_output.note(f"{shape.output} was not written")


def _print_all(answers: Sequence[_Answer], shape: _Shape) -> None:
    """All answers as one Markdown text, each under its heading; a failure is told in its place."""
    if not answers:
        render_output.note("no job has ended yet")
        return
    text = "\n\n".join(_section(one, shape) for one in answers)
    for one in answers:
        if one.now.state != "SUCCEEDED":
            render_output.note(job_details.final_line(one.now))
    if shape.is_printed:
        render_output.print_answer(text)
        return
    answer_text.write_file(shape.file([one.now.id for one in answers]), text)
    succeeded = sum(one.now.state == "SUCCEEDED" for one in answers)
    render_output.note(f"{shape.output}: {wording.count(succeeded, 'answer')}")


def _section(one: _Answer, shape: _Shape) -> str:
    text = one.found.thoughts.strip("\n") if shape.thoughts else _text(one, shape)
    if not (shape.raw or shape.thoughts):
        text = answer_text.shown(one.now, text)
    lines = [f"## {answer_text.heading(one.now, with_title=True)}"]
    if one.now.state != "SUCCEEDED":
        lines.append(f"*Job {one.now.id} {one.now.state.lower()}: {_why(one.now)}*")
    return "\n\n".join([*lines, text.strip("\n")]).rstrip("\n")


def _why(now: Snapshot) -> str:
    return " ".join((now.message or "no reason is known").split())


def _print_thoughts(job_id: str, text: str, shape: _Shape) -> None:
    """Print the thoughts, also those of a job that failed because there was nothing else."""
    if not text.strip():
        render_output.note(f"job {job_id} has no thoughts: the model sent none")
    elif shape.output is None or shape.is_printed:
        render_output.print_data(text.strip("\n"))
    else:
        answer_text.write_file(shape.file([job_id]), text.strip("\n"))
