"""`ktserver explain`: every catalogued failure by the words that real servers left of it."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server_bundle.logs import catalogue, explain, stages

DATA = Path(__file__).parents[3] / "data"
FAILURES = sorted((DATA / "failures").glob("*.log"))
HEALTHY = sorted((DATA / "sglang").glob("*.log"))
START = "server_args=ServerArgs("
CAUSES = {cause.id: cause for cause in catalogue.causes()}


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")


def ids(lines: list[str], exit_status: int | None = None) -> list[str]:
    return [one.cause.id for one in explain.explain(lines, exit_status).found]


def id_of(path: Path) -> str:
    return path.stem.partition("-")[0]


@pytest.mark.parametrize("path", FAILURES, ids=lambda path: path.stem)
def test_a_failure_is_explained_by_its_cause_alone(path: Path) -> None:
    """Neither by another nor by what follows from it; with a line that is in the file."""
    explained = explain.explain(lines_of(path))
    assert [one.cause.id for one in explained.found] == [id_of(path)]
    for evidence in explained.found[0].evidence:
        shown = evidence.text.strip("… ")
        assert shown in lines_of(path)[evidence.number - 1]
    cause = CAUSES[id_of(path)]
    assert explained.is_known == (cause.is_fatal and not cause.is_aftermath)
    assert explained.is_failure == cause.is_fatal


@pytest.mark.parametrize(
    "line",
    [
        "Exception: capture failed",
        "Error: no such device",
        "queue.Empty",
        "subprocess.TimeoutExpired: Command 'nvcc' timed out",
        "StopIteration",
        "  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)",
        "torch.OutOfMemoryError: of the driver",
    ],
)
def test_an_exception_of_any_name_is_shown(line: str) -> None:
    lines = [
        "[2026-11-01 10:00:00] server_args=ServerArgs(model_path='/m')",
        "[2026-11-01 10:00:50 TP0] Scheduler hit an exception: Traceback (most recent call last):",
        '  File "/x/scheduler.py", line 1, in run',
        "    scheduler = Scheduler(",
        line,
        "Possible solutions:",
        "[2026-11-01 10:00:51] Received sigquit from a child process. It usually means the child "
        "failed.",
    ]
    explained = explain.explain(lines)
    assert explained.exception is not None
    assert (explained.exception.number, explained.exception.text) == (5, line.strip())
    assert explained.is_failure and not explained.is_known and explained.found == ()


def test_every_cause_has_a_failure() -> None:
    """And no excerpt is left without its cause."""
    assert {id_of(path) for path in FAILURES} == set(CAUSES)


def test_every_excerpt_has_its_source() -> None:
    told = (DATA / "failures" / "SOURCES.md").read_text()
    assert set(re.findall(r"^\| `([\w-]+)` \|", told, re.M)) == {path.stem for path in FAILURES}


@pytest.mark.parametrize("path", HEALTHY, ids=lambda path: path.stem)
def test_a_healthy_log_gives_no_alarm(path: Path) -> None:
    """Recorded from sglang-kt 0.7.2."""
    assert HEALTHY
    explained = explain.explain(lines_of(path))
    assert explained.found == ()
    assert not explained.is_known


@pytest.mark.parametrize("path", FAILURES, ids=lambda path: path.stem)
def test_colours_and_compose_prefixes_do_not_hide_it(path: Path) -> None:
    """Docker compose writes the service before each line, and loggers colour theirs."""

    def dressed(line: str) -> str:
        coloured = re.sub(r"^\[(\d{4}-[^\]]*)\]", "\x1b[32m[\\1]\x1b[0m", line)
        return coloured + ("\x1b[0m\r" if coloured.endswith("]") else "")

    assert ids([dressed(line) for line in lines_of(path)]) == [id_of(path)]


@pytest.mark.parametrize("path", FAILURES, ids=lambda path: path.stem)
def test_four_ranks_say_the_same(path: Path) -> None:
    """Each its whole story, one after another, as ranks do."""
    lines = lines_of(path)
    start = next((number for number, line in enumerate(lines) if START in line), -1) + 1
    told = [re.sub(r" TP\d+\]", f" TP{rank}]", line) for rank in range(4) for line in lines[start:]]
    told = [*lines[:start], *told]
    assert set(ids(told)) == {id_of(path)}


@pytest.mark.parametrize("path", FAILURES, ids=lambda path: path.stem)
def test_a_torn_log_gives_no_other_cause(path: Path) -> None:
    """Cut anywhere: the cause or, before it was written, silence or its news."""
    lines = lines_of(path)
    consequences = {cause.id for cause in CAUSES.values() if cause.yields}
    allowed = {id_of(path), *CAUSES[id_of(path)].replaces, *consequences, "kv_pool_full"}
    for end in range(0, len(lines), max(1, len(lines) // 12)):
        assert set(ids(lines[:end])) <= allowed


def test_a_start_forgets_the_failure_before_it() -> None:
    """One file may hold several lives of a server."""
    failed = lines_of(DATA / "failures/port_in_use.log")
    start = next(line for line in failed if START in line)
    healthy = [start, *lines_of(HEALTHY[0])]
    assert ids([*failed, *healthy]) == []
    assert ids([*healthy, *failed]) == ["port_in_use"]
    refused = lines_of(DATA / "failures/bad_arguments.log")
    assert ids([*refused, *healthy]) == []
    warned = lines_of(DATA / "failures/driver_too_old.log")
    assert ids([*warned, *healthy]) == ["driver_too_old"]


def traced(rank: str, frame: str) -> list[str]:
    return [
        f"[2026-05-11 13:45:10 {rank}] Scheduler hit an exception: Traceback (most recent call)",
        f'  File "/x/model_runner.py", line 1, in {frame}',
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 512.00 MiB.",
    ]


def test_memory_that_ran_out_is_told_apart_by_the_stage() -> None:
    """Of the rank that ran out, though others are further."""
    begin = "[2026-05-11 13:45:08 TP{}] Load weight begin. avail mem=30.59 GB"
    end = "[2026-05-11 13:45:09 TP{}] Load weight end. elapsed=61.08 s"
    graphs = "[2026-05-11 13:45:09 TP{}] Capture cuda graph begin. avail mem=5.79 GB"
    oom = [line for line in traced("TP1", "x") if "File" not in line]
    both = [begin.format(0), begin.format(1), end.format(0)]
    assert ids([*both, *oom]) == ["oom_load"]
    assert ids([*both, end.format(1), *oom]) == ["oom_pool"]
    assert ids([*both, end.format(1), graphs.format(1), *oom]) == ["oom_graphs"]
    running = [*both, end.format(1), "[2026-05-11 13:46:00 TP0] Prefill batch, #new-seq: 1"]
    assert ids([*running, *oom]) == ["oom_prefill"]
    assert ids([*running, "[2026-05-11 13:46:00 TP0] Decode batch, #x: 1", *oom]) == ["oom_decode"]
    assert ids(traced("TP1", "load_model")) == ["oom_load"]
    other = oom[-1] + " Process 9 has 12.34 GiB memory in use."
    assert ids([*both, *oom[:-1], other]) == ["oom_load"]  # in a container: this process too
    other += " Including non-PyTorch memory, this process has 3.92 GiB memory in use."
    assert ids([*running, *oom[:-1], other]) == ["gpu_memory_taken"]
    assert ids(traced("TP1", "event_loop_overlap")) == ["oom_prefill"]


def test_a_silent_end_is_known_by_its_exit_status() -> None:
    """SIGKILL leaves no word; but sglang ends so too when a child has told its reason."""
    silent = ["[2026-05-11 13:45:08 TP0] Load weight begin. avail mem=30.59 GB"]
    assert ids(silent) == []
    for status in (137, -9):
        assert ids(silent, status) == ["killed"]
    assert ids(silent, 132) == ["illegal_instruction"]
    assert ids(silent, 0) == []
    assert ids(lines_of(DATA / "failures/weights_damaged.log"), 137) == ["weights_damaged"]


def test_what_is_not_known_is_said_with_the_exception() -> None:
    """The scheduler's, not the EOFError with which the main process notices its end."""
    lines = [
        "[2026-05-11 13:45:10 TP2] Scheduler hit an exception: Traceback (most recent call last):",
        '  File "/x/y.py", line 3, in z',
        "house.NewError: nobody has seen this",
        "[2026-05-11 13:45:11] Received sigquit from a child process. It usually means",
        "Traceback (most recent call last):",
        '  File "/x/connection.py", line 399, in _recv',
        "EOFError",
    ]
    explained = explain.explain(lines)
    assert explained.found == ()
    assert explained.exception is not None
    assert explained.exception == explain.Evidence(3, "house.NewError: nobody has seen this")
    assert not explained.went_on
    served = '[2026-05-11 13:46:11] INFO:     127.0.0.1:1 - "POST /generate HTTP/1.1" 200 OK'
    assert explain.explain([*lines, served]).went_on


