"""`ktserver install` cut, killed, stopped, without room, and twice: the next run continues."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import installing, small_disk, wheel_index
from support.installing import Bench
from support.patience import HANG_SECONDS

from jobs.processes import identity
from server_bundle.install import run
from server_bundle.plan import installation

Until = Callable[..., object]
HELD = 700_000
"""Bytes of torch's wheel after which it is certainly in its middle: half of it is 750,000."""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with installing.bench(tmp_path, monkeypatch) as bench:
        monkeypatch.setenv("PIP_INDEX_URL", bench.index.url)
        yield bench


def torch_of(bench: Bench) -> str:
    return next(one.file for one in bench.wheels if one.name == "torch")


@pytest.mark.promise
def test_cut_and_killed_it_continues_and_fetches_no_byte_twice(bench: Bench, until: Until) -> None:
    """A cut connection is continued by itself, a killed process by the same command; in between the
    environment is refused. What arrives twice is what no disk had yet."""
    torch = torch_of(bench)
    bench.index.cut_after[torch] = 200_000
    held = bench.index.hold_in_the_middle(torch)
    command = bench.begin()
    part = bench.layout.wheels / f"{torch}.part"
    until(lambda: part.exists() and part.stat().st_size >= 200_000)
    del bench.index.cut_after[torch]
    wheel_index.until_sent(bench.index, torch, HELD, HANG_SECONDS)
    until(lambda: part.stat().st_size == bench.index.sent[torch])
    kept = part.stat().st_size
    bench.kill()
    assert command.process.wait() == 1
    assert "was killed" in (words := command.said)
    assert "Run it again to continue: ktserver install --lock" in words and "trying again" in words

    python = str(bench.folder / "bin" / "python")
    refused = bench.ktserver("up", "--model", ".", "--python", python, code=2).stderr
    assert "is not complete" in refused and "ktserver install" in refused
    assert "incomplete" in bench.run("--list", lock=False).stdout

    bench.index.release(torch, held)
    sent = dict(bench.index.sent)
    done = bench.run()
    assert "have arrived before" in done.stderr
    others = [one.file for one in bench.wheels if one.file != torch]
    assert all(bench.index.sent[one] == sent[one] for one in others)
    ranges = [asked for path, asked in bench.index.asked if path.endswith(torch)]
    assert ranges == ["", "bytes=200000-", f"bytes={kept}-"]
    assert Path(python).exists() and str(python) in done.stdout


def test_killed_while_it_installs_the_environment_is_made_anew(bench: Bench, until: Until) -> None:
    """From the wheels that are there: nothing is fetched again. A package that was half written
    does not stay."""
    command = bench.begin("--installer", "pip")
    until(lambda: (seen := bench.layout.record.read()) and seen.phase == run.INSTALLING)
    until(lambda: (bench.folder / "pyvenv.cfg").exists())
    bench.kill()
    assert command.process.wait() == 1
    made = installation.of_folder(bench.folder)
    assert made is not None and made.state == installation.INCOMPLETE
    site = next(iter(bench.folder.glob("lib/python3*")), bench.folder / "lib")
    (site / "half.py").write_text("half")
    sent = dict(bench.index.sent)
    bench.run("--installer", "pip")
    assert bench.index.sent == sent and not (site / "half.py").exists()


@pytest.mark.promise
def test_two_at_once_are_one_and_ctrl_c_only_detaches(bench: Bench, until: Until) -> None:
    """The second command follows the first one's process; --stop ends it, and keeps what came."""
    torch = torch_of(bench)
    held = bench.index.hold_in_the_middle(torch)
    first = bench.begin()
    wheel_index.until_sent(bench.index, torch, HELD, HANG_SECONDS)
    second = bench.begin()
    until(lambda: "being installed already" in second.said)
    running = identity.holder(bench.layout.lock)
    assert running is not None
    other = bench.run("--venv", str(bench.folder), lock=bench.other_lock(), code=1).stderr
    assert "holds sglang-kt 0.7.2" in other
    first.process.send_signal(signal.SIGINT)
    assert first.process.wait() == 130 and "the installation continues" in first.said
    assert identity.holder(bench.layout.lock) == running
    assert "fetching" in bench.run("--status", lock=False).stdout
    assert "being installed now" in bench.run("--remove", "sglang-kt", lock=False, code=1).stderr
    assert "stopped" in bench.run("--stop", lock=False).stderr
    assert second.process.wait() == 1 and "was stopped" in second.said
    assert len([one for one, asked in bench.index.asked if one.endswith(torch)]) == 1
    bench.index.release(torch, held)
    bench.run("--remove", "sglang-kt", lock=False)
    assert not bench.folder.exists()


@pytest.mark.mount
def test_a_full_disk_is_named_and_what_came_is_kept(bench: Bench, tmp_path: Path) -> None:
    """Space that another program took after the check. With room again, it continues."""
    with small_disk.mounted(tmp_path / "disk", mib=400) as disk:
        place = tmp_path / "disk" / "env"
        disk.fill(1_200)  # KiB: less than the wheels have
        words = bench.run("--venv", str(place), code=1).stderr
        assert "free at" in words and "nothing was fetched" in words and not place.exists()
        words = bench.run("--venv", str(place), "--no-check", code=1).stderr
        assert "disk is full" in words and "run the same command again" in words
        disk.free()
        sent = dict(bench.index.sent)
        done = bench.run("--venv", str(place))
        assert done.stdout.strip() == str(place / "bin" / "python")
        assert sum(bench.index.sent.values()) < sum(sent.values()) + 2_000_000
        assert os.path.exists(done.stdout.strip())
        bench.run("--remove", "--venv", str(place), lock=False)
