"""`ktserver install`: the server's own Python, from lock files."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ktclient import wording
from ktclient.cli import command_settings, exit_codes
from ktclient.cli.install import process, report, transfer_line
from ktclient.cli.install import target as targets
from ktclient.cli.install.target import Asked, Target
from ktclient.cli.render import output, progress_line
from ktclient.cli.server import preflight
from ktclient.config.settings import Settings
from ktclient.errors import BadInput, InstallFailed, InstallRefused
from server_bundle.install import catalog, contents, needs, run, start
from server_bundle.install import index as user_index
from server_bundle.install import lock as lock_file
from server_bundle.install.catalog import Environment
from server_bundle.install.index import Index
from server_bundle.install.layout import Layout
from server_bundle.install.run import Order
from server_bundle.plan import installation
from server_bundle.transfers import run as stopping

if TYPE_CHECKING:
    from server_bundle.doctor import Finding


@click.command()
@click.argument("engine", required=False, metavar="[ENGINE[==VERSION]]")
@click.option("--profile", metavar="P", help="Install the engine of this profile.")
@click.option("--venv", metavar="DIR", help="Folder (default: engines/NAME in the state folder).")
@click.option("--python", metavar="3.12", help="Python version, or the path of an interpreter.")
@click.option("--lock", metavar="FILE", help="Install a lock file of your own.")
@click.option(
    "--installer",
    type=click.Choice(["uv", "pip"]),
    help="Program that installs (default: uv if there is one).",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option("--no-check", is_flag=True, help="Install although the machine lacks something.")
@click.option("--detach", is_flag=True, help="Return when the installation has begun.")
@click.option("--list", "form", flag_value="list", help="List what is and can be installed.")
@click.option("--status", "form", flag_value="status", help="Show the last installation.")
@click.option("--stop", "form", flag_value="stop", help="Stop the running installation.")
@click.option("--remove", "form", flag_value="remove", help="Remove an installed engine.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def install(
    form: str | None, dry_run: bool, no_check: bool, detach: bool, as_json: bool, **given: Any
) -> int:
    """Install an engine in a Python environment of its own, from lock files with hashes.

    Without an engine, that of the default profile. It first shows what it will fetch and what this
    machine lacks. Ctrl-C only detaches: the installation continues in the background, also when the
    terminal closes. If it is interrupted, run the same command again: it continues where it broke
    off. At the end the configuration names the new interpreter, and `ktserver up` uses it.
    """
    asked, settings = Asked(**given), command_settings.load()
    if form is not None:
        return _FORMS[form](asked, settings, as_json)
    target = targets.resolve(asked, settings)
    index = user_index.configured(settings.environ)
    machine = preflight.here()
    needed = needs.amounts(target.lock, target.layout, machine)
    found = needs.examine(target.lock, target.layout, target.base, machine, target.method)
    if dry_run:
        return _show_dry(target, index, found, needed, as_json)
    if _is_there(target, as_json, settings):
        return exit_codes.SUCCEEDED
    output.note(report.plan(target, index, needed))
    _require(found, no_check)
    begun = _begin(target, asked, settings)
    if detach:
        return _detached(begun.layout, as_json)
    return _follow(begun.layout, target, as_json)


def _show_dry(
    target: Target, index: Index, found: list[Finding], needed: needs.Amounts, as_json: bool
) -> int:
    code = exit_codes.FAILED if needs.blocking(found) else exit_codes.SUCCEEDED
    if not as_json:
        output.print_data(report.plan(target, index, needed))
        output.print_data(preflight.in_words(found))
        return code
    lock = target.lock
    _print_json(
        {
            "engine": lock.engine,
            "version": lock.version,
            "variant": lock.variant,
            "python_version": lock.python,
            "folder": str(target.layout.folder),
            "python": str(target.layout.python),
            "packages": len(lock.wheels),
            "unpacked_bytes": lock.unpacked,
            "state": "planned",
            "total_bytes": needed.total,
            "done_bytes": needed.there,
            "needed_bytes": needed.disk,
            "free_bytes": needed.free,
            "index": index.shown,
            "findings": _rows(found),
        }
    )
    return code


def _is_there(target: Target, as_json: bool, settings: Settings) -> bool:
    """Whether exactly this is installed already, file by file. Raises `InstallRefused` where the
    folder has something else, or is used by a server while it must be made again."""
    layout, lock = target.layout, target.lock
    made = installation.of_folder(layout.folder)
    if made is None:
        return False
    if (made.engine, made.version, made.variant) != (lock.engine, lock.version, lock.variant):
        raise InstallRefused(
            f"{layout.folder} holds {made.title}. Name another folder with --venv, or remove that "
            f"first: ktserver install --remove --venv {layout.folder}"
        )
    if made.state != installation.COMPLETE:
        return False
    wrong = contents.problems(layout.folder, lock.wheels)
    if not wrong and made.digest == run.digest(lock):
        output.note(f"{made.title} is installed already, and complete")
        _finish(layout, target, process.configure(layout), as_json)
        return True
    catalog.refuse_used(layout, _users(layout, settings))
    what = f"is damaged ({wrong[0]})" if wrong else "is of an older lock file"
    output.note(f"{layout.folder} {what}: it is made again")
    return False


def _require(found: list[Finding], is_unchecked: bool) -> None:
    """Print what is wrong. Raises `InstallRefused` for what must not be."""
    shown = [one for one in found if one.severity.value in ("warning", "error")]
    if shown:
        output.note(preflight.in_words(shown))
    if (grave := needs.blocking(found)) and not is_unchecked:
        count = "1 error" if len(grave) == 1 else f"{len(grave)} errors"
        raise InstallRefused(
            f"nothing was fetched: {count}, see above. Fix this, or install with --no-check"
        )


def _begin(target: Target, asked: Asked, settings: Settings) -> start.Begun:
    settings.state.create()
    base = target.base.path if target.base else target.lock.python
    order = Order(str(target.lock.path), base, target.uv, asked.command)
    environ = settings.environ
    begun = start.begin(target.layout, target.lock, order, process.MODULE, environ)
    catalog.remember(settings.state.engines, target.layout.folder)
    if not begun.is_new:
        output.note("it is being installed already")
    return begun


def _detached(layout: Layout, as_json: bool) -> int:
    if as_json:
        _print_json(_one(layout))
    output.note(
        "the installation runs in the background. Show it: ktserver install --status. Stop it: "
        "ktserver install --stop"
    )
    return exit_codes.SUCCEEDED


def _follow(layout: Layout, target: Target, as_json: bool) -> int:
    began = time.monotonic()
    try:
        with progress_line.line() as line:
            done = start.follow(layout, transfer_line.Live(line, "package").follow)
    except KeyboardInterrupt:
        output.note(
            "\ndetached; the installation continues. Follow it: run the same command again. Show "
            "it: ktserver install --status. Stop it: ktserver install --stop"
        )
        return exit_codes.INTERRUPTED
    except InstallFailed as error:
        if as_json:
            _print_json(_one(layout))
        raise error
    output.note(f"installed in {report.since(began)}; all files are as their packages say")
    _finish(layout, target, done.message, as_json)
    return exit_codes.SUCCEEDED


def _finish(layout: Layout, target: Target, configured: str, as_json: bool) -> None:
    """Check the new interpreter, say where it is configured, and what is next."""
    found = _examine(layout, target, is_silent=as_json)
    output.note(configured)
    profile = f" --profile {target.profile.name}" if target.profile else ""
    if errors := sum(one.severity.value == "error" for one in found):
        output.note(
            f"all packages are here, but a server would not start yet: "
            f"{wording.count(errors, 'error')} above. After the fix, look again with: ktserver "
            f"doctor --deep{profile} --model DIR"
        )
    output.note(
        f"next: ktserver fetch MODEL, then ktserver up{profile} --model DIR (both explain "
        "themselves with --help)"
    )
    if as_json:
        _print_json({**_one(layout), "findings": _rows(found)})
    else:
        output.print_data(str(layout.python))


def _examine(layout: Layout, target: Target, *, is_silent: bool) -> list[Finding]:
    """The doctor's findings about the new interpreter, printed: without a model, so without what
    concerns weights. It imports the engine and its kernels as a start does."""
    from server_bundle import doctor

    plan, machine = needs.plan_of(target.lock, str(layout.python), target.method), preflight.here()
    about = ("python", "packages", "driver", "gpus", "environment")
    found = [one for one in doctor.examine(plan, machine) if one.about in about]
    output.note(preflight.in_words(found))
    if not is_silent:
        output.note("trying in the new Python what a start does before it loads: half a minute")
    tried = preflight.deep(plan, machine, is_silent=is_silent)
    output.note(preflight.in_words(tried))
    return [*found, *tried]


def _rows(found: Sequence[Finding]) -> list[dict[str, str]]:
    return [{**dataclasses.asdict(one), "severity": one.severity.value} for one in found]


def _users(layout: Layout, settings: Settings) -> list[str]:
    """The names of running servers that use an environment."""
    from server_bundle.launch import registry
    from server_bundle.launch import start as launch_start
    from server_bundle.launch.server_folder import ServerFiles

    names = []
    for seen in registry.all_of(settings.state.servers):
        files: ServerFiles = seen.files
        if (
            seen.is_there
            and installation.folder_of(launch_start.last_plan(files).python) == layout.folder
        ):
            names.append(seen.server.name)
    return names


def _list(asked: Asked, settings: Settings, as_json: bool) -> int:
    found = catalog.environments(settings.state.engines)
    if as_json:
        _print_json([report.as_json(one) for one in found])
    else:
        output.print_data(report.table(found, lock_file.known()))
        output.note("remove one with: ktserver install --remove ENGINE==VERSION, or --venv DIR")
    return exit_codes.SUCCEEDED


def _status(asked: Asked, settings: Settings, as_json: bool) -> int:
    one = _chosen(asked, settings)[0]
    if as_json:
        _print_json(report.as_json(one))
    else:
        output.print_data(report.status(one))
    return exit_codes.SUCCEEDED


def _stop(asked: Asked, settings: Settings, as_json: bool) -> int:
    running = [one for one in _chosen(asked, settings) if one.is_running]
    if not running:
        raise BadInput("no installation runs")
    for one in running:
        stopping.stop(one.layout.lock, "the installation", InstallFailed)
        output.note(
            f"stopped. What has arrived is kept in {one.layout.folder}. To continue: ktserver "
            f"{one.made.command}. To remove it: ktserver install --remove --venv "
            f"{one.layout.folder}"
        )
    return exit_codes.SUCCEEDED


def _remove(asked: Asked, settings: Settings, as_json: bool) -> int:
    if not (asked.engine or asked.venv):
        raise BadInput(
            "name what to remove: ktserver install --remove ENGINE==VERSION, or --venv DIR"
        )
    found = _chosen(asked, settings)
    if len(found) > 1:
        listed = ", ".join(str(one.layout.folder) for one in found)
        raise BadInput(f"these match: {listed}. Name one with --venv DIR")
    one = found[0]
    output.note(f"removing {one.made.title} from {one.layout.folder}")
    catalog.remove(one, _users(one.layout, settings))
    if said := process.unconfigure(one.made.engine, str(one.layout.python)):
        output.note(said)
    return exit_codes.SUCCEEDED


def _chosen(asked: Asked, settings: Settings) -> Sequence[Environment]:
    """The environments that the options name, those that are being installed first, then the
    latest. Raises `BadInput` without any."""
    from pathlib import Path

    found = catalog.environments(settings.state.engines)
    if asked.venv:
        folder = Path(asked.venv).expanduser().absolute()
        found = [one for one in [catalog.look(folder)] if one is not None]
    if asked.engine:
        engine, _, version = asked.engine.partition("==")
        found = [
            one for one in found if one.made.engine == engine and version in ("", one.made.version)
        ]
    if asked.python:
        found = [one for one in found if one.made.python == asked.python]
    if not found:
        raise BadInput("there is no such installation. List them: ktserver install --list")
    return sorted(found, key=lambda one: not one.is_running)


def _one(layout: Layout) -> dict[str, Any]:
    found = catalog.look(layout.folder)
    if found is None:
        raise InstallFailed(f"{layout.folder} was removed meanwhile")
    return report.as_json(found)


def _print_json(value: object) -> None:
    output.print_data(
        json.dumps(value, ensure_ascii=False, indent=1 if sys.stdout.isatty() else None)
    )


_FORMS = {"list": _list, "status": _status, "stop": _stop, "remove": _remove}
