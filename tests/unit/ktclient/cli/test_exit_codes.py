"""Exit codes: one for each reaction of a script, and a line instead of a traceback."""

from __future__ import annotations

import re
import sys

import click
import pytest

from jobs import errors
from ktclient import errors as ktclient_errors
from ktclient.cli import exit_codes
from server_bundle import errors as server_bundle_errors

pytestmark = pytest.mark.each_python

CODES: dict[type[errors.KtjobError], int] = {
    errors.KtjobError: 1,
    ktclient_errors.BadInput: 2,
    ktclient_errors.DocumentUnusable: 2,
    ktclient_errors.BadSetting: 2,
    errors.AmbiguousId: 2,
    server_bundle_errors.NoSuchProfile: 2,
    server_bundle_errors.NoSuchLock: 2,
    server_bundle_errors.PlanRefused: 2,
    server_bundle_errors.FetchRefused: 2,
    server_bundle_errors.FetchFailed: 1,
    errors.NoSuchJob: 3,
    errors.NothingStored: 3,
    ktclient_errors.JobCancelled: 4,
    ktclient_errors.NotFinished: 5,
    server_bundle_errors.AnotherServer: 1,
    server_bundle_errors.InstallRefused: 1,
    server_bundle_errors.InstallFailed: 1,
    server_bundle_errors.ServerInUse: 1,
    server_bundle_errors.StillStarting: 5,
    server_bundle_errors.NoServer: 6,
    ktclient_errors.ServerUnreachable: 6,
    ktclient_errors.ConnectionRefused: 6,
    ktclient_errors.HostUnknown: 6,
    ktclient_errors.HostUnreachable: 6,
    ktclient_errors.ConnectionBroke: 6,
    ktclient_errors.ServerSilent: 6,
    ktclient_errors.ReplyTooSlow: 6,
    ktclient_errors.ProxyRefused: 6,
    ktclient_errors.TlsFailed: 6,
    server_bundle_errors.EmbeddedNotInstalled: 6,
    server_bundle_errors.WeightsUnavailable: 6,
    server_bundle_errors.ServerDidNotStart: 6,
    ktclient_errors.DoesNotFit: 7,
    ktclient_errors.RequestFailed: 1,
    ktclient_errors.Unauthorized: 1,
    ktclient_errors.WrongAddress: 1,
    ktclient_errors.ReplyTooLarge: 1,
    ktclient_errors.StreamTooLarge: 1,
    ktclient_errors.AnswerTooLong: 1,
    ktclient_errors.ServerRefused: 1,
    ktclient_errors.ServerBusy: 1,
    ktclient_errors.ServerBroke: 1,
    ktclient_errors.StreamCut: 1,
    ktclient_errors.AbortedByServer: 1,
    ktclient_errors.EmptyAnswer: 1,
    ktclient_errors.ProtocolError: 1,
    ktclient_errors.DeadlineExceeded: 1,
    ktclient_errors.RateLimited: 1,
    ktclient_errors.QueueTimedOut: 1,
    ktclient_errors.ModelUnknown: 1,
    ktclient_errors.Redirected: 1,
    ktclient_errors.BodyTooLarge: 1,
    ktclient_errors.ErrorInStream: 1,
    ktclient_errors.ProxyGaveUp: 1,
    ktclient_errors.BadGateway: 1,
    ktclient_errors.CacheExhausted: 1,
    ktclient_errors.ServerDied: 1,
    ktclient_errors.LinkLost: 1,
    ktclient_errors.ServerHung: 1,
    ktclient_errors.EmptyStream: 1,
    ktclient_errors.UpstreamDown: 6,
    ktclient_errors.CannotTellYet: 1,
    ktclient_errors.WebPage: 1,
    ktclient_errors.JobUnsuccessful: 1,
    ktclient_errors.JobFailed: 1,
    ktclient_errors.JobLost: 1,
    errors.PartFailed: 1,
    ktclient_errors.HostTrouble: 1,
    errors.PartRestarted: 1,
    ktclient_errors.ResultsUnwritable: 1,
    errors.NotTold: 1,
    errors.OutOfMemory: 1,
    errors.NotEnoughMemory: 1,
    errors.WorkCancelled: 1,
    errors.WorkerStopped: 1,
    errors.IllegalTransition: 1,
    errors.DetachFailed: 1,
    errors.StoreUnusable: 1,
    errors.StoreDamaged: 1,
    errors.StoreTooNew: 1,
    errors.StoreCopied: 1,
    errors.StoreLinked: 1,
    errors.StoreRemoved: 1,
    errors.StoreTorn: 1,
    errors.NotYours: 1,
}
"""Scripts depend on these: a change here is a change of the product."""

ENDS_A_JOB = [
    kind
    for kind in CODES
    if issubclass(
        kind,
        (
            server_bundle_errors.NoServer,
            ktclient_errors.RequestFailed,
            ktclient_errors.BadInput,
            ktclient_errors.DoesNotFit,
        ),
    )
]
"""What a worker may end a job with, by its cause."""


def below(kind: type[errors.KtjobError]) -> set[type[errors.KtjobError]]:
    return {kind}.union(*(below(child) for child in kind.__subclasses__()))


