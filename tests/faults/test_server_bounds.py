"""What a job does about a server that answers without end, with a real one for each shape. The
bounds are lowered where their size does not matter, and of full size where memory is measured."""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import too_much
from support.too_much import BLOCK, END, EVENTS, Shape, TooMuch, event

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, errors, submit_long
from ktclient.config import settings as config
from ktclient.planning import token_count
from ktclient.servers.dialects.dialect import ServerFacts

KILLING = Path(__file__).parents[1] / "support" / "killing"
CHAT, MOST_MB = "/v1/chat/completions", 200
BOUNDS = "ktclient.request.bounds"
LOW = (
    ",".join(
        f"{BOUNDS}.{name}={value}"
        for name, value in {
            "EVENT_BYTES": 150_000,  # more than is read of a page: ERROR_BYTES and a block of 64 KB
            "STREAM_BYTES": 2_000_000,
            "STREAM_LINES": 5_000,
            "ANSWER_BYTES": 50_000,
            "REPLY_BYTES": 100_000,
            "REPLY_BRACKETS": 5_000,
            "ERROR_SECONDS": 1,
            "REPLY_MORE_SECONDS": 0.5,
        }.items()
    )
    + ",ktclient.request.bounds.HEAD_BYTES=100000"
)


@pytest.fixture
def server() -> Iterator[TooMuch]:
    with too_much.serving() as running:
        yield running


