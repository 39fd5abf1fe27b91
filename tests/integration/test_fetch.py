"""`ktserver fetch` with the hubs' real libraries, against a hub on loopback."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.fetching import REPO, WEIGHTS, Fetcher, fetcher
from support.model_hub import Fault, Repo
from support.output_schema import strict
from support.patience import HANG_SECONDS

from server_bundle.doctor.facts import fetched

CONTENT = os.urandom(3_000_000)
FILES = {
    "config.json": b'{"architectures": ["Tiny"]}',
    "tokenizer.json": b"{}",
    "code/model.py": b"pass\n",
    WEIGHTS: CONTENT,
    "pytorch_model.bin": CONTENT,
    "logo.png": b"png",
}
WANTED = ("config.json", "tokenizer.json", "code/model.py", WEIGHTS)
SLACK = 200_000
"""Bytes on their way when a connection is cut: the client's block and buffers."""


@pytest.fixture
def fetch(tmp_path: Path, ktjob_home: Path) -> Iterator[Fetcher]:
    with fetcher(tmp_path, FILES) as one:
        yield one


def assert_whole(fetch: Fetcher, files: dict[str, bytes] | None = None) -> None:
    """Every wanted file has its content, and nothing else is there."""
    expected = files or {path: FILES[path] for path in WANTED}
    there = {
        str(path.relative_to(fetch.to)): path.read_bytes()
        for path in fetch.to.rglob("*")
        if path.is_file() and fetched.FOLDER not in path.parts
    }
    assert there == expected
    record = fetched.read(fetch.to)
    assert record is not None and record.unchecked == [] and record.checked_at
    assert not (fetch.to / fetched.FOLDER / "partial").exists()


@pytest.mark.promise
def test_a_new_user_fetches_a_model(fetch: Fetcher) -> None:
    """What is needed is said first; then only what engines read comes; then the next commands."""
    dry = fetch.into("--dry-run")
    assert dry.stdout == "" and not fetch.to.exists()
    commit = fetch.hub.repos[REPO].revisions["main"]
    for words in (
        f"{REPO} on Hugging Face, revision main at {commit[:12]}",
        "4 files, 3.0 MB",
        "the same weights as PyTorch, beside safetensors (pytorch_model.bin)",
        "not read by inference engines (logo.png)",
        "GB needed",
        "no profile of ktserver is made for this model",
    ):
        assert words in dry.stderr
    done = fetch.into()
    assert done.stdout == f"{fetch.to}\n"
    assert f"ktserver up --profile generic-sglang --model {fetch.to}" in done.stderr
    assert_whole(fetch)
    assert fetch.hub.sent["pytorch_model.bin"] == 0
    # Nothing is asked or read again, also without a network.
    asked = len(fetch.hub.asked)
    fetch.environment |= {"HF_HUB_OFFLINE": "1"}
    again = json.loads(fetch.into("--json").stdout)
    strict("fetch").validate(again)
    assert (again["whole"], again["missing_bytes"], again["commit"]) == (True, 0, commit)
    assert len(fetch.hub.asked) == asked


@pytest.mark.promise
def test_cut_connections_cost_nothing_twice(fetch: Fetcher) -> None:
    """Cut in mid-file, busy, limited: it continues by itself, from the byte where it was."""
    fetch.hub.fail(
        WEIGHTS,
        Fault(after=1_000_000),
        Fault(status=503),
        Fault(status=429, retry_after="1"),
        Fault(after=1_000_000),
    )
    done = fetch.into()
    assert_whole(fetch)
    assert len(CONTENT) <= fetch.hub.sent[WEIGHTS] <= len(CONTENT) + 2 * SLACK
    assert "trying again in" in done.stderr and "HTTP 503" in done.stderr
    ranges = [one[2] for one in fetch.hub.asked if one[1].startswith("/cdn/")]
    assert sum(bool(one) for one in ranges) >= 3


def test_a_silent_server_is_left_after_a_while(fetch: Fetcher) -> None:
    """The library's own limit of silence counts (HF_HUB_DOWNLOAD_TIMEOUT)."""
    import threading

    held = threading.Event()
    fetch.hub.fail(WEIGHTS, Fault(after=500_000, hold=held))
    fetch.environment["HF_HUB_DOWNLOAD_TIMEOUT"] = "3"
    fetch.into()
    held.set()
    assert_whole(fetch)
    assert fetch.hub.sent[WEIGHTS] <= len(CONTENT) + SLACK


