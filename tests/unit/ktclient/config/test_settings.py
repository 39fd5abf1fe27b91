"""Settings: who wins, where things are, and what is said about a configuration that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from ktclient.config import settings as config
from ktclient.errors import BadInput, BadSetting
from ktclient.request.stream import LongRequest

pytestmark = pytest.mark.each_python

KEY = "sk-very-secret"
HERE = "http://127.0.0.1:40001"


def configured(folder: Path, text: str) -> dict[str, str]:
    """An environment that says nothing but where this configuration file is."""
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(text, encoding="utf-8")
    return {"KTJOB_CONFIG": str(folder)}


def test_without_environment_and_file_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server, model or key is made up, and folders are where XDG puts them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = config.load({})
    assert (settings.server, settings.model, settings.key_for(HERE)) == (None, None, None)
    assert settings.parallel is None
    assert settings.state.root == tmp_path / ".local" / "state" / "ktjob"
    assert settings.cache == tmp_path / ".cache" / "ktjob"
    assert settings.config_file == tmp_path / ".config" / "ktjob" / "config.toml"
    assert list(tmp_path.iterdir()) == [], "reading settings creates nothing"


def test_the_file_speaks_where_the_environment_is_silent(tmp_path: Path) -> None:
    """Every documented key of the file has its effect."""
    (tmp_path / "key").write_text(f"{KEY}\n")
    text = '[server]\nurl = "http://a:1"\nmodel = "m"\napi_key_file = "key"\nparallel = 3\n'
    settings = config.load(configured(tmp_path, text))
    assert settings.server == "http://a:1"
    assert settings.model == "m"
    assert settings.key_for("http://a:1") == KEY
    assert settings.parallel == 3


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """Each variable replaces its key, and a key file that is not needed is not read."""
    text = '[server]\nurl = "http://a:1"\nmodel = "m"\napi_key_file = "missing"\n'
    environ = configured(tmp_path, text) | {
        "KTJOB_SERVER": "embedded",
        "KTJOB_MODEL": "other",
        "KTJOB_API_KEY": "from-environment",
    }
    settings = config.load(environ)
    assert settings.server == config.EMBEDDED
    assert settings.model == "other"
    assert settings.key_for(HERE) == "from-environment"


def test_a_model_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Such as one typed in another encoding than the terminal's."""
    settings = config.load(configured(tmp_path, "") | {"KTJOB_MODEL": "x\udcff"})
    with pytest.raises(BadInput, match="KTJOB_MODEL is not valid"):
        settings.model_of(settings.default)


def test_an_empty_variable_says_nothing(tmp_path: Path) -> None:
    """`KTJOB_SERVER= ktjob …` falls back to the file."""
    environ = configured(tmp_path, '[server]\nurl = "http://a:1"\n')
    assert config.load(environ | {"KTJOB_SERVER": ""}).server == "http://a:1"


def test_absolute_xdg_folders_are_used() -> None:
    """State, cache and configuration each follow their own variable."""
    settings = config.load(
        {"XDG_STATE_HOME": "/x/s", "XDG_CACHE_HOME": "/x/c", "XDG_CONFIG_HOME": "/x/f"}
    )
    assert settings.state.root == Path("/x/s/ktjob")
    assert settings.cache == Path("/x/c/ktjob")
    assert settings.config_file == Path("/x/f/ktjob/config.toml")


