"""The command that adds an extra, for each way to have installed ktjob. With the real tools:
tests/acceptance/test_getting_it.py."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from jobs import extras


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment whose programs are not on the PATH."""
    programs = tmp_path / "an environment" / "bin"
    programs.mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(programs.parent))
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.setenv("PATH", "/usr/bin")
    return programs.parent


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that ktjob was installed from."""
    folder = tmp_path / "it's a clone"
    folder.mkdir()

    class Installed:
        def read_text(self, name: str) -> str:
            assert name == "direct_url.json"
            return f'{{"url": "{folder.as_uri()}", "dir_info": {{}}}}'

    monkeypatch.setattr(metadata, "distribution", lambda name: Installed())
    return folder


def test_in_an_environment_it_is_its_own_pip(
    environment: Path, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In short where the shell would find that."""
    long = f"'{environment}/bin/python' -m pip install 'ktjob[notify]'"
    assert extras.command("notify") == long
    pip = environment / "bin/pip"
    pip.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{pip.parent}:/usr/bin")
    assert extras.command("notify") == "pip install 'ktjob[notify]'"
    again = extras.command("documents", again=True)
    assert again.startswith("pip install --force-reinstall '/")
    assert again.endswith("clone[documents]'") and "'\\''" in again, "a folder with a quote in it"
    assert extras.reinstall().startswith("pip install --force-reinstall '/")
    clone.rmdir()
    assert extras.command("documents", again=True) == again, "never a stranger's by this name"


@pytest.mark.parametrize(
    ("noted", "source"),
    [
        (
            '{"url": "https://h/ktjob.git", "vcs_info": {"vcs": "git"}}',
            "ktjob @ git+https://h/ktjob.git",
        ),
        ('{"url": "https://h/ktjob-1.whl", "archive_info": {}}', "ktjob @ https://h/ktjob-1.whl"),
        ('{"url": "file:///a%20b", "dir_info": {"editable": true}}', "/a b"),
        ("null", "ktjob"),
        (None, "ktjob"),
        ("damaged", "ktjob"),
    ],
)
def test_it_is_installed_again_from_where_it_came(
    environment: Path, monkeypatch: pytest.MonkeyPatch, noted: str | None, source: str
) -> None:
    """From an index only if it came from one, or nothing is known."""

    class Installed:
        def read_text(self, name: str) -> str | None:
            return noted

    monkeypatch.setattr(metadata, "distribution", lambda name: Installed())
    pip, editable = environment / "bin/pip", "-e " if source == "/a b" else ""
    pip.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{pip.parent}:/usr/bin")
    assert extras.reinstall() == f"pip install --force-reinstall {editable}'{source}'"
    extra = f"{source}[notify]" if " @ " not in source else source.replace(" @", "[notify] @")
    again = extras.command("notify", again=True)
    assert again == f"pip install --force-reinstall {editable}'{extra}'"


def test_a_tool_of_uv_keeps_the_extras_that_it_has(environment: Path, clone: Path) -> None:
    receipt = environment / "uv-receipt.toml"
    receipt.write_text(
        '[tool]\nrequirements = [{ name = "ktjob", extras = ["notify"], directory = "/ktjob" }]\n'
    )
    added = extras.command("documents")
    assert added.startswith("uv tool install '/") and added.endswith("clone[documents,notify]'")
    assert extras.command("notify", again=True).startswith("uv tool install --reinstall '/")
    assert extras.reinstall().endswith("clone[notify]'")
    receipt.write_text("what is this")
    assert extras.reinstall().endswith("clone'")
    assert extras.command("documents").endswith("clone[documents]'")


def test_a_tool_of_pipx_gets_it_injected(environment: Path, clone: Path) -> None:
    (environment / "pipx_metadata.json").touch()
    assert extras.command("notify") == "pipx inject ktjob 'ktjob[notify]'"
    assert extras.command("notify", again=True) == extras.reinstall() == "pipx reinstall ktjob"