def test_news_of_another_processs_end_are_not_the_exception() -> None:
    """Nor is an exception of a life before."""
    told = ["Traceback (most recent call last):", '  File "x", line 1', "ValueError: why"]
    news = ["Traceback (most recent call last):", '  File "x", line 1', "EOFError"]
    exception = explain.explain([*told, *news]).exception
    assert exception is not None
    assert exception.text == "ValueError: why"
    start = "[2026-05-11 13:45:08] server_args=ServerArgs(model_path='/m')"
    assert explain.explain([start, *told, start]).exception is None


def test_the_fatal_come_first_and_then_the_earliest() -> None:
    retract = lines_of(DATA / "failures/kv_pool_full.log")[2]
    watchdog = "[2026-05-11 13:45:10] Scheduler watchdog timeout (self.watchdog_timeout=300, "
    watchdog += "self.soft=False)"
    damaged = "SafetensorError: Error while deserializing header: HeaderTooLarge"
    assert ids([retract, watchdog, damaged]) == ["watchdog", "weights_damaged", "kv_pool_full"]


@pytest.mark.parametrize(
    "line",
    [
        "server_args=ServerArgs(model_path='/m', api_key='sk-secret', admin_api_key='sk-secret')",
        "x.py: error: unrecognized arguments: --api-key sk-secret --admin-api-key=sk-secret",
        "ValueError: Authorization: Bearer sk-secret",
        "x" * 400 + " api_key='sk-" + "secret" * 40 + "', CUDA error: invalid device ordinal",
    ],
)
def test_keys_are_not_shown(line: str) -> None:
    """sglang writes its arguments into the log, keys in clear."""
    lines = ["Traceback (most recent call last):", '  File "x", line 1', line]
    explained = explain.explain(lines)
    assert explained.last is not None
    assert explained.last.text != line
    assert "secret" not in repr(explained)


