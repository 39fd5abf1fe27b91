"""Which server and model a name means."""

from __future__ import annotations

from pathlib import Path

import pytest

from ktclient.config import settings as config
from ktclient.errors import BadSetting
from ktclient.gateway.models import Models
from ktclient.gateway.routing import model_names

CONFIG = """
[server]
url = "http://127.0.0.1:1"
[servers.big]
url = "http://127.0.0.1:2"
"""


class Known(Models):
    """What servers list is known."""

    def server_of(self, settings: config.Settings, model: str | None) -> str | None:
        return {"org/model": "big", "big/of-its-own": "big"}.get(model or "")


@pytest.mark.parametrize(
    ("name", "server", "model"),
    [
        (None, None, None),
        ("", None, None),
        ("default", None, None),
        ("big", "big", None),
        ("embedded", "embedded", None),
        ("org/model", "big", "org/model"),
        ("big/model", "big", "model"),
        ("big/of-its-own", "big", "big/of-its-own"),
        ("default/model", None, "model"),
        ("unheard/of", None, "unheard/of"),
        ("any", "any", None),
        ("any/model", "any", "model"),
    ],
)
def test_a_name_means_one_server(
    tmp_path: Path, name: str | None, server: str | None, model: str | None
) -> None:
    settings = config.load({"HOME": str(tmp_path), "KTJOB_CONFIG": str(tmp_path)}, CONFIG)
    assert model_names.route(Known(), settings, name) == (server, model)


@pytest.mark.parametrize(
    ("name", "server", "model"),
    [
        (None, "any", None),
        ("default", "any", None),
        ("default/model", "any", "model"),
        ("big", "big", None),
        ("big/model", "big", "model"),
        ("org/model", "any", "org/model"),
        ("unheard/of", "any", "unheard/of"),
    ],
)
def test_where_any_server_is_the_default_only_a_servers_name_binds_to_one(
    tmp_path: Path, name: str | None, server: str, model: str | None
) -> None:
    environment = {"HOME": str(tmp_path), "KTJOB_CONFIG": str(tmp_path), "KTJOB_SERVER": "any"}
    settings = config.load(environment, CONFIG)
    assert model_names.route(Known(), settings, name) == (server, model)
    text = CONFIG.replace("http://127.0.0.1:1", "any")
    assert config.load({**environment, "KTJOB_SERVER": ""}, text).is_any
    with pytest.raises(BadSetting, match="move the other settings"):
        config.load(environment, text.replace('"any"', '"any"\nparallel = 2'))
