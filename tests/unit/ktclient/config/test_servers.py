"""Named servers: who is meant by a name, and that a key goes to its own server and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from ktclient.config import settings as config
from ktclient.errors import BadSetting

TWO = """
[server]
url = "http://home:1"
api_key_env = "HOME_KEY"
model = "small"

[servers.gpu1]
url = "https://gpu1.example/v1"
api_key_file = "gpu1.key"
model = "big"
parallel = 2

[servers.open]
url = "http://open:3"
"""


def load(folder: Path, text: str, **environ: str) -> config.Settings:
    (folder / "config.toml").write_text(text, encoding="utf-8")
    return config.load({"KTJOB_CONFIG": str(folder)} | environ)


@pytest.fixture
def two(tmp_path: Path) -> config.Settings:
    (tmp_path / "gpu1.key").write_text("of-gpu1\n")
    return load(tmp_path, TWO, HOME_KEY="of-home")


def test_a_name_stands_for_a_server(two: config.Settings) -> None:
    """With its model and its share; what is no name is a URL."""
    gpu1 = two.meant("gpu1")
    assert gpu1 is not None
    assert (gpu1.url, gpu1.model, gpu1.parallel) == ("https://gpu1.example/v1", "big", 2)
    assert two.meant("https://gpu1.example:443") == (
        type(gpu1)("gpu1", "https://gpu1.example/v1", "big", 2, gpu1.key)
    ), "its URL in other words"
    other = two.meant("http://elsewhere:1")
    assert other is not None and (other.name, other.model, other.key) == (None, None, None)
    assert two.model == "small" and (two.meant(None) or other).name == "default"


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://home:1", "of-home"),
        ("http://home:1/v1/", "of-home"),
        ("https://gpu1.example", "of-gpu1"),
        ("http://gpu1.example", None),
        ("https://gpu1.example:8443", None),
        ("https://gpu1.example.evil", None),
        ("http://home:2", None),
        ("http://open:3", None),
        ("http://127.0.0.1:40001", None),
        ("embedded", None),
        ("HTTP://HOME:1/", "of-home"),
        ("https://gpu1.example.:443/v1", "of-gpu1"),
        ("https://me:pw@gpu1.example", None),
        ("https://gpu1.example@evil.example", None),
        ("https://gpu1.example\\@evil.example", None),
        ("https://gpu1.example/?x=1", None),
        ("https://gpu1.example/other", None),
    ],
)
def test_a_key_goes_to_its_own_server_only(two: config.Settings, url: str, key: str | None) -> None:
    """Scheme, host and port must all be those of the file."""
    assert two.key_for(url) == key


def test_the_variable_is_for_whichever_server_has_no_key_of_its_own(tmp_path: Path) -> None:
    """A runner's environment must not replace a named server's key."""
    (tmp_path / "gpu1.key").write_text("of-gpu1\n")
    settings = load(tmp_path, TWO, HOME_KEY="of-home", KTJOB_API_KEY="any")
    assert settings.key_for("https://gpu1.example") == "of-gpu1"
    assert settings.key_for("http://home:1") == "any", "the environment wins over [server]"
    assert settings.key_for("http://elsewhere:1") == "any"
    assert settings.key_for("embedded") is None


def test_a_key_without_a_url_is_for_this_machine_and_the_variables_server(tmp_path: Path) -> None:
    """`[server]` with nothing but a key."""
    (tmp_path / "key").write_text("mine")
    text = '[server]\napi_key_file = "key"\n'
    settings = load(tmp_path, text, KTJOB_SERVER="http://far:1")
    assert settings.key_for("http://far:1") == "mine"
    assert settings.key_for("http://localhost:30000") == "mine"
    assert settings.key_for("http://elsewhere:1") is None


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "localhost", "LOCALHOST."])
def test_a_server_here_keeps_its_key_by_any_of_its_names(tmp_path: Path, host: str) -> None:
    """In the file, and where it is asked for; the key of `[server]` is for no other port."""
    (tmp_path / "key").write_text("mine")
    text = '[server]\napi_key_file = "key"\nurl = '
    for written, asked in ((host, "127.0.0.1"), ("127.0.0.1", host)):
        settings = load(tmp_path, f'{text}"http://{written}:4"\n')
        assert settings.key_for(f"http://{asked}:4") == "mine"
        assert settings.key_for(f"http://{asked}:5") is None
        assert settings.key_for("http://[::1]:4") is None


def test_a_worker_ignores_the_runners_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is for the server of whichever submit started the runner; a job's own key is lent."""
    monkeypatch.setenv("KTJOB_API_KEY", "of-another")
    assert config.of_worker(None).key_for("http://open:3") is None
    assert config.of_worker("lent").key_for("http://open:3") == "lent"


