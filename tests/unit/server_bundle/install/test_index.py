"""Which index the user has configured, by the rules of pip and of uv."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs import known_secrets
from server_bundle.errors import InstallRefused
from server_bundle.install import index
from server_bundle.install.index import PUBLIC

MIRROR = "https://mirror.example/simple"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment whose files are all below a folder."""
    (tmp_path / ".config" / "pip").mkdir(parents=True)
    (tmp_path / ".config" / "uv").mkdir()
    return {
        "HOME": str(tmp_path),
        "XDG_CONFIG_DIRS": str(tmp_path / "xdg"),
        "VIRTUAL_ENV": str(tmp_path / "venv"),
    }


def pip_conf(home: dict[str, str], text: str) -> None:
    Path(home["HOME"], ".config", "pip", "pip.conf").write_text(text)


def test_without_any_setting_it_is_the_public_one(home: dict[str, str]) -> None:
    found = index.configured(home)
    assert found.urls == (PUBLIC,) and found.links == () and "default" in found.shown


def test_pip_conf_and_its_variables(home: dict[str, str]) -> None:
    """A section of a command wins over [global], a variable over the file; lists have blanks or
    lines."""
    pip_conf(
        home,
        f"[global]\nindex_url = {MIRROR}\nextra-index-url =\n  https://a.example\n"
        "  https://b.example\ntimeout = 300\n[install]\nfind-links = wheels\n",
    )
    found = index.configured(home)
    assert found.urls == (MIRROR, "https://a.example", "https://b.example")
    assert found.links == (str(Path("wheels").absolute()),) and found.seconds == 300
    found = index.configured({**home, "PIP_INDEX_URL": "https://c.example/simple"})
    assert found.urls[0] == "https://c.example/simple" and len(found.urls) == 3
    assert index.configured({**home, "PIP_NO_INDEX": "true"}).urls == ()
    assert index.configured({**home, "PIP_CONFIG_FILE": "/dev/null"}).urls == (PUBLIC,)


def test_uv_variables_win_and_its_file_comes_last(home: dict[str, str]) -> None:
    """With uv's names of indexes, and their users and passwords."""
    uv = Path(home["HOME"], ".config", "uv", "uv.toml")
    uv.write_text(f'[[index]]\nname = "own"\nurl = "{MIRROR}"\ndefault = true\n')
    given = {**home, "UV_INDEX_OWN_USERNAME": "me", "UV_INDEX_OWN_PASSWORD": "pass word/9"}
    found = index.configured(given)
    assert found.urls == ("https://me:pass%20word%2F9@mirror.example/simple",)
    assert found.shown == f"{MIRROR} (uv.toml)"
    assert "pass word/9" not in known_secrets.hide("it is pass word/9")
    pip_conf(home, "[global]\nextra-index-url = https://pip.example/simple\n")
    assert index.configured(given).urls == (PUBLIC, "https://pip.example/simple")
    given |= {"UV_DEFAULT_INDEX": "https://d.example", "UV_INDEX": "x=https://e.example"}
    assert index.configured(given).urls == ("https://e.example", "https://d.example")


def test_what_cannot_be_read_is_named(home: dict[str, str]) -> None:
    """As pip itself would end with it."""
    pip_conf(home, "index-url = https://nowhere.example\n")
    with pytest.raises(InstallRefused, match=r"pip\.conf, pip's configuration"):
        index.configured(home)
    pip_conf(home, "")
    Path(home["HOME"], ".config", "uv", "uv.toml").write_text("index = [")
    with pytest.raises(InstallRefused, match=r"uv\.toml, uv's configuration"):
        index.configured(home)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:word@a.example:8443/simple?token=x#y", "https://a.example:8443/simple"),
        ("/opt/wheels", "/opt/wheels"),
        ("file:///opt/simple", "file:///opt/simple"),
    ],
)
def test_what_is_shown_has_no_secret(url: str, shown: str) -> None:
    assert index.without_secrets(url) == shown
