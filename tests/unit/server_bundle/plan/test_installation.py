"""The note in an environment: whole or not, and whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from server_bundle.plan import installation
from server_bundle.plan.installation import Installation

MADE = Installation(
    "sglang-kt", "0.7.2", "3.12", "cuda", "incomplete", "/l.txt", "ab", "install sglang-kt"
)


def test_only_a_complete_environment_is_used(tmp_path: Path) -> None:
    """By the path of its interpreter, whose link is not followed."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to("/usr/bin/python3")
    assert installation.refusal(str(python)) is None
    installation.write(tmp_path, MADE)
    assert installation.of_folder(tmp_path) == MADE
    words = installation.refusal(str(python)) or ""
    assert "not complete" in words and "ktserver install sglang-kt" in words
    import dataclasses

    installation.write(tmp_path, dataclasses.replace(MADE, state="complete"))
    assert installation.refusal(str(python)) is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"engine": 7}', '{"engine": "sglang"}'])
def test_another_file_of_that_name_is_no_note(tmp_path: Path, text: str) -> None:
    (tmp_path / installation.MARKER).write_text(text)
    assert installation.of_folder(tmp_path) is None
