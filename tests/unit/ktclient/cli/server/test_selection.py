"""Facts about a server, as `status` and READY print them."""

from __future__ import annotations

import pytest

from jobs.processes import identity
from ktclient.cli.server import selection
from server_bundle.launch.server_state import ServerState


def test_what_ktransformers_took_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the pool, with the plan's figure; the numbers of the recording on one H200."""
    figures = {"pool": 964_864.0, "window": 960_512.0, "available": 131.88}
    server = ServerState(
        name="p",
        profile="p",
        engine="sglang-kt",
        version="0.7.2",
        model="m",
        url="http://127.0.0.1:1",
        context=960_512,
        planned_pool=964_864,
        restart="no",
        log="/nowhere/server.log",
        keeper=identity.mine(),
        figures={**figures, "reserved": 3.47, "slots": 3.47, "staging": 32.0},
        planned_reserved=3.4688,
    )
    selection.show(server)
    told = capsys.readouterr().err
    assert "pool     max_total_num_tokens=964,864, planned 964,864; context 960,512" in told
    assert (
        "experts  3.47 GiB reserved for prefill of whole layers, as planned; 3.47 GiB allocated; "
        "staging buffer 32 MiB" in told
    )
