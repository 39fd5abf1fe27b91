"""Which server is chosen: where its name comes from, and what is said of a name that is unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from ktclient.config import settings as config
from ktclient.config.settings import Settings
from ktclient.errors import HostUnknown
from ktclient.servers import probe, selection
from ktclient.servers.dialects.dialect import ServerFacts

URL = "http://192.0.2.1:1"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of an empty configuration, where every address answers, and no host name resolves."""

    def answer(
        url: str, api_key: str | None, model: str | None = None, seen: str | None = None
    ) -> ServerFacts:
        if url != URL:
            raise HostUnknown("host not found.")
        return ServerFacts(url, "sglang", "m", 8_192)

    monkeypatch.setattr(probe, "probe", answer)
    return config.load({"KTJOB_CONFIG": str(tmp_path), "KTJOB_HOME": str(tmp_path)})


def configured(folder: Path, text: str, **environ: str) -> Settings:
    (folder / "config.toml").write_text(text)
    return config.load({"KTJOB_CONFIG": str(folder), "KTJOB_HOME": str(folder), **environ})


def test_the_setting_that_named_the_server_is_named(settings: Settings, tmp_path: Path) -> None:
    """The option goes before the variable, and the variable before the file."""
    assert selection.choose(settings, URL, None).why == "set with --server"
    text = f'[server]\nurl = "{URL}"\n'
    assert selection.choose(configured(tmp_path, text), None, None).why == "set in config.toml"
    chosen = selection.choose(settings, URL, None, None, "as in job k3v9")
    assert chosen.why == "as in job k3v9"
    by_variable = configured(tmp_path, text, KTJOB_SERVER=URL)
    assert selection.choose(by_variable, None, None).why == "set by KTJOB_SERVER"
    assert selection.choose(by_variable, URL, None).why == "set with --server"


@pytest.mark.parametrize("name", ["nope", "gpu-1"])
def test_a_mistyped_name_is_perhaps_a_servers(
    settings: Settings, tmp_path: Path, name: str
) -> None:
    """Also if the configuration names no server; then the message says how to add one."""
    with pytest.raises(HostUnknown) as refused:
        selection.choose(settings, name, None)
    said = str(refused.value)
    assert f"If {name} is the name of a server" in said and "ktjob config edit" in said
    known = configured(tmp_path, f'[servers.near]\nurl = "{URL}"\n')
    with pytest.raises(HostUnknown, match=r"Servers in config\.toml: near$"):
        selection.choose(known, name, None)


def test_a_url_is_no_servers_name(settings: Settings) -> None:
    """Its host is unknown, and that is all."""
    for url in ("http://nope", "nope:1", "nope.example"):
        with pytest.raises(HostUnknown, match=r"^host not found\.$"):
            selection.choose(settings, url, None)