@pytest.fixture
def peaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where each worker leaves what it has used."""
    folder = tmp_path / "peaks"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(KILLING))
    monkeypatch.setenv("KTJOB_PEAKS", str(folder))
    return folder


@pytest.fixture
def low(peaks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTJOB_CONSTANTS", LOW)


def run(server: TooMuch, **options: object) -> tuple[Job, errors.JobFailed]:
    """Submit a job that must fail; its attempts are not what ends it."""
    job = submit_long("text", server=server.url, max_attempts=5, **options)  # type: ignore[arg-type]
    with pytest.raises(errors.JobFailed) as failed:
        job.result()
    return job, failed.value


def rids_of(state: StateDir, job: Job) -> list[str]:
    with Store.open(state) as store:
        return [attempt.rid for attempt in store.attempts(job.id)]


def peak_mb(peaks: Path) -> float:
    """The most memory that any worker has had at once, shared pages included."""
    lines = [line for copy in peaks.iterdir() for line in copy.read_text().splitlines()]
    return max(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


WORD = event("Kept. ")
CALL = b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"%s"}}]}}]}\n\n'  # noqa: E501
STREAMS: dict[str, tuple[Shape, str]] = {
    "a line without end": (too_much.streaming(WORD, then=b"x" * BLOCK), "stream_too_large"),
    "an event without end": (
        too_much.streaming(WORD, then=b"data: x\r\n" * 99),
        "stream_too_large",
    ),
    "comments": (too_much.streaming(WORD, then=b": keepalive\n\n" * 99), "stream_too_large"),
    "empty events": (
        too_much.streaming(WORD, then=b'data: {"choices": []}\n\n' * 9),
        "stream_too_large",
    ),
    "empty lines": (too_much.streaming(WORD, then=b"\r\n" * 999), "stream_too_large"),
    "compressed comments": (
        too_much.compressed(EVENTS, WORD, b": " + b"x" * 1000 + b"\n"),
        "stream_too_large",
    ),
    "an answer": (too_much.streaming(WORD, then=event("x" * 1000)), "answer_too_long"),
    "reasoning": (
        too_much.streaming(WORD, then=event("x" * 1000, "reasoning_content")),
        "answer_too_long",
    ),
    "tool calls": (too_much.streaming(WORD, then=CALL % (b"x" * 1000)), "answer_too_long"),
    "single letters": (too_much.streaming(WORD, then=event("x")), "stream_too_large"),
}


@pytest.mark.parametrize("shape", STREAMS)
def test_a_stream_without_end_is_ended_and_its_text_kept(
    state: StateDir, server: TooMuch, low: None, shape: str
) -> None:
    """By its own cause; the request is aborted by its name, and not sent again."""
    server.shapes[CHAT], cause = STREAMS[shape]
    job, failed = run(server, max_tokens=64)
    assert (job.status().cause, job.status().attempt) == (cause, 1)
    assert failed.partial_text.startswith("Kept. ") and server.url in str(failed)
    assert server.asked.count(CHAT) == 1 and server.aborted == rids_of(state, job)


@pytest.mark.promise
def test_headers_without_end_are_no_answer(state: StateDir, server: TooMuch, low: None) -> None:
    """Each is harmless; httpcore reads them for ever."""
    server.shapes[CHAT] = lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 9)
    job, failed = run(server)
    assert job.status().cause == "stream_too_large" and "headers" in str(failed)
    assert server.asked.count(CHAT) == 1 and server.aborted == rids_of(state, job)


REFUSED = b'{"message": "Refused."}'
BODIES: dict[str, Callable[[threading.Event], Shape]] = {
    "endless": lambda _: too_much.failing(400, REFUSED, b" " * BLOCK),
    "slow": lambda _: too_much.trickling(too_much.head("text/plain", 400) + REFUSED, b" ", 0.1),
    "silent": lambda closing: too_much.silent(
        too_much.head("text/plain", 400, content_length="999") + REFUSED, closing
    ),
    "compressed": lambda _: too_much.compressed("text/plain", REFUSED, b" " * BLOCK, 400),
    "in a codec that is none": lambda _: too_much.replying(
        REFUSED, kind="text/plain; charset=zip", status=400
    ),
}


@pytest.mark.parametrize("shape", BODIES)
def test_of_an_error_the_beginning_is_told(
    state: StateDir, server: TooMuch, low: None, shape: str
) -> None:
    """Its status is the answer, whatever follows."""
    server.shapes[CHAT] = BODIES[shape](server.closing)
    job, failed = run(server)
    assert (job.status().cause, server.asked.count(CHAT)) == ("server_refused", 1)
    assert "Refused." in str(failed)


def test_something_else_than_a_stream_is_read_only_at_its_beginning(
    state: StateDir, server: TooMuch, low: None
) -> None:
    server.shapes[CHAT] = too_much.replying(
        b"<html><title>Log in</title>", b" " * BLOCK, "text/html"
    )
    job, failed = run(server)
    assert job.status().cause == "web_page" and "Log in" in str(failed)


BEGIN = b'{"data": [{"id": "m", "owned_by": "sglang"}], "more": "'
MANY = b'{"data": [{"id": "m"}], "more": [' + b"{}," * 9_000 + b"{}]}"
REPLIES: dict[str, tuple[Shape, str]] = {
    "endless": (too_much.replying(BEGIN, b"x" * BLOCK), "reply_too_large"),
    "compressed": (
        too_much.compressed("application/json", BEGIN, b"x" * BLOCK),
        "reply_too_large",
    ),
    "compressed twice": (
        too_much.twice_compressed("application/json", BEGIN, b"x" * BLOCK, 50),
        "reply_too_large",
    ),
    "headers": (lambda: itertools.repeat(b"HTTP/1.1 103 Early\r\n\r\n" * 9), "reply_too_large"),
    "many objects": (too_much.replying(MANY), "reply_too_large"),
    "nested": (too_much.replying(b"[" * 4_000 + b"]" * 4_000), "wrong_address"),
    "a number without end": (
        too_much.replying(b'{"data": [{"id": "m", "max_model_len": 1' + b"0" * 9_000 + b"}]}"),
        "wrong_address",
    ),
    "a name of a megabyte": (
        too_much.replying(b'{"data": [{"id": "' + b"m" * 90_000 + b'"}]}'),
        "wrong_address",
    ),
}


@pytest.mark.parametrize("shape", REPLIES)
def test_a_short_query_has_a_short_reply(
    state: StateDir, server: TooMuch, low: None, shape: str
) -> None:
    """Or the job ends before it sends its document."""
    server.shapes["/v1/models"], cause = REPLIES[shape]
    server.sane_models = 1  # the one of submit
    job, failed = run(server)
    assert job.status().cause == cause and server.url in str(failed)
    assert CHAT not in server.asked


@pytest.mark.parametrize("first", [b"", too_much.head("application/json")], ids=["headers", "body"])
def test_a_reply_of_one_byte_at_a_time_ends(
    state: StateDir, server: TooMuch, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    """Though each byte comes in time; in the command that submits, too."""
    monkeypatch.setattr("ktclient.request.bounds.REPLY_MORE_SECONDS", -8.0)
    server.shapes["/v1/models"] = too_much.trickling(first, b"H" if not first else b" ", 0.1)
    with pytest.raises(errors.ReplyTooSlow, match="slowly"):
        submit_long("text", server=server.url)


@pytest.mark.parametrize("endless", [True, False], ids=["endless", "nonsense"])
def test_other_queries_may_go_wrong_in_any_way(
    state: StateDir, server: TooMuch, low: None, endless: bool
) -> None:
    """They only help: the job is done without them."""
    nonsense = (
        b'{"loads": [{"num_running_reqs": 1e999, "num_waiting_reqs": 1, "num_used_tokens": 1}]}'
    )
    shape = too_much.replying(b"{", b"[" * BLOCK) if endless else too_much.replying(nonsense)
    others = ("/server_info", "/v1/loads", "/metrics", "/model_info", "/tokenize")
    server.shapes.update(dict.fromkeys(others, shape))
    server.shapes[CHAT] = too_much.streaming(event("Whole."), END)
    assert submit_long("text", server=server.url).result() == "Whole."
    assert {"/server_info", "/metrics"} <= set(server.asked)


def growing() -> Iterator[bytes]:
    """Progress of a prefill, a token at a time; a thousand of them in what is sent at once."""
    yield too_much.head()
    report = {"choices": [], "prompt_progress": {"processed": "DONE", "total": 10**9}}
    line = b"data: %s\n\n" % json.dumps(report).replace('"DONE"', "%d").encode()
    for start in itertools.count(0, 1000):
        yield b"".join(line % done for done in range(start, start + 1000))


EMOJI = event("x" * 3_000 + "\N{GRINNING FACE}")
DICTS = b'{"":0},' * 9_000
FULL: dict[str, tuple[str, Shape, str]] = {
    "a line": (CHAT, too_much.streaming(WORD, then=b"x" * BLOCK), "stream_too_large"),
    "an event": (CHAT, too_much.streaming(WORD, then=b"data: ab\n" * 999), "stream_too_large"),
    "a compressed line": (
        CHAT,
        too_much.compressed(EVENTS, WORD, b"x" * BLOCK),
        "stream_too_large",
    ),
    "an answer": (CHAT, too_much.streaming(WORD, then=EMOJI), "answer_too_long"),
    "an answer by a schema": (CHAT, too_much.streaming(WORD, then=EMOJI), "answer_too_long"),
    "letters": (CHAT, too_much.streaming(WORD, then=event("xy") * 99), "stream_too_large"),
    "progress": (CHAT, growing, "stream_too_large"),
    "an error": (
        CHAT,
        too_much.compressed("text/plain", REFUSED, b" " * BLOCK, 400),
        "server_refused",
    ),
    "a compressed reply": (
        "/v1/models",
        too_much.twice_compressed("application/json", BEGIN, b"x" * BLOCK, 500),
        "reply_too_large",
    ),
    "a reply of objects": (
        "/v1/models",
        too_much.replying(
            b'{"data": [' + DICTS * 22 + b'{}], "object": "' + b"x" * 2_500_000 + b'"}'
        ),
        "wrong_address",
    ),
}


@pytest.mark.parametrize("shape", FULL)
def test_no_answer_fills_the_memory(
    state: StateDir, server: TooMuch, peaks: Path, shape: str
) -> None:
    """With the bounds as they are."""
    path, server.shapes[path], cause = FULL[shape]
    server.sane_models = 1
    schema = {"schema": {"type": "object"}} if shape == "an answer by a schema" else {}
    max_tokens = 1 if shape in ("letters", "progress") else 100_000
    job, _ = run(server, max_tokens=max_tokens, **schema)
    assert job.status().cause == cause
    assert peak_mb(peaks) <= MOST_MB


MOST = b"{}," * 49_000 + b"{}]}"
OBJECTS = {
    "pairs": b'{"choices": [], "more": [' + DICTS * 65 + b"{}]}",
    "choices": b'{"choices": [' + MOST,
    "calls": b'{"choices": [{"delta": {"tool_calls": [' + MOST + b"}]}",
    "texts": b'{"choices": [], "more": [' + b'"ab",' * 800_000 + b"0]}",
    "lists": b'{"choices": [], "more": [' + b"[]," * 49_000 + b"0," * 1_900_000 + b"0]}",
}


@pytest.mark.promise
@pytest.mark.parametrize("shape", OBJECTS)
def test_an_event_of_many_objects_does_not_fill_the_memory(
    state: StateDir, server: TooMuch, peaks: Path, shape: str
) -> None:
    """Whatever becomes of it: an object of two bytes may take a kilobyte."""
    server.shapes[CHAT] = too_much.streaming(b"data: %s\n\n" % OBJECTS[shape], END)
    job = submit_long("text", server=server.url)
    job.wait()
    assert server.asked.count(CHAT) == 1 and job.status().attempt == 1
    assert peak_mb(peaks) <= MOST_MB


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 << 30)


FILES: dict[str, Callable[[Path], None]] = {
    "a pipe": os.mkfifo,
    "a device without end": zeros,
    "a folder": Path.mkdir,
    "ten gigabytes": sparse,
    "a terminal": lambda path: path.symlink_to("/dev/tty"),
    "a file without a size": lambda path: path.symlink_to("/proc/self/status"),
}


@pytest.mark.parametrize("name", ["tokenizer.json", "config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_the_server_names_is_read_only_if_it_is_one(
    state: StateDir, server: TooMuch, tmp_path: Path, kind: str, name: str
) -> None:
    """The tokens are counted in the next best way then."""
    folder = tmp_path / "model"
    folder.mkdir()
    if name == "tokenizer_config.json":
        (folder / "config.json").write_text('{"architectures": ["DeepseekV4ForCausalLM"]}')
    FILES[kind](folder / name)
    server.folder = str(folder)
    facts = ServerFacts(server.url, "sglang", "m", None)
    counted = token_count.best("text", facts, config.load(), may_ask=False)
    assert counted.is_rough and "/model_info" in server.asked


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/tty", "/proc/kmsg", "\ud800", "x" * 9_000])
def test_a_folder_that_is_none_is_not_read(state: StateDir, server: TooMuch, path: str) -> None:
    server.folder = path
    facts = ServerFacts(server.url, "sglang", "m", None)
    assert token_count.best("text", facts, config.load(), may_ask=False).is_rough