def test_a_relative_xdg_folder_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The XDG specification calls it invalid."""
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = config.load({"XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "./cache"})
    assert settings.state.root == tmp_path / ".local" / "state" / "ktjob"
    assert settings.cache == tmp_path / ".cache" / "ktjob"


def test_our_own_variables_win_over_xdg_and_become_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder means the same to a runner with another working directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings = config.load(
        {"KTJOB_HOME": "here", "KTJOB_CACHE": "~/there", "XDG_STATE_HOME": "/x", "KTJOB_CONFIG": ""}
    )
    assert settings.state.root == tmp_path / "here"
    assert settings.cache == tmp_path / "there"


@pytest.mark.parametrize("own", ["KTJOB_HOME", "KTJOB_CACHE", "KTJOB_CONFIG"])
def test_the_home_of_an_unknown_user_is_a_bad_setting(own: str) -> None:
    """~nobody-here cannot be expanded; that is said, not raised from pathlib."""
    with pytest.raises(BadSetting, match=own):
        config.load({own: "~no-such-user-of-ktjob/folder"})


def test_a_configuration_that_cannot_be_looked_for_is_a_bad_setting() -> None:
    """A folder name longer than any file system takes."""
    with pytest.raises(BadSetting, match=r"config\.toml"):
        config.load({"KTJOB_CONFIG": "/" + "x" * 300})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[server", "cannot be read"),
        ("\0", "cannot be read"),
        ('[server]\nurl = "a"\nurl = "b"\n', "cannot be read"),
        ('server = "http://a:1"', r"\[server\] must be a table"),
        ("[[server]]\n", r"\[server\] must be a table"),
        ("[severs]\n", "unknown setting 'severs'"),
        ('url = "http://a:1"\n', "unknown setting 'url'"),
        ('[server]\napi_key = "sk"\n', r"server\.api_key: only \"keyring\" is allowed here"),
        ("[server]\nurl = 40001\n", r"server\.url must be text, not 40001"),
        ('[server]\nmodel = ["m"]\n', r"server\.model must be text"),
        ("[server]\napi_key_file = true\n", r"server\.api_key_file must be text"),
        ("[server]\nparallel = 0\n", r"server\.parallel must be a whole number above 0, not 0"),
        ("[server]\nparallel = -1\n", r"server\.parallel"),
        ("[server]\nparallel = 1.5\n", r"server\.parallel"),
        ('[server]\nparallel = "2"\n', r"server\.parallel"),
        ('[server]\nprobe = "never"\n', r'server\.probe must be "on" or "off"'),
        ("[server]\nprobe = false\n", r"server\.probe"),
        ("[server]\nparallel = true\n", r"server\.parallel"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused_with_its_path(
    tmp_path: Path, text: str, told: str
) -> None:
    """The message names the file and the setting."""
    with pytest.raises(BadSetting, match=told) as refused:
        config.load(configured(tmp_path, text))
    assert str(tmp_path / "config.toml") in str(refused.value)


def test_a_configuration_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes outside UTF-8, and a folder in its place."""
    environ = configured(tmp_path, "")
    (tmp_path / "config.toml").write_bytes(b'[server]\nurl = "\xff"\n')
    with pytest.raises(BadSetting, match="cannot be read"):
        config.load(environ)
    (tmp_path / "config.toml").unlink()
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(BadSetting, match="cannot be read"):
        config.load(environ)


def test_an_unknown_setting_names_the_known_ones(tmp_path: Path) -> None:
    """No page that pip does not install."""
    with pytest.raises(BadSetting) as refused:
        config.load(configured(tmp_path, "[server]\nport = 1\n"))
    said = str(refused.value)
    assert "unknown setting 'server.port'; allowed here: api_key, " in said and ", url" in said


def test_a_file_that_is_not_utf_8_is_named_without_python_words(tmp_path: Path) -> None:
    """The byte is counted from 1."""
    environ = configured(tmp_path, "")
    (tmp_path / "config.toml").write_bytes(b"a\xff")
    with pytest.raises(BadSetting, match=r"cannot be read: it is not UTF-8 text \(byte 2\)$"):
        config.load(environ)


def test_a_missing_key_file_is_a_bad_setting(tmp_path: Path) -> None:
    """A relative name is looked up beside the configuration file, and the message says where."""
    environ = configured(tmp_path, '[server]\napi_key_file = "keys/mine"\n')
    with pytest.raises(BadSetting) as refused:
        config.load(environ)
    said = str(refused.value)
    assert said.endswith(f"{tmp_path / 'keys' / 'mine'} cannot be read: No such file or directory")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "mine").write_text(f"  {KEY}\r\n")
    assert config.load(environ).key_for(HERE) == KEY


def test_a_key_file_elsewhere_may_be_absolute_or_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/run/secrets/key and ~/key."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key").write_text(KEY)
    for name in (str(tmp_path / "key"), "~/key"):
        environ = configured(tmp_path / "config", f'[server]\napi_key_file = "{name}"\n')
        assert config.load(environ).key_for(HERE) == KEY


