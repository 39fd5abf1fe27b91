"""Values for shell completion: job ids, servers, templates and profiles.

Read-only. What cannot be read is skipped silently: a message in the middle of a command line that
is being typed would only get in the way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from jobs.model import Job

_NEWEST = 200
_TITLE = 40

Items = Iterable[tuple[str, str]]


class Completed(click.ParamType[str]):
    """A text parameter; `offer` lists its values for completion."""

    name = "text"

    def __init__(self, offer: Callable[[], Items]) -> None:
        self._offer = offer

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from jobs.errors import KtjobError

        taken = ctx.params.get(param.name or "") or ()
        found: list[CompletionItem] = []
        with contextlib.suppress(KtjobError, OSError):
            for value, about in self._offer():
                if value.startswith(incomplete) and value not in taken:
                    found.append(CompletionItem(value, help=_plain(about)))
        return found


class AnyFile(click.ParamType[str]):
    """A text parameter that names a file; the shell completes it."""

    name = "text"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


def _plain(text: str) -> str:
    """On one line, and without the characters at which the completion scripts split."""
    from ktclient.cli.render import terminal_text

    return terminal_text.one_line(text).replace(",", " ").replace(":", " ")


def unfinished() -> Items:
    """Unfinished jobs first, then finished ones."""
    return _jobs(lambda is_finished: is_finished)


def finished() -> Items:
    """Finished jobs first, then unfinished ones."""
    return _jobs(lambda is_finished: not is_finished)


def ended_only() -> Items:
    """Finished jobs only, for commands that refuse others."""
    return _jobs(None, lambda job: job.finished_at is not None)


def queued() -> Items:
    """Queued jobs only."""
    return _jobs(None, lambda job: job.state == "QUEUED")


def held() -> Items:
    """Held jobs only."""
    return _jobs(None, lambda job: job.held_at is not None and job.finished_at is None)


def states() -> Items:
    """States by which commands choose jobs."""
    from ktclient.records import selector

    return [(name.lower(), "") for name in (*selector.STATES, "ended")]


def labels() -> Items:
    """Labels of the newest jobs."""
    from ktclient.config import settings as config
    from ktclient.records.access import open_readonly

    with open_readonly(config.state_dir()) as store:
        jobs = store.newest(_NEWEST) if store is not None else []
    return [(label, "") for label in dict.fromkeys(job.label for job in jobs) if label]


def groups() -> Items:
    """Groups of jobs that were submitted together."""
    from ktclient.config import settings as config
    from ktclient.records import tally
    from ktclient.records.access import open_readonly

    with open_readonly(config.state_dir()) as store:
        found = store.groups(_NEWEST) if store is not None else []
    return [(one.id, tally.of_group(one).in_words()) for one in found]


def newest() -> Items:
    """All jobs, newest first."""
    return _jobs(lambda is_finished: False)


def _jobs(
    order: Callable[[bool], bool] | None, fits: Callable[[Job], bool] = lambda job: True
) -> Items:
    from ktclient.config import settings as config
    from ktclient.records.access import open_readonly

    with open_readonly(config.state_dir()) as store:
        jobs = store.newest(_NEWEST) if store is not None else []
    jobs = [job for job in jobs if fits(job)]
    if order is not None:
        jobs = sorted(jobs, key=lambda job: order(job.finished_at is not None))
    return [(job.id, f"{job.state} {job.title[:_TITLE]}") for job in jobs]


def servers() -> Items:
    """Servers from the configuration file, and the embedded one."""
    from ktclient.config import settings as config

    named = config.load().servers
    return [(name, server.url or "") for name, server in named.items()] + [("embedded", "built in")]


def servers_or_any() -> Items:
    """Servers that a job may name."""
    return [*servers(), ("any", "the best of them")]


def default_and_servers() -> Items:
    """Servers that `ktjob config key` accepts."""
    from ktclient.config import settings as config

    return [("default", "[server]"), *((name, "") for name in config.load().servers)]


def settings() -> Items:
    """Names of everything that the configuration file may set, with their effective values."""
    from ktclient.cli import option_defaults
    from ktclient.cli.jobs.submit import submit
    from ktclient.config import origins, servers
    from ktclient.config import settings as config

    now = config.load()
    values = {one.name: str(one.value or "") for one in origins.origins(now)}
    tables = ("server", *(f"servers.{name}" for name in now.servers))
    names = [f"{table}.{key}" for table in tables for key in sorted(servers.KNOWN)]
    names += [f"defaults.{name}" for name in sorted(option_defaults.names_of(submit))]
    return [(name, values.get(name, "")) for name in names]


def templates() -> Items:
    """Prompt templates, built-in and custom."""
    from ktclient.config import settings as config
    from ktclient.prompts import templates as known

    return [(name, "") for name in known.names(known.folder(config.load().config_file))]


def hosts() -> Items:
    """Hosts from the configuration file."""
    from ktclient.config import settings as config

    return [(name, "") for name in config.load().tables["hosts"]]


def profiles() -> Items:
    """Profiles that `ktserver up` can start."""
    from server_bundle.plan import profile

    return [(name, "") for name in profile.names()]


def own_servers() -> Items:
    """Servers that ktserver manages on this machine."""
    from ktclient.config import settings as config
    from server_bundle.launch import registry as ours

    return [(one.server.name, one.state) for one in ours.all_of(config.state_dir().servers)]


_ARGUMENTS = {
    ("wait", "job_ids"): unfinished,
    ("follow", "job_ids"): unfinished,
    ("cancel", "job_ids"): unfinished,
    ("result", "job_ids"): finished,
    ("retry", "job_ids"): finished,
    ("pause", "job_ids"): queued,
    ("hold", "job_ids"): queued,
    ("priority", "job_ids"): queued,
    ("resume", "job_ids"): held,
    ("release", "job_ids"): held,
    ("rerun", "job_id"): finished,
    ("edit", "job_id"): queued,
    ("rm", "job_ids"): ended_only,
    ("key", "server"): default_and_servers,
    ("set", "name"): settings,
    ("unset", "name"): settings,
    ("show", "name"): profiles,
    ("templates", "name"): templates,
}
"""By command and parameter, before what a parameter's name alone says."""
_BY_NAME = {
    "job_id": newest,
    "job_ids": newest,
    "after": newest,
    "states": states,
    "label": labels,
    "group": groups,
    "server": servers_or_any,
    "host": hosts,
    "template": templates,
    "profile": profiles,
}
_FILES = {"files", "file", "schema", "output", "plan_file", "logfile", "requests", "python"}


def attach(command: click.Command, program: str) -> None:
    """Give every parameter of a command, and of those below it, what completion may offer."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            attach(inner, program)
    for param in command.params:
        if type(param.type) is not type(click.STRING):
            continue  # numbers and choices complete themselves
        name = param.name or ""
        offer = _ARGUMENTS.get((command.name or "", name)) or _BY_NAME.get(name)
        if offer is None and program == "ktserver" and name == "name":
            offer = own_servers
        if offer is not None:
            param.type = Completed(offer)
        elif name in _FILES:
            param.type = AnyFile()
