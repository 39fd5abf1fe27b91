"""Files that a server has named: regular ones of a sane size are read, and nothing waits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ktclient.tokens import model_file


def test_a_regular_file_is_read_through_links(tmp_path: Path) -> None:
    """As in the cache of huggingface_hub, whose files are links."""
    (tmp_path / "blob").write_bytes(b"content")
    (tmp_path / "tokenizer.json").symlink_to("blob")
    assert model_file.read(tmp_path / "tokenizer.json", 7) == b"content"
    with pytest.raises(OSError, match="more than 6"):
        model_file.read(tmp_path / "tokenizer.json", 6)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/tty", "/dev/null", "/", "/dev/stdin"])
def test_what_is_no_file_is_refused(path: str) -> None:
    with pytest.raises(OSError, match=r"regular|No such|address"):
        model_file.read(Path(path), 100)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="regular"):
        model_file.read(tmp_path / "pipe", 100)


def test_a_file_that_states_no_size_is_bounded_too() -> None:
    with pytest.raises(OSError, match="more than 10 bytes"):
        model_file.read(Path("/proc/self/status"), 10)
