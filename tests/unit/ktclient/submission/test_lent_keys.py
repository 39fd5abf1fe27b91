"""Keys that were lent: one that is not there, and one that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.store.state_dir import StateDir
from ktclient.config import settings as config
from ktclient.errors import BadSetting
from ktclient.submission import lent_keys

SERVER = "http://x:1"


def test_one_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    """The request would be sent without it, and refused."""
    state = StateDir(tmp_path / "state").create()
    assert lent_keys.of(state, SERVER) is None
    environ = {"KTJOB_HOME": str(state.root), "KTJOB_CONFIG": str(tmp_path), "KTJOB_API_KEY": "k"}
    with lent_keys.lending(config.load(environ), SERVER):
        assert lent_keys.of(state, SERVER) == "k"
    (file,) = state.lent_keys.glob("*.key")
    file.unlink()
    file.mkdir()
    with pytest.raises(BadSetting, match="cannot be read"):
        lent_keys.of(state, SERVER)
