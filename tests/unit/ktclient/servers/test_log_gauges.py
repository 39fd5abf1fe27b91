"""Which server's log is ours to read, and what is counted in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang
from support.own_server import recorded

from ktclient.servers import gauges, log_gauges
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.gauges import LOADS, Gauges
from ktclient.servers.log_gauges import LOG, LogGauges
from server_bundle.launch import registry

pytestmark = pytest.mark.each_python

URL = "http://127.0.0.1:30000"
CHUNK = (
    "[2026-11-24 01:31:02 TP{rank}] Prefill batch, #new-seq: 1, #new-token: 4096, "
    "#cached-token: 0, #queue-req: 2, input throughput (token/s): 1.00, cuda graph: False\n"
)


def facts(url: str = URL, dialect: str = "sglang") -> ServerFacts:
    return ServerFacts(url, dialect, "DeepSeek-V4-Flash", 1_048_576)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """That of a server which has worked before."""
    path = tmp_path / "server.log"
    path.write_text(CHUNK.format(rank=0) * 5)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "servers"


@pytest.fixture
def ours(folder: Path, log: Path) -> Iterator[None]:
    """This very process stands for the server."""
    with recorded(folder / "one", URL, log, os.getpid()):
        yield


@pytest.mark.parametrize(
    ("url", "is_ours"),
    [
        (URL, True),
        ("http://localhost:30000", True),
        ("http://[::1]:30000/v1", True),
        ("http://0.0.0.0:30000", True),
        ("http://127.0.0.1:30001", False),
        ("http://10.0.0.1:30000", False),
        ("http://gpu.example:30000", False),
        ("http://127.0.0.1", False),
        ("http://127.0.0.1:x", False),
        ("", False),
    ],
)
def test_a_server_is_known_by_where_it_listens(
    ours: None, folder: Path, url: str, is_ours: bool
) -> None:
    found = registry.log_of(folder, url)
    assert (found is not None) is is_ours
    assert isinstance(log_gauges.gauges(facts(url), None, folder), LogGauges) is is_ours


def test_each_server_may_have_a_folder_of_its_own(tmp_path: Path, log: Path) -> None:
    other = "http://127.0.0.1:30001"
    with (
        recorded(tmp_path / "servers" / "a", URL, log, os.getpid()),
        recorded(tmp_path / "servers" / "b", other, log.with_suffix(".b"), os.getpid()),
    ):
        found = registry.log_of(tmp_path / "servers", other)
    assert found == log.with_suffix(".b")
    assert registry.log_of(tmp_path / "nowhere", other) is None


def test_a_server_that_has_ended_is_not_ours_any_more(folder: Path, log: Path) -> None:
    """Its port may be another's by now: processes tell, not the note. One without its keeper is."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with recorded(folder / "one", URL, log, child.pid):
        assert registry.log_of(folder, URL) == log
    assert registry.log_of(folder, URL) == log
    child.communicate()
    assert registry.log_of(folder, URL) is None


def test_other_dialects_and_unreadable_logs_are_left(ours: None, folder: Path, log: Path) -> None:
    """The embedded server has a record and a log too, in llama.cpp's words."""
    assert type(log_gauges.gauges(facts(dialect="llama.cpp"), None, folder)) is Gauges
    log.unlink()
    assert type(log_gauges.gauges(facts(), None, folder)) is Gauges


def test_the_count_begins_where_the_log_ends(log: Path) -> None:
    """What was prefilled before is none of ours; ranks repeat; a line is counted when whole. That
    nobody answers at this URL takes away only the word on whether others are served."""
    source = LogGauges(facts("http://127.0.0.1:9"), None, log)
    first = source.first()
    assert first is not None and (first.source, first.tokens, first.is_busy) == (LOG, 0, None)
    with log.open("a") as writer:
        writer.write(CHUNK.format(rank=0) + CHUNK.format(rank=1) + CHUNK.format(rank=0)[:80])
        writer.flush()
        second = source.next()
        writer.write(CHUNK.format(rank=0)[80:])
    third = source.next()
    source.close()
    assert second is not None and (second.tokens, second.waiting) == (4096, 2)
    assert third is not None and third.tokens == 8192
    assert source.source == LOG


def test_the_server_says_whether_it_is_busy(tmp_path: Path, log: Path) -> None:
    """An idle one, by /v1/loads; and without a log all comes from there."""
    with fake_sglang(tmp_path) as server:
        source = LogGauges(facts(server.url), None, log)
        first = source.first()
        source.close()
        log.unlink()
        without = LogGauges(facts(server.url), None, log)
        asked, later = without.first(), without.next()
    assert first is not None and (first.source, first.is_busy) == (LOG, False)
    assert asked is not None and later is not None
    assert {asked.source, later.source, without.source} == {LOADS}
    assert isinstance(without, gauges.Gauges)


def test_a_log_that_vanishes_tells_nothing_and_comes_back(log: Path) -> None:
    """It is never taken for a count that fell."""
    source = LogGauges(facts("http://127.0.0.1:9"), None, log)
    source.first()
    log.rename(log.with_suffix(".1"))
    gone = source.next()
    log.write_text(CHUNK.format(rank=0))
    back = source.next()
    source.close()
    assert gone is not None and gone.tokens == 0
    assert back is not None and back.tokens == 4096