@pytest.mark.promise
def test_wrong_bytes_are_never_kept(fetch: Fetcher) -> None:
    """One byte differs: fetched once more; differs again: an error that names the file. The
    library would keep it, because the size is right."""

    def change(content: bytes) -> bytes:
        return content[:-1] + bytes([content[-1] ^ 1])

    fetch.hub.fail(WEIGHTS, Fault(change=change))
    assert "wrong checksum; fetching it again" in fetch.into().stderr
    assert_whole(fetch)
    # A damaged disk: the same size, time and inode.
    target = fetch.to / WEIGHTS
    times = target.stat()
    with target.open("r+b") as file:
        file.write(b"\0\0\0\0")
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
    fetch.into()  # by its stamp it is whole
    assert "is damaged (wrong checksum); fetching it again" in fetch.into("--verify").stderr
    assert_whole(fetch)
    # Small files are compared too, and what was changed by a person stays.
    (fetch.to / "config.json").write_bytes(FILES["config.json"].replace(b"Tiny", b"Mine"))
    refused = fetch.into(code=1)
    assert "config.json differs from the file on the hub" in refused.stderr
    assert b"Mine" in (fetch.to / "config.json").read_bytes()
    fetch.into("--force")
    assert_whole(fetch)
    target.unlink()
    fetch.hub.fail(WEIGHTS, *(Fault(change=change) for _ in range(2)))
    failed = fetch.into(code=1)
    assert f"{WEIGHTS} arrived 2 times with a wrong checksum" in failed.stderr
    assert not target.exists()


def test_a_revision_that_moves_cannot_mix_two_versions(fetch: Fetcher) -> None:
    """The commit of the first run is kept; --update changes to the new one, and keeps what is the
    same."""
    old = fetch.hub.repos[REPO].revisions["main"]
    fetch.hub.fail(WEIGHTS, Fault(after=1_000_000), *(Fault(status=503) for _ in range(9)))
    gone = fetch.into("--retry-for", "2", code=1)
    assert "What has arrived is kept" in gone.stderr
    fetch.hub.faults.clear()
    new_files = {**FILES, "config.json": b'{"architectures": ["Newer"]}'}
    del new_files["tokenizer.json"]
    new = fetch.hub.repos[REPO].commit(new_files)
    assert old[:12] in fetch.into().stderr
    assert_whole(fetch)
    assert fetch.hub.sent[WEIGHTS] <= len(CONTENT) + SLACK
    assert new[:12] in fetch.into("--update").stderr
    assert_whole(fetch, {path: new_files[path] for path in WANTED if path in new_files})
    assert fetch.hub.sent[WEIGHTS] <= len(CONTENT) + SLACK
    assert "holds org/Tiny-1B at" in fetch(f"{REPO}@other", "--to", str(fetch.to), code=2).stderr
    assert "has no revision 'other'" in fetch(f"{REPO}@other", code=1).stderr


def test_who_may_not_read_learns_what_to_do(fetch: Fetcher) -> None:
    """Gated, private, unknown: each with its next step; the token is in no output and goes to the
    hub alone, not to the storage that it redirects to."""
    fetch.hub.repos["org/Gated"] = Repo(access="gated")
    fetch.hub.repos["org/Gated"].commit(FILES)
    gated = fetch("org/Gated", "--retry-for", "5", code=1).stderr
    assert f"accept its licence at {fetch.hub.url}/org/Gated" in gated and "HF_TOKEN" in gated
    unknown = fetch("org/Tiny-1", code=1).stderr
    assert "there is no model org/Tiny-1" in unknown and f"Did you mean {REPO}?" in unknown
    fetch.environment["HF_TOKEN"] = "hf_" + "w" * 30
    refused = fetch("org/Gated", "--retry-for", "5", code=1).stderr
    assert "your token's account has no access (HTTP 403)" in refused
    assert fetch.environment["HF_TOKEN"] not in refused
    fetch.environment["HF_TOKEN"] = fetch.hub.token
    fetch("org/Gated", "--to", str(fetch.to))
    assert_whole(fetch)
    given = {one[1].startswith("/cdn/"): one[3] for one in fetch.hub.asked if one[3]}
    assert given == {False: f"Bearer {fetch.hub.token}"}
    kept = [path for path in (*fetch.to.rglob("*"), *fetch.folder.glob("state/**/*"))]
    texts = [path.read_bytes() for path in kept if path.is_file()]
    assert texts and not any(fetch.hub.token.encode() in one for one in texts)


def test_modelscope_by_its_own_library(fetch: Fetcher) -> None:
    """The same promises on its wire: resumed inside of a file, checked, pinned by checksums."""
    fetch.hub.repos[REPO].commit(FILES, "master")
    fetch.hub.fail(WEIGHTS, Fault(after=1_000_000), Fault(status=503))
    model = f"modelscope:{REPO}"
    done = fetch(model, "--to", str(fetch.to))
    assert "on ModelScope, revision master" in done.stderr
    assert_whole(fetch)
    assert fetch.hub.sent[WEIGHTS] <= len(CONTENT) + SLACK
    other = fetch.into(code=2).stderr
    assert f"holds {REPO} from ModelScope, not {REPO} from Hugging Face" in other
    assert "there is no model" in fetch("modelscope:org/None", code=1).stderr
    fetch.hub.repos["org/Private"] = Repo(access="private")
    fetch.hub.repos["org/Private"].commit(FILES, "master")
    assert "MODELSCOPE_API_TOKEN" in fetch("modelscope:org/Private", code=1).stderr
    fetch.environment["MODELSCOPE_API_TOKEN"] = fetch.hub.token
    fetch("modelscope:org/Private", "--include", "*.json", "--to", str(fetch.folder / "p"))
    assert (fetch.folder / "p" / "config.json").read_bytes() == FILES["config.json"]


