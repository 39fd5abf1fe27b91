"""Check what can end or stall ktjob's processes: memory, limits, sleep, no init, a runner that is
stopped or cannot start jobs."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.model import Status
from jobs.processes import identity
from jobs.runner import start
from jobs.store.store import Store
from jobs.system import cgroup
from ktclient import wording
from ktclient.config.settings import Settings
from ktclient.doctor.finding import Finding, fail, ok, warn
from ktclient.doctor.machine import Machine

LEAST_OPEN_FILES = 256
FEW_PROCESSES = 50
"""Enough for workers and the user's other programs; a worker is one process of two or three
threads."""
FEW_MEMORY_BYTES = 200_000_000
"""Enough for a runner and a few workers with a document of megabytes each."""
EAGER_OOM_SCORE = 300
"""What browsers and editors give the processes that they would lose first; a terminal inside one
inherits it. systemd's own user services have 100 or 200."""
_INITS = {"systemd", "init", "tini", "dumb-init", "docker-init", "catatonit", "s6-svscan", "runit"}
_KILLERS = ("systemd-oomd.service", "earlyoom.service", "nohang.service")


def memory(settings: Settings, machine: Machine) -> Iterator[Finding]:
    """Report each only if it is bad, except for the kernel's count."""
    alive = identity.holder(settings.state.runner_lock)
    who: int | str = alive.pid if alive else "self"
    yield from _killed(cgroup.oom_kills(who, machine.root))
    room = cgroup.memory_room(who, machine.root)
    if room is not None and room.left < FEW_MEMORY_BYTES:
        found = f"{room.left / 1e6:,.0f} MB are left of {room.limit / 1e6:,.0f} MB ({room.where})"
        yield warn("memory", found, "raise that limit, or stop another process in that cgroup")
    score = machine.oom_score_adj(who)
    if score >= EAGER_OOM_SCORE:
        found = f"{'the runner' if alive else 'this shell'} has oom_score_adj {score}: the kernel "
        found += "kills it first when memory runs out"
        cure = "submit from a plain terminal or over ssh: a terminal inside an editor or browser "
        cure += "inherits its score"
        yield warn("memory", found, cure)
    for killer in (name for name in _KILLERS if machine.runs_service(name)):
        yield ok("memory", f"{killer} is running: it kills processes when memory is short")


def _killed(counted: tuple[int, object] | None) -> Iterator[Finding]:
    if counted is None:
        return
    kills, where = counted
    if kills:
        killed = wording.count(kills, "process", "processes")
        found = f"killed for lack of memory: {killed} of ktjob's cgroup ({where})"
        cure = "give it more memory, or submit from a cgroup without the server in it"
        yield warn("memory", found, cure)
    else:
        yield ok("memory", f"no process was killed for lack of memory ({where})")


def runner(settings: Settings, _: Machine) -> Iterator[Finding]:
    """Alive, missing or stopped."""
    waiting = 0
    if settings.state.has_database():
        with Store.open_to_read(settings.state) as store:
            if store.original is not None:
                return  # reported by the database's own check
            waiting = len(store.in_status(Status.QUEUED))
    stopped = start.stopped_runner(settings.state)
    if stopped is not None:
        found = f"the runner (process {stopped.pid}) is stopped, and {_waiting(waiting)}"
        cure = f"kill -CONT {stopped.pid} (or kill -9: the next ktjob command starts another)"
        yield fail("runner", found, cure)
    elif (trouble := start.runner_trouble(settings.state)) is not None:
        found = (
            f"{_waiting(waiting)}: since {trouble.since} the runner (process {trouble.pid}) can "
            f"start neither jobs nor its successor ({trouble.reason})"
        )
        cure = "install ktjob again in that environment; the runner keeps trying. Or run any ktjob "
        cure += "command of another installation, which starts another runner"
        yield fail("runner", found, cure)
    elif start.is_runner_alive(settings.state):
        yield ok("runner", f"running; {_waiting(waiting)}")
    elif waiting:
        found = (
            f"no runner is running and {_waiting(waiting)}; its log is {settings.state.runner_log}"
        )
        yield warn("runner", found, "ktjob status starts one")
    else:
        yield ok("runner", "not needed: no job is waiting")


def _waiting(count: int) -> str:
    return f"{wording.count(count, 'job')} {'is' if count == 1 else 'are'} waiting"


def limits(_: Settings, machine: Machine) -> Iterator[Finding]:
    """Check the limits of open files and of processes."""
    files = machine.limit("Max open files")
    found = f"{files if files is not None else 'unlimited'} open files for a process"
    if files is not None and files < LEAST_OPEN_FILES:
        yield warn("limits", found, "ulimit -n 1024, before ktjob submit")
    else:
        yield ok("limits", found)
    processes = machine.limit("Max processes")
    used = machine.own_threads() if processes is not None else 0
    if processes is not None and processes - used < FEW_PROCESSES and machine.uid != 0:
        found = f"{used} of {processes} processes allowed for {machine.user} are in use"
        yield warn("limits", found, "end some, or raise ulimit -u")
    room = cgroup.process_room(root=machine.root)
    if room is not None and room.left < FEW_PROCESSES:
        found = f"room for {room.left} more processes of {room.limit} ({room.where})"
        yield warn("limits", found, "end some, or raise that limit (systemd: TasksMax=)")


def init(_: Settings, machine: Machine) -> Iterator[Finding]:
    """Check for a container, which ends with its process 1 even if other processes still run."""
    first = machine.first_process()
    if first and first not in _INITS:
        found = (
            f"this looks like a container (process 1 is {first}), which ends when that process ends"
        )
        cure = "keep the container running; docker run --init cleans up ended processes"
        yield warn("init", found, cure)


def sleep(_: Settings, machine: Machine) -> Iterator[Finding]:
    """Check for a battery: suspending pauses everything, and connections break after ten
    minutes."""
    battery = machine.battery()
    if battery is not None:
        found = f"this machine has a battery ({battery}): suspending it pauses jobs, and after "
        found += "ten minutes their connections are lost"
        yield warn("sleep", found, "systemd-inhibit --what=sleep:handle-lid-switch ktjob wait ID")
