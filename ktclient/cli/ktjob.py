"""The `ktjob` command: its groups of commands, put together."""

from __future__ import annotations

import click

import ktclient
from ktclient.cli import (
    answering,
    asking,
    batching,
    checking,
    completing,
    configuring,
    doctoring,
    eventing,
    examples,
    exits,
    following,
    keeping,
    listing,
    looking,
    notifying,
    opening,
    overseeing,
    paths,
    remoting,
    retrying,
    schema,
    serving,
    showing,
    submitting,
    templating,
    unit,
)


@click.group(
    cls=remoting.Ktjob,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=exits.TABLE,
)
@click.option("--host", metavar="NAME", help="Run the command on that machine, over your ssh.")
@click.version_option(ktclient.__version__, prog_name="ktjob")
def ktjob(host: str | None) -> None:
    """Long requests to self-hosted LLMs that never get lost.

    \b
    ktjob submit report.txt --summarize --wait
    ktjob submit book.txt --ask "Who dies?"     returns at once; then log out
    ktjob status                                what runs, waits, and is done
    """


for _command in (
    submitting.submit,
    checking.check,
    asking.ask,
    batching.batch,
    overseeing.status,
    listing.list_,
    looking.wait,
    following.follow,
    answering.result,
    opening.open_,
    templating.templates,
    showing.show,
    looking.logs,
    eventing.events,
    looking.cancel,
    retrying.retry,
    notifying.notify,
    keeping.rm,
    keeping.gc,
    keeping.backup,
    configuring.config_,
    paths.paths,
    completing.completion,
    doctoring.doctor,
    unit.install_unit,
    schema.schema,
    serving.at_your_service,
):
    ktjob.add_command(_command)
completing.attach(ktjob)
examples.attach(ktjob, "ktjob")


def main() -> None:
    """The console script."""
    exits.run(ktjob, "ktjob")