def test_a_server_that_ktserver_started_has_the_key_for_its_url(tmp_path: Path) -> None:
    """By the machine's own address too, but never the key of a `[server]` elsewhere."""
    (tmp_path / "key").write_text("mine")
    here = load(tmp_path, '[server]\napi_key_file = "key"\n')
    assert here.key_of_started("http://127.0.0.1:4") == "mine"
    assert here.key_of_started("http://192.0.2.1:4") == "mine"
    far = load(tmp_path, '[server]\napi_key_file = "key"\nurl = "http://far:4"\n')
    assert far.key_of_started("http://127.0.0.1:4") is None
    assert far.key_of_started("http://192.0.2.1:4") is None


def test_the_default_server_may_be_one_of_the_named(tmp_path: Path) -> None:
    """By `server.url` and by KTJOB_SERVER."""
    (tmp_path / "gpu1.key").write_text("of-gpu1\n")
    text = TWO.partition("[servers.gpu1]")
    named = '[server]\nurl = "gpu1"\n[servers.gpu1]' + text[2]
    for settings in (
        load(tmp_path, named),
        load(tmp_path, TWO, KTJOB_SERVER="gpu1", HOME_KEY="of-home"),
    ):
        meant = settings.meant(None)
        assert meant is not None and meant.name == "gpu1" and settings.model == "big"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[servers]\ngpu1 = 1\n", r"\[servers\.gpu1\] must be a table"),
        ("[servers.gpu1]\nmodel = 'm'\n", r"servers\.gpu1\.url is missing"),
        ("[servers.gpu1]\nurl = 'a b'\n", r"servers\.gpu1\.url: 'a b' is not a server URL"),
        ("[servers.gpu1]\nurl = 'u:1'\nport = 1\n", r"unknown setting 'servers\.gpu1\.port'"),
        (
            "[servers.embedded]\nurl = 'u:1'\n",
            r"\[servers\.embedded\]: a server's name may contain",
        ),
        ("[servers.'a.b']\nurl = 'u:1'\n", "a server's name may contain"),
        ("[servers.a]\nurl = 'u:1'\nparallel = 0\n", r"servers\.a\.parallel must be"),
        (
            "[servers.a]\nurl = 'u:1'\napi_key_env = 'A'\napi_key_file = 'f'\n",
            "sets its key twice",
        ),
        (
            "[servers.a]\nurl = 'u:1'\napi_key_env = 'A'\n[servers.b]\nurl = 'http://u:1/v1'\n",
            "the same url but different keys",
        ),
        (
            "[server]\nurl = 'a'\nmodel = 'm'\n[servers.a]\nurl = 'u:1'\n",
            r"server\.url names \[servers\.a\]",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_path(tmp_path: Path, text: str, told: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(BadSetting, match=told) as refused:
        load(tmp_path, text)
    assert str(tmp_path / "config.toml") in str(refused.value)


def test_a_key_in_the_file_itself_is_refused_unread(tmp_path: Path) -> None:
    """And not repeated."""
    with pytest.raises(BadSetting, match='only "keyring"') as refused:
        load(tmp_path, "[servers.a]\nurl = 'u:1'\napi_key = 'sk-secret'\n")
    assert "sk-secret" not in str(refused.value)


def test_a_broken_key_of_another_server_hinders_nobody(tmp_path: Path) -> None:
    """It is told when that server is meant."""
    settings = load(tmp_path, TWO, HOME_KEY="of-home")
    assert settings.key_for("http://home:1") == "of-home"
    with pytest.raises(BadSetting, match=r"servers\.gpu1\.api_key_file.*cannot be read"):
        settings.key_for("https://gpu1.example")


def test_a_variable_that_is_not_set_is_told_by_its_name(tmp_path: Path) -> None:
    """With what a runner has."""
    text = "[servers.a]\nurl = 'u:1'\napi_key_env = 'A_KEY'\n"
    with pytest.raises(BadSetting, match="the variable A_KEY is not set"):
        load(tmp_path, text).key_for("http://u:1")


def test_whether_a_silent_server_is_asked_is_a_setting_of_each(tmp_path: Path) -> None:
    """By its URL, as a job stores it."""
    (tmp_path / "config.toml").write_text(
        '[server]\nurl = "http://a:1"\nprobe = "off"\n[servers.b]\nurl = "http://b:1"\n'
    )
    settings = config.load({"KTJOB_CONFIG": str(tmp_path), "KTJOB_HOME": str(tmp_path)})
    asked = [settings.of_url(f"http://{host}:1").may_probe for host in "abc"]
    assert asked == [False, True, True]
