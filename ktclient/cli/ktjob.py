"""The `ktjob` command: its groups of commands, put together."""

from __future__ import annotations

import click

from ktclient._version import __version__
from ktclient.cli import examples, exit_codes
from ktclient.cli.jobs import (
    ask,
    backup,
    batch,
    cancel,
    check,
    events,
    follow,
    gc,
    list,
    logs,
    open,
    result,
    retry,
    rm,
    show,
    status,
    submit,
    templates,
    wait,
)
from ktclient.cli.remote import host as remote_host
from ktclient.cli.remote import serve
from ktclient.cli.setup import completion, config, doctor, install_unit, notify, paths, schema


@click.group(
    cls=remote_host.Ktjob,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=exit_codes.TABLE,
)
@click.option("--host", metavar="NAME", help="Run the command on that machine, over your ssh.")
@click.version_option(__version__, prog_name="ktjob")
def ktjob(host: str | None) -> None:
    """Long requests to self-hosted LLMs that never get lost.

    \b
    ktjob submit report.txt --summarize --wait
    ktjob submit book.txt --ask "Who dies?"     returns at once; then log out
    ktjob status                                what runs, waits, and is done
    """


for _command in (
    submit.submit,
    check.check,
    ask.ask,
    batch.batch,
    status.status,
    list.list_,
    wait.wait,
    follow.follow,
    result.result,
    open.open_,
    templates.templates,
    show.show,
    logs.logs,
    events.events,
    cancel.cancel,
    retry.retry,
    notify.notify,
    rm.rm,
    gc.gc,
    backup.backup,
    config.config_,
    paths.paths,
    completion.completion,
    doctor.doctor,
    install_unit.install_unit,
    schema.schema,
    serve.at_your_service,
):
    ktjob.add_command(_command)
completion.attach(ktjob)
examples.attach(ktjob, "ktjob")


def main() -> None:
    """The console script."""
    exit_codes.run(ktjob, "ktjob")