def ours() -> set[type[errors.KtjobError]]:
    """The whole tree, without what tests derive from it."""
    packages = ("jobs", "ktclient", "server_bundle")
    return {kind for kind in below(errors.KtjobError) if kind.__module__.startswith(packages)}


def test_every_error_has_its_code_decided() -> None:
    """A new leaf is entered here with the code that is meant."""
    assert ours() == set(CODES)


@pytest.mark.parametrize("kind", CODES, ids=lambda kind: kind.__name__)
def test_an_error_has_its_code(kind: type[errors.KtjobError]) -> None:
    """Whatever its message."""
    assert exit_codes.code_of(kind("message")) == CODES[kind]


def test_every_code_is_documented_once() -> None:
    """The table in --help holds all codes that occur, and no other."""
    told = [int(code) for code in re.findall(r"^ *(\d+)  \w", exit_codes.TABLE, re.MULTILINE)]
    assert told == sorted(set(told))
    assert set(told) == {0, *CODES.values(), exit_codes.INTERRUPTED}


def test_every_code_of_ktserver_is_documented_once() -> None:
    """Those of its own errors, of wrong arguments and of Ctrl-C, and none that is about jobs."""
    table = exit_codes.SERVER_TABLE
    told = [int(code) for code in re.findall(r"^ *(\d+)  \w", table, re.MULTILINE)]
    assert told == sorted(set(told))
    own = {CODES[kind] for kind in CODES if kind.__module__ == server_bundle_errors.__name__}
    assert set(told) == {0, exit_codes.USAGE, exit_codes.INTERRUPTED, *own}


def test_every_cause_is_a_word_of_its_own() -> None:
    """It is stored with a failed job: two leaves with one cause could not be told apart."""
    causes = [kind.cause for kind in ours()]
    assert len(set(causes)) == len(causes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", cause) for cause in causes)


@pytest.mark.parametrize(
    ("outcome", "cause", "code"),
    [
        ("SUCCEEDED", None, 0),
        ("CANCELLED", None, 4),
        ("CANCELLED", "cancelled", 4),
        ("LOST", None, 1),
        ("LOST", "worker_died", 1),
        ("FAILED", None, 1),
        ("FAILED", "", 1),
        ("FAILED", "error", 1),
        ("FAILED", "a_cause_of_a_newer_version", 1),
        ("FAILED", "does_not_fit", 7),
        ("FAILED", "server_unreachable", 6),
        ("FAILED", "server_broke", 1),
    ],
)
def test_a_finished_job_has_a_code(outcome: str, cause: str | None, code: int) -> None:
    """By its outcome, and by its cause where that asks for another reaction."""
    assert exit_codes.code_of_job(outcome, cause) == code


@pytest.mark.parametrize("kind", ENDS_A_JOB, ids=lambda kind: kind.__name__)
def test_a_job_that_failed_has_the_code_of_its_error(kind: type[errors.KtjobError]) -> None:
    """The same mistake has the same code, found at submit or later by the worker."""
    assert exit_codes.code_of_job("FAILED", kind.cause) == CODES[kind]


def code_of_command(raised: BaseException | None = None, returned: object = None) -> object:
    """What a command line that does this ends with."""

    @click.command()
    @click.option("--number", type=int)
    def command(number: int | None) -> object:
        if raised is not None:
            raise raised
        return returned

    with pytest.raises(SystemExit) as ended:
        exit_codes.run(command, "ktjob")
    return ended.value.code


@pytest.fixture(autouse=True)
def no_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["ktjob"])


@pytest.mark.parametrize("kind", CODES, ids=lambda kind: kind.__name__)
def test_an_error_becomes_one_line_and_a_code(
    kind: type[errors.KtjobError], capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr, with the program's name; no traceback."""
    assert code_of_command(kind("what happened \x1b[31m")) == CODES[kind]
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "ktjob: what happened \N{REPLACEMENT CHARACTER}[31m\n"


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (5, 5), ("text", 0)])
def test_a_command_may_choose_its_code(returned: object, code: int) -> None:
    """By what it returns; nothing is success."""
    assert code_of_command(returned=returned) == code


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), click.Abort()])
def test_ctrl_c_has_the_shells_code(interrupt: BaseException) -> None:
    """128 + SIGINT."""
    assert code_of_command(interrupt) == 130


@pytest.mark.parametrize("arguments", [["--number", "x"], ["--unknown"], ["extra"]])
def test_a_wrong_option_is_a_matter_of_usage(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With how it is meant."""
    monkeypatch.setattr(sys, "argv", ["ktjob", *arguments])
    assert code_of_command() == 2
    assert "Usage: ktjob" in capsys.readouterr().err


def test_help_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And goes to stdout."""
    monkeypatch.setattr(sys, "argv", ["ktjob", "--help"])
    assert code_of_command() == 0
    assert capsys.readouterr().out.startswith("Usage: ktjob")


def test_a_mistake_of_our_own_keeps_its_traceback() -> None:
    """It is to be reported, not hidden behind a line."""

    @click.command()
    def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        exit_codes.run(command, "ktjob")
