"""`ktserver install` as it is typed: from a package index on this machine, by real uv and pip."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import installing, wheel_index
from support.installing import Bench
from support.output_schema import strict

from server_bundle.plan import installation


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with installing.bench(tmp_path, monkeypatch) as bench:
        yield bench


@pytest.mark.promise
def test_installed_by_uv_configured_used_and_removed(bench: Bench) -> None:
    """From --dry-run to --remove, as a new user types them."""
    bench.index.user = "me:a-secret-word"
    os.environ["PIP_INDEX_URL"] = bench.index.url.replace("//", "//me:a-secret-word@")
    dry = bench.run("--dry-run")
    for words in (
        "3, 2.0 MB to fetch",
        "torch 1.5 MB",
        bench.index.url,
        "pip's settings",
        "needed",
    ):
        assert words in dry.stdout, dry.stdout
    planned = json.loads(bench.run("--dry-run", "--json").stdout)
    strict("install").validate(planned)
    assert planned["state"] == "planned" and planned["total_bytes"] > 2_000_000
    assert not bench.folder.exists() and bench.index.sent == {}

    done = bench.run()
    python = Path(done.stdout.strip())
    assert python == bench.folder / "bin" / "python"
    assert "2.0 MB" in done.stderr and "a-secret-word" not in dry.stdout + done.stderr
    assert "interpreters.sglang-kt now" in done.stderr and "next: ktserver fetch" in done.stderr
    assert "python: sglang-kt 0.7.2" in done.stderr  # the doctor, on the new interpreter
    # These wheels have no engine in them: an import that fails is said, with what to do.
    assert "ERROR  imports: " in done.stderr and "No module named 'sglang'" in done.stderr
    assert "a server would not start yet" in done.stderr and "doctor --deep" in done.stderr
    said = subprocess.run([python, "-c", "import torch; print(torch.VERSION)"], capture_output=True)
    assert said.stdout == b"2.9.1\n"
    assert not (bench.folder / ".ktjob-install" / "wheels").exists()
    # No secret in a process's arguments, nor in what stays.
    for path in bench.folder.rglob("*"):
        if path.is_file() and path.stat().st_size < 100_000:
            assert b"a-secret-word" not in path.read_bytes(), path

    assert str(python) in bench.ktserver("plan", "--model", ".").stdout
    (row,) = json.loads(bench.run("--list", "--json", lock=False).stdout)
    strict("install").validate(row)
    assert (row["state"], row["python"], row["packages"]) == ("complete", str(python), 3)
    assert "sglang-kt==0.7.2" in bench.run("--list", lock=False).stdout
    assert "complete" in bench.run("--status", lock=False).stdout
    sent = dict(bench.index.sent)
    assert "installed already" in bench.run().stderr and bench.index.sent == sent

    next(bench.folder.rglob("noise.bin")).unlink()
    again = bench.run("--json")
    made = json.loads(again.stdout)
    strict("install").validate(made)
    assert "is damaged" in again.stderr and made["state"] == "complete"
    grave = [one for one in made["findings"] if one["severity"] == "error"]
    assert {one["about"] for one in grave} >= {"imports"} and all(one["cure"] for one in grave)
    removed = bench.run("--remove", "sglang-kt", lock=False).stderr
    assert "interpreters.sglang-kt was removed" in removed and not bench.folder.exists()


def test_installed_by_pip_from_a_folder_of_wheels(bench: Bench, tmp_path: Path) -> None:
    """Without any index, into a folder of the user's choice; the interpreter that was configured is
    named, and so is the way back."""
    os.environ.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(bench.index.folder))
    config = tmp_path / "config" / "config.toml"
    config.parent.mkdir()
    config.write_text('[interpreters]\nsglang-kt = "/old/bin/python"\n')
    done = bench.run("--installer", "pip", "--venv", "my place", "--detach")
    assert "in the background" in done.stderr
    folder = tmp_path / "my place"
    done = bench.run("--installer", "pip", "--venv", "my place")  # follows it, or finds it done
    assert done.stdout.strip() == str(folder / "bin" / "python")
    found = installation.of_folder(folder)
    assert found is not None and found.state == installation.COMPLETE
    assert str(folder) in bench.run("--list", lock=False).stdout
    status = bench.run("--status", lock=False).stdout
    assert "it was /old/bin/python" in status and "set interpreters.sglang-kt /old" in status
    assert bench.index.asked == []
    assert (
        "holds sglang-kt 0.7.2"
        in bench.run("--venv", "my place", lock=bench.other_lock(), code=1).stderr
    )


def test_what_cannot_be_is_refused_with_the_reason(bench: Bench, tmp_path: Path) -> None:
    """Before anything is fetched or made."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("cat")
    (tmp_path / "file").write_text("")
    refusals = (
        (("--venv", sys.prefix), "is the Python of ktjob itself"),
        (("--venv", "photos"), "was not made by `ktserver install`"),
        (("--venv", "file"), "is a file"),
        (("--python", "/bin/true"), "no Python that runs"),
    )
    for words, why in refusals:
        done = bench.run(*words, code=1)
        assert why in done.stderr, done.stderr
    assert "is for Python" in bench.run("--python", "3.1", code=2).stderr
    assert "Did you mean sglang-kt" in bench.run("sglang-tk", lock=False, code=2).stderr
    assert "there is no profile" in bench.run("--profile", "nothing", lock=False, code=2).stderr
    assert "ktjob[embedded]" in bench.run("--profile", "embedded", lock=False, code=2).stderr
    assert "no such installation" in bench.run("--status", lock=False, code=2).stderr
    assert "cannot be read" in _with_broken_settings(bench, tmp_path)
    too_new = bench.other_lock(glibc="9.99", instruction="avx1024")
    done = bench.run(lock=too_new, code=1)
    assert "GLIBC_9.99" in done.stderr and "lacks avx1024" in done.stderr
    assert "2 errors" in done.stderr
    done = bench.run(lock=bench.other_lock(unpacked=str(10**17)), code=1)
    assert "free at" in done.stderr and "needed" in done.stderr
    assert bench.index.asked == [] and not bench.folder.exists()