def test_random_bytes_are_no_failure_and_none_of_ours() -> None:
    noise = random.Random(5).randbytes(200_000).decode("utf-8", "replace").split("\n")
    assert ids([*noise, "x" * 3_000_000]) == []


def test_lines_keep_their_numbers_through_progress_bars() -> None:
    lines = list(stages.read(["loading 1%\rloading 2%\n", "[12:00:00 TP1] said\r\n"]))
    assert [(line.number, line.text) for line in lines] == [
        (1, "loading 1%"),
        (1, "loading 2%"),
        (2, "said"),
    ]


def test_a_long_log_takes_no_longer_than_its_reading() -> None:
    """Chatter is most of a log: 43 layers of 147 chunks are 6,321 lines for one long prompt."""

    def chatter() -> Iterator[str]:
        for number in range(30_000):
            yield f"[2026-05-11 13:45:10 TP0] KT layerwise prefill: layer {number} compute = 3.1 ms"

    began = time.process_time()  # of ours alone, however busy the machine is
    assert explain.explain(chatter()).found == ()
    assert time.process_time() - began < 30


def rows() -> list[str]:
    return [
        f"| `{one.id}` | {one.title} | {one.cure} | {one.source} | {one.versions} |".replace(
            " | |", " | "
        )
        for one in catalogue.causes()
    ]


def test_the_table_of_failures_is_the_catalogue() -> None:
    """docs/failures.md; its rows can be had from this file's `rows()`."""
    page = (Path(__file__).parents[4] / "docs/failures.md").read_text()
    assert re.findall(r"^\| `.*$", page, re.M) == rows()


def test_what_was_stopped_on_request_did_not_fail() -> None:
    """Recorded from sglang 0.5.17: SIGTERM ends the detokenizer, and sglang calls that a crash."""
    stopped = [
        "[2026-11-29 12:42:25] server_args=ServerArgs(model_path='/m')",
        "[2026-11-29 12:43:00] The server is fired up and ready to roll!",
        "[2026-11-29 12:47:13] SIGTERM received. signum=None frame=None. Draining requests and "
        "shutting down...",
        "[2026-11-29 12:47:14] Subprocess detokenizer (pid=657) crashed with exit code -15. "
        "Triggering SIGQUIT for cleanup...",
        "[2026-11-29 12:47:14] SIGQUIT received. signum=None, frame=None. It usually means one "
        "child failed.",
    ]
    explained = explain.explain(stopped)
    assert explained.found == ()
    assert explained.ended and not explained.is_failure
    assert ids([*stopped[:2], *stopped[3:]]) == ["child_failed"]


def test_a_stop_does_not_hide_the_failure_before_it() -> None:
    """Recorded from sglang-kt 0.7.2 on two H200: a rank was killed, ktserver started the server
    again, and `ktserver down` stopped it, which sglang ends with SIGKILL for itself."""
    failed = lines_of(DATA / "failures/rank_lost.log")
    stopped = [
        "2026-11-30T11:42:57.062Z ktserver: started process 6131: P, http://127.0.0.1:40002",
        "[2026-11-30 11:43:24] server_args=ServerArgs(model_path='/m')",
        "[2026-11-30 11:44:14] The server is fired up and ready to roll!",
        "2026-11-30T11:44:54.000Z ktserver: stop requested: SIGTERM to process 6131, 60 s to drain",
        "[2026-11-30 11:44:55] SIGTERM received. signum=None frame=None. Draining requests and "
        "shutting down...",
        "2026-11-30T11:44:59.042Z ktserver: the server ended: SIGKILL, as requested",
    ]
    explained, after = explain.last_failure(stopped)
    assert explained.found == () and not explained.is_failure and after == 0
    explained, after = explain.last_failure([*failed, *stopped])
    assert [one.cause.id for one in explained.found] == ["rank_lost"] and after == 1
    stopped[-1] = stopped[-1].removesuffix(", as requested")
    explained, after = explain.last_failure([*failed, *stopped])
    assert [one.cause.id for one in explained.found] == ["killed"] and after == 0


def test_a_refusal_is_counted_once_for_each_request() -> None:
    """sglang-kt writes each of them twice: in a group of exceptions and alone."""
    lines = lines_of(DATA / "failures/full_queue_streams_nothing.log")
    (found,) = explain.explain([*lines, *lines[4:]]).found
    assert found.times == 2
