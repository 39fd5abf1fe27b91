"""The real sglang-kt with a key as `ktserver plan` gives it one."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from conformance.conftest import KEY, Servers
from ktclient.errors import Unauthorized
from ktclient.servers import probe


def command_lines() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_text(errors="replace"))
    return found


@pytest.mark.real_sglang
def test_the_key_is_asked_for_and_shown_nowhere(servers: Servers) -> None:
    """Not in the log, where sglang prints its settings, and in no process list."""
    server = servers.get("real")
    with pytest.raises(Unauthorized):
        probe.probe(server.facts.url, "another")
    log = (servers.folder("real") / "sglang.log").read_text()
    assert "api_key='***'" in log
    assert KEY not in log
    sglangs = [one for one in command_lines() if "sglang_entry" in one or "sglang::" in one]
    assert len(sglangs) >= 2
    assert not any(KEY in one for one in sglangs)
