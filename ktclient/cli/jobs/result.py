"""`ktjob result`, and printing the answers for `--wait`."""

from __future__ import annotations

from dataclasses import replace

import click

from ktclient.cli import exit_codes
from ktclient.cli.jobs import lookup
from ktclient.cli.render import answer_text, job_activity, job_details
from ktclient.cli.render import output as render_output
from ktclient.errors import NotFinished
from ktclient.records import snapshot


@click.command()
@click.argument("job_id", metavar="ID")
@click.option(
    "-o", "--output", metavar="FILE", help='Write the answer to FILE ("-" for stdout, the default).'
)
@click.option(
    "--sources", is_flag=True, help="Also list the document parts that [n] in the answer cites."
)
@click.option("--thoughts", is_flag=True, help="Print the model's thoughts instead of the answer.")
@click.option("--raw", is_flag=True, help="Print the unprocessed model output.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with the text.")
def result(
    job_id: str, output: str | None, sources: bool, thoughts: bool, raw: bool, as_json: bool
) -> int:
    """Print the answer, or the partial output of a failed job."""
    with lookup.open_job(job_id) as (store, job):
        now = snapshot.of_job(store, job)
        found = snapshot.output(store, job)
        text = snapshot.raw(store, job) if raw and not as_json else found.answer
    if sources and text and not as_json:
        from ktclient.cli.render import part_tree

        text = "\n\n".join([text, "\n".join(part_tree.sources(job))]).rstrip("\n")
    if not now.is_finished:
        raise NotFinished(
            f"job {now.id} has not finished ({job_activity.activity(now)}); "
            f"wait for it with: ktjob wait {now.id}"
        )
    if now.state != "SUCCEEDED":
        render_output.note(job_details.final_line(now))
    if thoughts and not as_json:
        _print_thoughts(now.id, found.thoughts, output)
    elif output is None or answer_text.is_stdout(output):
        answer_text.print_answer(now, replace(found, answer=text), as_json=as_json, raw=raw)
    elif now.state == "SUCCEEDED":
        answer_text.write_file(output, text if raw else answer_text.shown(now, text))
        answer_text.remark(now, text)
    else:
        render_output.note(f"{output} was not written")
    return exit_codes.code_of_job(now.state, now.cause)


def _print_thoughts(job_id: str, text: str, output: str | None) -> None:
    """Print the thoughts, also those of a job that failed because there was nothing else."""
    if not text.strip():
        render_output.note(f"job {job_id} has no thoughts: the model sent none")
    elif output is None or answer_text.is_stdout(output):
        render_output.print_data(text.strip("\n"))
    else:
        answer_text.write_file(output, text.strip("\n"))
