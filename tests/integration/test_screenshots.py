"""The pictures in the docs can be made again, from what the commands really print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

PICTURES = Path(__file__).parents[2] / "docs" / "screenshots"


def words_of(picture: Path) -> str:
    text = "".join(ElementTree.parse(picture).getroot().itertext())
    return re.sub(r"[\s\xa0]+", " ", text)


@pytest.mark.long
def test_all_are_made_again(tmp_path: Path) -> None:
    """The same ones, each with what it is there to show."""
    script = [sys.executable, str(PICTURES / "make.py"), str(tmp_path)]
    subprocess.run(script, check=True)
    made = {path.name: words_of(path) for path in tmp_path.glob("*.svg")}
    assert set(made) == {path.name for path in PICTURES.glob("*.svg")}
    for name, words in {
        "check.svg": ("ktjob check", "tokens"),
        "submit.svg": ("ktjob submit", "next ktjob", "ktjob wait"),
        "status.svg": ("RUNNING", "QUEUED", "SUCCEEDED", "FAILED", "█", "behind", "ferry"),
        "list.svg": ("FOUND", "a broken shaft"),
        "show.svg": ("attempt", "next", "stream_cut"),
    }.items():
        assert all(word in made[name] for word in words), (name, made[name])
