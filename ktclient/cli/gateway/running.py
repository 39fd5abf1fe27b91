"""`ktjob serve --status` and `--stop`: the gateways that run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from jobs import clock
from jobs.errors import KtjobError
from jobs.model import Status
from jobs.store.state_dir import StateDir
from ktclient._version import __version__
from ktclient.cli import exit_codes
from ktclient.cli.render import output, units
from ktclient.gateway.service import instance, stop
from ktclient.gateway.service.instance import Instance
from ktclient.records import access
from ktclient.records.output_schema import SCHEMA
from server_bundle.launch import http_probe

ANSWER_SECONDS = 5.0
"""How long a gateway may take to answer, on a machine with more to do."""


@dataclass(frozen=True)
class Seen:
    """A gateway, and whether it answers now."""

    gateway: Instance
    is_answering: bool

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        fields = asdict(self.gateway)
        pid = fields.pop("process")["pid"]
        base_url = f"{self.gateway.url}/v1"
        return {**fields, "pid": pid, "base_url": base_url, "answers": self.is_answering}


def show(state: StateDir, port: int | None, *, as_json: bool) -> int:
    """Print the gateways of a state directory, or the one on a port. 0: all of them answer; 1: one
    does not; 6: none runs."""
    found = [one for one in instance.all_of(state) if port in (None, one.port)]
    seen = [Seen(one, is_answering(one.url)) for one in found]
    waiting, running = _jobs(state)
    if as_json:
        listed = [one.to_dict() for one in seen]
        told = {"schema": SCHEMA, "gateways": listed, "queued": waiting, "running": running}
        output.print_data(json.dumps(told))
    else:
        _print(seen, port)
        output.print_data(f"jobs: {running:,} running, {waiting:,} queued")
    if not seen:
        return exit_codes.NO_SERVER
    return exit_codes.SUCCEEDED if all(one.is_answering for one in seen) else exit_codes.FAILED


def _print(seen: list[Seen], port: int | None) -> None:
    if not seen:
        where = "" if port is None else f" on port {port}"
        output.print_data(f"no gateway runs{where}. Start one with: ktjob serve --detach")
    for one in seen:
        gateway = one.gateway
        age = units.duration(clock.seconds_between(gateway.since, clock.now()))
        state = "answers" if one.is_answering else f"does not answer within {ANSWER_SECONDS:g} s"
        output.print_data(
            f"{gateway.url}/v1  {state}; process {gateway.process.pid}, for {age}; "
            f"clients waiting: {gateway.streams:,}"
        )
        if gateway.log:
            output.print_data(f"  log: {gateway.log}")
        if gateway.version != __version__:
            output.print_data(
                f"  it runs ktjob {gateway.version}, and {__version__} is installed: restart it"
            )


def is_answering(url: str) -> bool:
    """Whether a gateway answers."""
    answer = http_probe.get(f"{url}/healthz", seconds=ANSWER_SECONDS)
    return answer is not None and answer.status == 200


def _jobs(state: StateDir) -> tuple[int, int]:
    """How many are queued and running; 0 where the store cannot be read now."""
    try:
        with access.open_readonly(state) as store:
            if store is None:
                return 0, 0
            counts = store.counts()
    except KtjobError as error:
        output.note(f"{error}")
        return 0, 0
    return counts.get(Status.QUEUED, 0), counts.get(Status.RUNNING, 0)


def end(state: StateDir, port: int | None) -> int:
    """Stop the gateway on a port; without one, the only one that runs. Returns 0, also if none
    runs there; 2 if it is not known which one is meant."""
    running = instance.all_of(state)
    meant = [one for one in running if port in (None, one.port)]
    if len(meant) != 1:
        _refuse_to_stop(port, [str(one.port) for one in running])
        return exit_codes.USAGE if meant else exit_codes.SUCCEEDED
    one = meant[0]
    is_clean = stop.stop(one)
    how = "" if is_clean else ", killed: it did not end by itself"
    output.print_data(f"{one.url}/v1 stopped (process {one.process.pid}{how}). Jobs continue")
    return exit_codes.SUCCEEDED


def _refuse_to_stop(port: int | None, ports: list[str]) -> None:
    where = "" if port is None else f" on port {port}"
    none = f"no gateway runs{where}"
    which = f"gateways run on port {', '.join(ports)}: choose one with --port"
    output.note(which if port is None and ports else f"{none}. {which}" if ports else none)