def test_names_that_lead_out_of_the_folder_are_refused(fetch: Fetcher) -> None:
    """In the repository and on disk."""
    for path in ("../outside.json", "/tmp/outside.json", "a/../../outside.json", "a\\b.json"):
        fetch.hub.repos["org/Evil"] = Repo()
        fetch.hub.repos["org/Evil"].commit({**FILES, path: b"x"})
        refused = fetch("org/Evil", "--to", str(fetch.to), code=2)
        assert "may lead out of the folder" in refused.stderr
        assert not fetch.to.exists()
    fetch.to.mkdir()
    (fetch.folder / "outside").mkdir()
    (fetch.to / "code").symlink_to(fetch.folder / "outside")
    assert "is a symbolic link" in fetch.into(code=2).stderr
    assert list((fetch.folder / "outside").iterdir()) == []


def test_a_folder_that_holds_other_things(fetch: Fetcher) -> None:
    """Refused without --force; files of an earlier download are checked and kept."""
    fetch.to.mkdir()
    (fetch.to / "thesis.txt").write_text("mine")
    assert "holds other things (thesis.txt)" in fetch.into(code=2).stderr
    (fetch.to / "thesis.txt").unlink()
    (fetch.to / WEIGHTS).write_bytes(CONTENT)
    (fetch.to / ".cache").mkdir()
    assert "1 file here to be checked" in fetch.into().stderr
    assert_whole(fetch)
    assert fetch.hub.sent[WEIGHTS] == 0
    (fetch.to / "config.json").write_text("{}")
    assert "holds files that differ from the hub's: config.json" in fetch.into(code=2).stderr


def test_a_disk_that_is_too_small_ends_it_before(fetch: Fetcher) -> None:
    """By the size of the hub's list, with nothing fetched; the memory is judged too, as a
    warning."""
    huge = Repo()
    huge.sizes[WEIGHTS] = 10**16
    huge.commit({**FILES, "config.json": b'{"architectures": ["KimiK25ForConditionalGeneration"]}'})
    fetch.hub.repos["moonshotai/Kimi-K2.5"] = huge
    refused = fetch("--profile", "kimi-k2.5-4gpu", "--to", str(fetch.to), code=1).stderr
    assert "moonshotai/Kimi-K2.5 on Hugging Face" in refused
    assert "10,000,001 GB are needed" in refused and "--to" in refused
    assert "for the profile kimi-k2.5-4gpu, this machine is not enough yet" in refused
    assert "ERROR" not in refused
    assert not fetch.to.exists() and fetch.hub.sent[WEIGHTS] == 0
    found = json.loads(fetch("moonshotai/Kimi-K2.5", "--dry-run", "--json").stdout)
    strict("fetch").validate(found)
    assert found["profile"] == "kimi-k2.5-4gpu" and not found["whole"]
    assert {one["about"] for one in found["findings"]} >= {"gpus"}
    assert found["disk"]["needed"] > 10**16 > found["disk"]["free"]


@pytest.mark.promise
def test_a_folder_being_filled_is_not_started(fetch: Fetcher) -> None:
    """The doctor reads the record, so `up` refuses in a second what would fail after minutes."""
    import subprocess
    import sys

    fetch.hub.fail(WEIGHTS, *(Fault(status=503) for _ in range(9)))
    fetch.into("--retry-for", "1", "--connections", "1", code=1)  # the large file is the last
    main = "from ktclient.cli.ktserver import main; main()"
    command = [sys.executable, "-c", main, "doctor", "--json", "--model", str(fetch.to)]
    command += ["--profile", "generic-sglang"]
    done = subprocess.run(command, env=fetch.environment, capture_output=True, text=True)
    (found,) = [one for one in json.loads(done.stdout) if "unfinished" in one["found"]]
    assert found["severity"] == "error"
    assert "1 of 4 files" in found["found"]
    assert f"ktserver fetch {REPO} --to {fetch.to}" in found["cure"]


def test_ctrl_c_keeps_what_has_arrived(fetch: Fetcher, until: Callable[..., object]) -> None:
    """The same command continues; --status shows it as stopped."""
    import threading

    held = threading.Event()
    fetch.hub.fail(WEIGHTS, Fault(after=2_000_000, hold=held))
    running = fetch.start(REPO, "--to", str(fetch.to))
    until(lambda: fetch.partial_bytes() > 2_000_000 - SLACK)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=HANG_SECONDS)
    held.set()
    assert running.returncode == 130 and "what has arrived is kept" in errors
    (seen,) = json.loads(fetch("--status", "--json").stdout)
    strict("fetches").validate(seen)
    assert (seen["state"], seen["to"]) == ("stopped", str(fetch.to))
    fetch.into()
    assert_whole(fetch)
    assert fetch.hub.sent[WEIGHTS] <= len(CONTENT) + SLACK
    assert "finished" in fetch("--status").stdout
