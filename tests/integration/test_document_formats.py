"""What a document holds besides its text is said before it is sent, and kept with the job."""

from __future__ import annotations

import base64
import json
import random
import subprocess
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang

PICTURE = base64.b64encode(random.Random(3).randbytes(30_000)).decode()
NOTEBOOK = {
    "nbformat": 4,
    "cells": [
        {
            "cell_type": "code",
            "source": "plot(tides)",
            "outputs": [{"output_type": "display_data", "data": {"image/png": PICTURE}}],
        }
    ],
}


def run(command: list[str], server: FakeServer, *args: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*command, *args, "--server", server.url], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.promise
def test_base64_is_said_with_its_share_before_it_is_sent(
    tmp_path: Path, ktjob_home: Path, ktjob_command: list[str]
) -> None:
    """By `check` and by `submit`, and `show` says it again; a notebook has none to send."""
    page = tmp_path / "notes.md"
    page.write_text(f"# Notes\n\nHigh tide.\n\n![map](data:image/png;base64,{PICTURE})\n")
    book = tmp_path / "tides.ipynb"
    book.write_text(json.dumps(NOTEBOOK))
    with fake_sglang(tmp_path) as server:
        for command in ("check", "submit"):
            told = run(ktjob_command, server, command, str(page)).stderr
            assert "99% of it is base64 (40,000 characters)" in told
        read = run(ktjob_command, server, "submit", str(book), "--wait")
        (_, sent) = server.requests()[-2:]
    assert "read as    notebook, 1 cell, without 1 picture, by ktjob" in read.stderr
    assert "base64" not in read.stderr and "iVBOR" not in json.dumps(sent)
    assert "plot(tides)" in json.dumps(sent)
    job_id = read.stderr.partition("job ")[2].split()[0].rstrip(":")
    shown = subprocess.run([*ktjob_command, "show", job_id], capture_output=True, text=True)
    assert "read as notebook, 1 cell, without 1 picture, by ktjob" in shown.stdout
    as_json = subprocess.run(
        [*ktjob_command, "show", job_id, "--json"], capture_output=True, text=True
    )
    assert json.loads(as_json.stdout)["remarks"] == [
        "read as notebook, 1 cell, without 1 picture, by ktjob"
    ]