def test_a_byte_order_mark_is_no_part_of_the_key(tmp_path: Path) -> None:
    """Editors on Windows put one into the key file."""
    (tmp_path / "key").write_text(f"\ufeff{KEY}\r\n", encoding="utf-8")
    assert (
        config.load(configured(tmp_path, '[server]\napi_key_file = "key"\n')).key_for(HERE) == KEY
    )


def test_a_key_file_of_an_unknown_user_is_a_bad_setting(tmp_path: Path) -> None:
    """~nobody-here cannot be expanded."""
    text = '[server]\napi_key_file = "~no-such-user-of-ktjob/key"\n'
    with pytest.raises(BadSetting, match="api_key_file"):
        config.load(configured(tmp_path, text))


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel", "nul\0"])
def test_a_key_that_no_header_can_carry_is_a_bad_setting(tmp_path: Path, key: str) -> None:
    """It is told here, without the key, and not as a server that cannot be reached."""
    (tmp_path / "key").write_text(key, encoding="utf-8")
    with pytest.raises(BadSetting) as refused:
        config.load(configured(tmp_path, '[server]\napi_key_file = "key"\n'))
    assert key not in str(refused.value) and repr(key)[1:-1] not in str(refused.value)
    with pytest.raises(BadSetting, match="KTJOB_API_KEY"):
        config.load({"KTJOB_API_KEY": key})


def test_the_key_is_never_shown() -> None:
    """Not in the repr of a request or of the settings, which reach tracebacks and logs."""
    request = LongRequest("http://a:1", "m", "text", 1, "rid", api_key=KEY)
    assert KEY not in repr(request)
    assert KEY not in repr(config.load({"KTJOB_API_KEY": KEY}))


OTHERS_ARE_WRONG = '[server]\nurl = "http://a:1"\n[defaults]\nx = 1\n[notify]\nphone = 7\n[later]\n'


def test_only_the_needed_tables_are_held_to(tmp_path: Path) -> None:
    """A worker needs servers, a notifier its names; nobody stumbles over the rest."""
    environ = configured(tmp_path, OTHERS_ARE_WRONG)
    assert config.load(environ, needed=("server", "servers")).server == "http://a:1"
    assert config.load(environ, needed=("notify",)).tables["notify"] == {"phone": 7}
    with pytest.raises(BadSetting, match="later"):
        config.load(environ)
    for text in ("[server", "server = 1", "[" * 5_000, "[server]\nurl = 7\n"):
        with pytest.raises(BadSetting, match=r"config\.toml"):
            config.load(configured(tmp_path, text), needed=("server", "servers"))


def test_a_key_file_is_no_error_before_it_is_needed(tmp_path: Path) -> None:
    """For a job of another server."""
    text = '[server]\nurl = "http://a:1"\napi_key_file = "away"\n[servers.b]\nurl = "http://b:1"\n'
    settings = config.load(configured(tmp_path, text), needed=("server", "servers"))
    assert settings.key_for("http://b:1") is None
    with pytest.raises(BadSetting, match="away cannot be read"):
        settings.key_for("http://a:1")


def test_an_empty_key_file_is_no_key(tmp_path: Path) -> None:
    """As while an editor writes it: sent without, the request would be refused."""
    (tmp_path / "key").write_text(" \n")
    with pytest.raises(BadSetting, match="key is empty"):
        config.load(configured(tmp_path, '[server]\napi_key_file = "key"\n'))


def test_whether_a_server_has_a_key_is_known_without_reading_it(tmp_path: Path) -> None:
    """Its own, or the environment's; the embedded one has none."""
    text = '[servers.a]\nurl = "http://a:1"\napi_key_file = "away"\n'
    environ = configured(tmp_path, text)
    settings = config.load(environ)
    assert settings.has_key_for("http://a:1") and not settings.has_key_for("http://b:1")
    keyed = config.load({**environ, "KTJOB_API_KEY": KEY})
    assert keyed.has_key_for("http://b:1") and not keyed.has_key_for(config.EMBEDDED)


def test_folders_are_known_whatever_the_file_says(tmp_path: Path) -> None:
    """State directory and cache are of the environment alone."""
    environ = configured(tmp_path, "[server")
    environ |= {"KTJOB_HOME": str(tmp_path / "home"), "KTJOB_CACHE": str(tmp_path / "cache")}
    assert config.state_dir(environ).root == tmp_path / "home"
    assert config.cache(environ) == tmp_path / "cache"
