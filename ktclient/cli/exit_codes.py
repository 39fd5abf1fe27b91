"""Exit codes, and the one place that turns an error into a line on stderr and a code."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterable

import click

from jobs import errors
from ktclient import errors as ktclient_errors
from ktclient.cli import standard_streams
from server_bundle import errors as server_bundle_errors

SUCCEEDED = 0
FAILED = 1
USAGE = 2
NO_SUCH_JOB = 3
CANCELLED = 4
NOT_FINISHED = 5
NO_SERVER = 6
DOES_NOT_FIT = 7
INTERRUPTED = 128 + 2
"""As a shell says it of a process that SIGINT ended."""

TABLE = """\
\b
Exit codes:
  0  succeeded
  1  the job failed (unless 2, 6 or 7 says why) or was lost, or ktjob failed
  2  usage error: an invalid option, document or setting
  3  no such job
  4  the job was cancelled
  5  the job did not finish within the wait timeout
  6  no server, also as the cause of a failed job
  7  the request does not fit the server's context window
130  Ctrl-C: detached, the job is still running
Of several jobs, the code of the first one that did not succeed.
"""
"""Of `ktjob`."""

SERVER_TABLE = """\
\b
Exit codes:
  0  succeeded
  1  refused, or failed for another reason (the message says which)
  2  usage error: an invalid option, file, setting, profile or server name
  5  the server is still starting, after the time that its plan allows
  6  no server: it did not start, none is running, or there is no log yet
130  Ctrl-C: a start or stop that has begun continues
"""
"""Of `ktserver`."""

_GARBAGE = 50_000
"""So many new objects later Python looks for garbage, and not after 700: imports make thousands of
objects, none of them garbage, and the looks were a twentieth of what `ktjob status` takes."""

_BY_ERROR: tuple[tuple[type[errors.KtjobError], int], ...] = (
    (errors.NoSuchJob, NO_SUCH_JOB),
    (errors.AmbiguousId, USAGE),
    (ktclient_errors.BadInput, USAGE),
    (server_bundle_errors.NoSuchProfile, USAGE),
    (server_bundle_errors.NoSuchLock, USAGE),
    (server_bundle_errors.PlanRefused, USAGE),
    (server_bundle_errors.FetchRefused, USAGE),
    (ktclient_errors.JobCancelled, CANCELLED),
    (ktclient_errors.NotFinished, NOT_FINISHED),
    (server_bundle_errors.StillStarting, NOT_FINISHED),
    (server_bundle_errors.NoServer, NO_SERVER),
    (ktclient_errors.DoesNotFit, DOES_NOT_FIT),
)


def code_of(error: errors.KtjobError) -> int:
    """The exit code for an error that ended a command."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), FAILED)


def code_of_job(outcome: str, cause: str | None) -> int:
    """The exit code for a finished job, by its outcome and, if it failed, by its cause."""
    from jobs.model import Outcome

    if outcome == Outcome.SUCCEEDED.value:
        return SUCCEEDED
    if outcome == Outcome.CANCELLED.value:
        return CANCELLED
    return _codes_by_cause().get(cause or "", FAILED)


def code_of_jobs(ends: Iterable[tuple[str, str | None]]) -> int:
    """The exit code for several finished jobs, by outcome and cause: that of the first one that did
    not succeed."""
    codes = (code_of_job(outcome, cause) for outcome, cause in ends)
    return next((code for code in codes if code != SUCCEEDED), SUCCEEDED)


def _codes_by_cause() -> dict[str, int]:
    """`_BY_ERROR` by the cause codes that are stored with jobs, including those of subclasses."""
    codes: dict[str, int] = {}
    for kind, code in _BY_ERROR:
        kinds = [kind]
        for one in kinds:
            kinds.extend(one.__subclasses__())
            codes[one.cause] = code
    return codes


_NO_MEMORY = b"memory ran out; raise the limit (ulimit -v)\n"


def run(command: click.Command, name: str) -> None:
    """Run a command line and exit: an error becomes one line on stderr and a code, no traceback."""
    standard_streams.prepare()
    gc.set_threshold(_GARBAGE)
    code = _code_of_run(lambda: command.main(prog_name=name, standalone_mode=False), name)
    gc.freeze()  # the process ends: there is nothing to collect for
    sys.exit(code)


def code_of_command(command: click.Command, name: str, argv: list[str]) -> int:
    """Run a command line that another machine sent. Returns its exit code."""
    return _code_of_run(
        lambda: command.main(args=argv, prog_name=name, standalone_mode=False), name
    )


def _code_of_run(call: Callable[[], object], name: str) -> int:
    code = _code_of_call(call, name)
    if (printed := sys.modules.get("ktclient.cli.render.output")) is not None:
        printed.note_replaced()
    return code


def _code_of_call(call: Callable[[], object], name: str) -> int:
    try:
        code = call()
        sys.stdout.flush()
    except click.ClickException as error:
        from ktclient.cli import suggestions

        suggestions.narrow(error)
        error.show()
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except errors.KtjobError as error:
        _say(f"{name}: {error}")
        return code_of(error)
    except BrokenPipeError:  # the reader of our stdout has closed it
        standard_streams.silence(sys.stdout)
        return FAILED
    except Exception as error:
        try:
            return _code_of_other(error, name)
        except MemoryError:  # Python 3.10 needs memory for a call, too
            os.write(2, _NO_MEMORY)
            return FAILED
    return code if isinstance(code, int) else SUCCEEDED


def _code_of_other(error: Exception, name: str) -> int:
    """The exit code for an error of the system. Raises it if it is none that is known."""
    if isinstance(error, FileNotFoundError) and error.filename is None:  # of os.getcwd()
        _say(f"{name}: the current folder was removed; cd to one that exists")
        return USAGE
    if isinstance(error, OSError) and standard_streams.is_lost(error):
        standard_streams.silence(sys.stdout)
        reason = _no_room(error, "/proc/self/fd/1")
        why = f": {reason}." if reason else ";"
        _say(f"{name}: cannot write the output ({error.strerror}){why} Jobs are not affected")
        return FAILED
    if isinstance(error, OSError) and (what := _no_room(error, error.filename)):
        _say(f"{name}: cannot write {error.filename}: {what}")
        return FAILED
    if _say_if_memory(error, name):
        return FAILED
    if isinstance(error, ImportError):  # a file of the same name, or the middle of an installation
        from ktclient import hidden

        _say(f"{name}: {hidden.explained(error) or hidden.incomplete(error)}")
        return USAGE
    raise error


def _no_room(error: OSError, name: str | None) -> str | None:
    from pathlib import Path

    from jobs.system import no_room

    return no_room.reason(error, Path(name or "."))


def _say_if_memory(error: BaseException, name: str) -> bool:
    """Print what ran out and what to do, if the error means that memory ran out."""
    try:
        from jobs.system import no_memory

        if not no_memory.is_it(error):
            return False
        _say(f"{name}: {no_memory.words(error)}. If an id was printed, that job is stored")
    except (MemoryError, ImportError, SystemError, OSError):  # not even for the words
        os.write(2, f"{name}: memory ran out; raise the limit (ulimit -v)\n".encode())
    return True


def _say(message: str) -> None:
    from ktclient.cli.render import output  # `--help` and `--version` do without it

    output.note(message)
