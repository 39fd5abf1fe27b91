"""`ktjob check`: everything that can be known beforehand, and nothing is stored."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from fake_sglang.asking import start
from fake_sglang.process import fake_sglang
from support import commands, tiny_pdf

from ktclient import submit_long
from server_bundle import package_data


def check(command: list[str], path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return commands.ran([*command, "check", str(path), *options])


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "long.txt"
    path.write_bytes(b"It was a dark and stormy night; the rain fell in torrents.\r\n" * 3_000)
    return path


def test_what_fits(
    tmp_path: Path, ktjob_home: Path, ktjob_command: list[str], document: Path
) -> None:
    """Counted exactly by the model's own vocabulary; the time by the guide's figures."""
    with fake_sglang(tmp_path) as server:
        told = check(ktjob_command, document, "--server", server.url)
        found = json.loads(check(ktjob_command, document, "--server", server.url, "--json").stdout)
        assert server.requests() == []
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("fits: ")
    assert "3,000 CR LF line endings" in told.stderr
    assert "estimated from the deployment guide's figures" in told.stderr
    assert (found["verdict"], found["exact"], found["timeout"]) == ("fits", True, 3600.0)
    assert found["facts"]["pool"] == 964_864
    assert not (ktjob_home / "ktjob.db").exists()


@pytest.mark.promise
def test_what_the_pool_cannot_hold(
    tmp_path: Path, ktjob_home: Path, ktjob_command: list[str], document: Path
) -> None:
    """Exit code 7, with the arithmetic; submit refuses it for the same reason."""
    with fake_sglang(tmp_path, "--pool", "20000") as server:
        never = ("--server", server.url, "--split", "never")
        told = check(ktjob_command, document, *never)
        command = [*ktjob_command, "submit", str(document), *never]
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (told.returncode, refused.returncode) == (7, 7)
    assert told.stdout.startswith("does not fit: ")
    assert "KV pool is 20,000" in told.stderr
    assert "KV pool is 20,000" in refused.stderr


def test_a_timeout_that_is_too_short_is_questioned(
    tmp_path: Path, ktjob_home: Path, ktjob_command: list[str], document: Path
) -> None:
    """With the number that would do."""
    with fake_sglang(tmp_path) as server:
        told = check(ktjob_command, document, "--server", server.url, "--timeout", "5")
    assert "use --timeout 3600" in told.stderr


def test_no_server(ktjob_home: Path, ktjob_command: list[str], document: Path) -> None:
    """Exit code 6."""
    assert check(ktjob_command, document, "--server", "http://127.0.0.1:9").returncode == 6


@pytest.mark.promise
def test_a_server_that_serves_others_is_told(
    tmp_path: Path, ktjob_home: Path, ktjob_command: list[str], document: Path
) -> None:
    """The time is for an idle one; an idle one is not called busy."""
    slow = ("--rate", "1000", "--chunk", "64", "--tokens-per-char", "1000")
    with fake_sglang(tmp_path, *slow) as server:
        idle = check(ktjob_command, document, "--server", server.url, "--json")
        with closing(start(server)):
            told = check(ktjob_command, document, "--server", server.url)
    ahead = json.loads(idle.stdout)["ahead"]
    assert (ahead["is_busy"], ahead["running"], ahead["waiting"]) == (False, 0, 0)
    assert "server busy" in told.stderr and "assumes an idle server" in told.stderr


def test_the_jobs_of_ones_own_are_told(
    tmp_path: Path,
    ktjob_home: Path,
    ktjob_command: list[str],
    document: Path,
    until: Callable[..., object],
) -> None:
    """And not called others'; nor is the server asked, which they keep busy."""
    with fake_sglang(tmp_path, "--rate", "1000", "--chunk", "64") as server:
        job = submit_long(document, server=server.url)
        until(lambda: job.status().phase == "prefill")
        before = len(server.events("asked", path="/server_info"))
        told = check(ktjob_command, document, "--server", server.url)
        assert len(server.events("asked", path="/server_info")) == before
        job.cancel()
        job.wait()
    assert "1 of your jobs is running there" in told.stderr and job.id in told.stderr
    assert "server busy" not in told.stderr
    assert "KV pool is 964,864" in told.stderr, "remembered by its worker"


def test_what_was_read_in_which_encoding_and_what_was_cleaned_is_said(
    tmp_path: Path, ktjob_command: list[str]
) -> None:
    """Guessed, declared, cleaned; and what is not sure is refused with what it may be."""
    greek = tmp_path / "greek.txt"
    prose = package_data.read(Path(__file__).parents[1] / "data/texts/prose.toml")
    greek.write_bytes(prose["Greek"]["text"].encode("cp1253"))
    page = tmp_path / "page.xml"
    page.write_bytes('<?xml version="1.0" encoding="koi8-r"?><a>Паром</a>'.encode("koi8-r"))
    report = tmp_path / "report.pdf"
    lines = ["A self-", "hosted server in the ware-", "house."]
    report.write_bytes(tiny_pdf.of_pages([lines]))
    short = tmp_path / "short.txt"
    short.write_bytes("žluťoučký\n".encode("cp1250"))
    with fake_sglang(tmp_path) as server:
        said = {
            path.name: check(ktjob_command, path, "--server", server.url).stderr
            for path in (greek, page, report, short)
        }
    assert "read as    CP1253 (a guess); --encoding NAME overrides" in said["greek.txt"]
    assert "read as    KOI8-R (as it declares); --encoding" in said["page.xml"]
    assert "2 line-end hyphens resolved; --raw keeps them" in said["report.pdf"]
    assert "It may be CP1250 (“žluťoučký”)" in said["short.txt"]


def test_what_is_split_is_said_with_the_tokens_of_its_parts(
    tmp_path: Path, ktjob_home: Path, ktjob_command: list[str]
) -> None:
    """Letters of genes are half a token each, twice of what their number lets expect. A document
    that is hopelessly long is not counted whole, but the plan to split it has counted it."""
    from ktclient.tokens import bundled
    from ktclient.tokens.counter import Counter

    letters = random.Random(1)
    lines = ("".join(letters.choices("ACGT", k=60)) for _ in range(2_000))
    path = tmp_path / "genes.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    tokens = Counter(bundled.deepseek_v4()).count(path.read_text())
    with fake_sglang(tmp_path, "--window", "8192") as server:
        options = ("--server", server.url, "--max-tokens", "500", "--json")
        found = json.loads(check(ktjob_command, path, *options).stdout)
    assert found["split"] is not None and found["by"] == "counted in parts"
    assert not found["exact"] and abs(found["tokens"] - tokens) < tokens * 0.1
    assert f"{found['tokens']:,}" in found["reason"]