def _with_broken_settings(bench: Bench, tmp_path: Path) -> str:
    os.environ["PIP_CONFIG_FILE"] = str(tmp_path / "pip.conf")
    (tmp_path / "pip.conf").write_text("index-url = https://nowhere.example\n")
    try:
        return bench.run(code=1).stderr
    finally:
        os.environ["PIP_CONFIG_FILE"] = os.devnull


def test_an_index_that_has_it_not_or_asks_who_it_is(bench: Bench) -> None:
    """Which wheel, which index, and what to do."""
    os.environ["PIP_INDEX_URL"] = bench.index.url
    torch = next(one for one in bench.wheels if one.name == "torch")
    bench.index.user = "me:a-secret-word"
    assert "401" in (words := bench.run(code=1).stderr) and ".netrc" in words
    bench.index.user = ""
    away = bench.index.folder / torch.file
    away.rename(away.with_suffix(".away"))
    words = bench.run(code=1).stderr
    assert f"{torch.file} is not on {bench.index.url}" in words and "PIP_FIND_LINKS" in words
    away.with_suffix(".away").rename(away)
    wheel_index.make_wheel(bench.index.folder, "torch", "2.9.1", 40)
    assert "has another hash" in (words := bench.run(code=1).stderr) and torch.file in words


def test_a_file_with_another_hash_is_deleted(bench: Bench) -> None:
    """Of an index that does not say hashes, or says wrong ones: nothing of it is kept."""
    os.environ["PIP_INDEX_URL"] = bench.index.url
    torch = next(one for one in bench.wheels if one.name == "torch")
    bench.index.other_content[torch.file] = b"x" * torch.size
    words = bench.run(code=1).stderr
    assert "has not the hash of the lock file" in words
    assert torch.file in words and bench.index.url.removesuffix("/simple") in words
    left = {one.name for one in (bench.folder / ".ktjob-install" / "wheels").iterdir()}
    assert not any("torch" in name for name in left)
    assert (
        "not complete"
        in bench.ktserver(
            "plan", "--model", ".", "--python", str(bench.folder / "bin" / "python"), code=2
        ).stderr
    )
