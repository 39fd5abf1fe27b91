"""The servers of the page: which, and what ktjob itself runs there."""

from __future__ import annotations

from support.page_jobs import SERVER, put

from jobs.processes import identity
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.config import settings as config
from ktclient.gateway.page import servers
from ktclient.gateway.page.servers import Ours


def test_configured_servers_and_those_of_open_jobs_are_shown(state: StateDir) -> None:
    """Each once, with its name where it has one; one that does not answer is shown too."""
    text = f'[servers.small]\nurl = "{SERVER}/v1"\n[servers.none]\nurl = "http://127.0.0.1:1"\n'
    settings = config.load({"KTJOB_HOME": str(state.root), "KTJOB_SERVER": "none"}, text=text)
    with HttpStore.open(state) as store:
        first, *_ = put(store, "one", "two", "three")
        put(store, "four", server="http://127.0.0.1:2")
        store.claim(first.id, identity.mine())
        own = servers.ours(store)
    assert own[SERVER] == Ours(running=1, waiting=2, reserved=1, pool=None)
    found = {one["url"]: one for one in servers.read(settings, own)}
    assert set(found) == {SERVER, "http://127.0.0.1:1", "http://127.0.0.1:2"}
    assert found[SERVER]["name"] == "small"
    assert found[SERVER]["load"]["is_up"] is False  # type: ignore[index]


def test_the_embedded_server_is_not_asked(state: StateDir) -> None:
    """It is started when it is needed."""
    settings = config.load({"KTJOB_HOME": str(state.root), "KTJOB_SERVER": "embedded"}, text="")
    (found,) = servers.read(settings, {})
    assert (found["url"], found["load"]) == ("embedded", None)
