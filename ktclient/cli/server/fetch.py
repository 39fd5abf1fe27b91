"""`ktserver fetch`: a model's weights from a hub, resumed and checked."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jobs import private_folder
from ktclient.cli import command_settings, exit_codes
from ktclient.cli.install import transfer_line
from ktclient.cli.render import output, progress_line
from ktclient.cli.weights import report as fetch_report
from ktclient.cli.weights import runs as fetch_runs
from ktclient.config.settings import Settings
from ktclient.errors import BadInput, FetchFailed

if TYPE_CHECKING:
    from server_bundle.weights.fetch import Request, Work
    from server_bundle.weights.hubs.hub import Hub
    from server_bundle.weights.source import Source

_DAY_SECONDS = 86_400


@click.command()
@click.argument("model", required=False)
@click.option("--profile", metavar="P", help="Fetch the model that a profile is made for.")
@click.option(
    "--to", metavar="DIR", help="Folder for the weights (default: below KTJOB_CACHE, by name)."
)
@click.option(
    "--from",
    "hub",
    type=click.Choice(["huggingface", "modelscope"]),
    help="Hub to fetch from (default: huggingface).",
)
@click.option(
    "--include",
    multiple=True,
    metavar="GLOB",
    help="Fetch only matching files (default: what engines read). Repeatable.",
)
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out files. Repeatable.")
@click.option("--update", is_flag=True, help="Ask the hub for the revision's newest files.")
@click.option("--verify", is_flag=True, help="Compare the checksums of all files again.")
@click.option(
    "--force",
    is_flag=True,
    help="Fetch although the disk looks too small or DIR holds other files; replace those.",
)
@click.option(
    "--connections",
    type=click.IntRange(1, 64),
    default=8,
    metavar="N",
    help="Files fetched at the same time (default 8).",
)
@click.option(
    "--retry-for",
    type=click.IntRange(0),
    default=_DAY_SECONDS,
    metavar="S",
    help="Give up after so many seconds without a byte (default: a day).",
)
@click.option("--detach", is_flag=True, help="Fetch in the background, without this terminal.")
@click.option("--status", is_flag=True, help="Show fetches: running, finished, cut off.")
@click.option("--stop", is_flag=True, help="Stop a running fetch; what has arrived is kept.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def fetch(
    model: str | None, profile: str | None, status: bool, stop: bool, as_json: bool, **given: Any
) -> int:
    """Fetch a model's weights from Hugging Face or ModelScope. Needs the extra "fetch".

    MODEL is org/name, org/name@revision or modelscope:org/name. Says first what is needed of disk
    and memory. Run it again after whatever ended it: only what is missing is fetched, from the same
    commit. Each file is compared with the hub's checksum. A token is taken from HF_TOKEN or the
    login of `hf auth login`; for ModelScope from MODELSCOPE_API_TOKEN or `ms login`.
    """
    settings = command_settings.load()
    if status:
        return fetch_runs.show(settings, as_json)
    source = _source(model, profile, given.pop("hub")) if model or profile or not stop else None
    to = _folder(settings, given.pop("to"), source)
    if stop:
        return fetch_runs.stop(to)
    assert source is not None
    return _Command(settings, _request(source, to, given), profile, as_json, given).run()


def _source(model: str | None, profile: str | None, hub: str | None) -> Source:
    from server_bundle.plan import profile as plan_profile
    from server_bundle.weights import source

    if model is None and profile is None:
        raise click.UsageError("name a MODEL, such as Qwen/Qwen3-8B, or a --profile")
    if model is None:
        assert profile is not None
        model = plan_profile.load(profile).model
        if not model:
            raise BadInput(f"the profile {profile} names no model: give its name as org/name")
    elif profile is not None:
        plan_profile.load(profile)
    if Path(model).is_dir():
        raise BadInput(
            f"{model} is a folder here: plan it with `ktserver plan --model {model}`, or name a "
            "model on a hub as org/name from another folder"
        )
    return source.parse(model, hub)


def _folder(settings: Settings, to: str | None, source: Source | None) -> Path:
    if to is not None:
        try:
            return Path(to).expanduser().absolute()
        except RuntimeError as error:  # ~name of an unknown user
            raise BadInput(f"--to {to}: {error}") from None
    if source is None:
        raise click.UsageError("--stop needs the MODEL, or --to DIR")
    return settings.cache / "weights" / source.repo.replace("/", "--")


def _request(source: Source, to: Path, given: dict[str, Any]) -> Request:
    from server_bundle.weights.fetch import Request

    return Request(
        source,
        to,
        include=given["include"] or None,
        exclude=given["exclude"] or None,
        update=given["update"],
        verify=given["verify"],
        force=given["force"],
        connections=given["connections"],
        retry_seconds=float(given["retry_for"]),
    )


class _Command:
    """One `ktserver fetch MODEL`."""

    def __init__(
        self,
        settings: Settings,
        request: Request,
        profile: str | None,
        as_json: bool,
        given: dict[str, Any],
    ) -> None:
        self._settings, self._request, self._as_json = settings, request, as_json
        self._profile, self._given = profile, given

    @functools.cached_property
    def _hub(self) -> Hub:
        from server_bundle.weights.hubs import connect

        return connect.connect(self._request.source)

    def run(self) -> int:
        from server_bundle.weights import fetch as fetching
        from server_bundle.weights import needs

        work = fetching.prepare(self._request, lambda: self._hub)
        found = fetch_report.look(self._settings, work, self._profile)
        is_dry = self._given["dry_run"]
        if not self._as_json or not is_dry:
            output.note(fetch_report.in_words(found))
        if is_dry:
            if self._as_json:
                output.print_data(json.dumps(found.to_dict(is_dry=True)))
            return exit_codes.SUCCEEDED
        if not work.is_done:
            if not self._request.force:
                needs.require_disk(found.disk, self._request.to)
            code = self._start(work)
            if code is not None:
                return code
        return self._end(found)

    def _start(self, work: Work) -> int | None:
        """The exit code where the command ends here; None when all is whole."""
        from server_bundle.transfers.pool import unwritable
        from server_bundle.weights import fetch as fetching
        from server_bundle.weights import runs

        files = runs.files_of(fetch_runs.folder(self._settings.state.make_root()), work.request.to)
        hub = self._hub
        private_folder.make(files.folder)
        is_private = work.request.to.is_relative_to(self._settings.cache)
        try:
            lock = fetching.begin(work, is_private=is_private)
        except OSError as error:
            raise FetchFailed(unwritable(error, work.request.to)) from None
        runs.write_request(files, work.request)
        if self._given["detach"]:
            lock.release()
            return fetch_runs.detach(files, work, hub.token(), self._as_json)
        return self._follow(work, hub, files, lock)

    def _follow(self, work: Work, hub: Hub, files: Any, lock: Any) -> int | None:
        from server_bundle.transfers.meter import Stopped
        from server_bundle.weights import runs

        try:
            with progress_line.line() as line:
                live = transfer_line.Live(line, "file")
                runs.perform(work, hub, lock, files, live.show, transfer_line.say)
        except KeyboardInterrupt:
            output.note(
                "stopped; what has arrived is kept. Continue with the same command, or with "
                "--detach in the background"
            )
            return exit_codes.INTERRUPTED
        except Stopped:
            output.note("stopped on request; what has arrived is kept")
            return exit_codes.FAILED
        return None

    def _end(self, found: fetch_report.Found) -> int:
        if self._as_json:
            output.print_data(json.dumps(found.to_dict(is_dry=False)))
        else:
            output.note(fetch_report.next_steps(found))
            output.print_data(str(self._request.to))
        return exit_codes.SUCCEEDED
