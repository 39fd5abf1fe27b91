"""When a command on another machine is tried again, and when no more."""

from __future__ import annotations

import pytest

from ktclient.errors import HostTrouble
from ktclient.remote import call
from ktclient.remote.ssh import Host

pytestmark = pytest.mark.each_python


def test_a_machine_that_greets_and_breaks_for_ever_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each greeting alone makes it worth another try."""
    monkeypatch.setattr(call.time, "sleep", lambda seconds: None)
    trying = call._Trying(call.Call(Host("gpu1", "gpu1", None, ("ssh",)), ["status"]))
    for _ in range(call.MOST_CUTS - 1):
        trying.met()
        trying.was_cut("the stream ended")
    trying.met()
    with pytest.raises(HostTrouble, match="gpu1 cannot be reached"):
        trying.was_cut("the stream ended")
