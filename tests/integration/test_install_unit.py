"""`ktjob install-unit` as people run it, with a stand-in systemctl that records what it is told."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.system import systemd_unit

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    return tmp_path / "xdg" / "systemd" / "user" / "ktjob.service"


@pytest.fixture
def run(tmp_path: Path, ktjob_home: Path, ktjob_command: list[str]) -> Run:
    """Runs it with these options and variables, and with no user manager unless told."""

    def go(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        nowhere = str(tmp_path / "none")
        environ = {**os.environ, "PATH": nowhere, "XDG_RUNTIME_DIR": nowhere}
        return subprocess.run(
            [*ktjob_command, "install-unit", *options],
            env={**environ, "XDG_CONFIG_HOME": str(tmp_path / "xdg"), **variables},
            capture_output=True,
            text=True,
        )

    return go


@pytest.fixture
def manager(tmp_path: Path) -> tuple[dict[str, str], Path]:
    """Variables with which a user manager is found, and what its systemctl was told."""
    told = tmp_path / "told"
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho \"$*\" >> '{told}'\nexit ${{EXIT_WITH:-0}}\n")
    program.chmod(0o755)
    private = tmp_path / "runtime" / "systemd" / "private"
    private.parent.mkdir(parents=True)
    private.touch()
    path = f"{program.parent}:{os.environ['PATH']}"
    return {"XDG_RUNTIME_DIR": str(tmp_path / "runtime"), "PATH": path}, told


def test_a_dry_run_prints_everything_and_does_nothing(run: Run, unit: Path) -> None:
    """The file, its place and the commands; the key is named and not shown."""
    done = run("--dry-run", KTJOB_API_KEY="sk-secret", KTJOB_SERVER="http://127.0.0.1:4")
    assert done.returncode == 0
    assert f"# {unit}\n{systemd_unit.MARKER}\n" in done.stdout
    assert 'Environment="KTJOB_SERVER=http://127.0.0.1:4"' in done.stdout
    assert done.stdout.endswith(
        "systemctl --user daemon-reload\nsystemctl --user enable ktjob.service\n"
    )
    assert "sk-secret" not in done.stdout + done.stderr
    assert "KTJOB_API_KEY" in done.stderr and "api_key_file" in done.stderr
    assert not unit.exists()


def test_it_is_written_enabled_and_written_again(
    run: Run, unit: Path, ktjob_home: Path, manager: tuple[dict[str, str], Path]
) -> None:
    """Twice is once; the state directory is there for the runner's log."""
    variables, told = manager
    first = run(**variables)
    assert (first.returncode, f"{unit} written" in first.stdout) == (0, True)
    text = unit.read_text()
    served = systemd_unit.served(text)
    assert served is not None and served.state == str(ktjob_home)
    assert f'"--log" "{ktjob_home}/runner.log"' in text
    assert ktjob_home.is_dir()
    second = run(**variables)
    assert "is up to date" in second.stdout
    assert unit.read_text() == text
    once = "--user --no-ask-password daemon-reload\n--user --no-ask-password enable ktjob.service\n"
    assert told.read_text() == once * 2
    assert [path.name for path in unit.parent.iterdir()] == ["ktjob.service"]


def test_without_a_user_manager_it_says_what_is_left_to_do(run: Run, unit: Path) -> None:
    """As from cron, or in a container."""
    done = run()
    assert (done.returncode, unit.exists()) == (0, True)
    assert "not done yet" in done.stderr
    assert "systemctl --user daemon-reload\nsystemctl --user enable ktjob.service" in done.stdout


def test_a_systemctl_that_fails_is_told(run: Run, manager: tuple[dict[str, str], Path]) -> None:
    """With what it said, and the rest of the commands."""
    done = run(**manager[0], EXIT_WITH="3")
    assert done.returncode == 0
    assert "exited with 3" in done.stderr
    assert "systemctl --user daemon-reload\n" in done.stdout


@pytest.mark.parametrize("options", [(), ("--remove",)])
def test_somebody_elses_file_is_left_alone(run: Run, unit: Path, options: tuple[str, ...]) -> None:
    """Unless forced to."""
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    done = run(*options)
    assert done.returncode == 2
    assert str(unit) in done.stderr and "--force" in done.stderr
    assert unit.read_text() == "[Service]\nExecStart=/bin/true\n"
    assert run(*options, "--force").returncode == 0
    assert unit.exists() is not bool(options)


def test_remove_undoes_it(run: Run, unit: Path, manager: tuple[dict[str, str], Path]) -> None:
    """The link that enabling made too; and again is no error."""
    variables, told = manager
    run(**variables)
    link = unit.parent / "default.target.wants" / unit.name
    link.parent.mkdir()
    link.symlink_to(unit)
    assert run("--remove", "--dry-run", **variables).returncode == 0
    assert unit.exists()
    told.unlink()
    done = run("--remove", **variables)
    assert (done.returncode, f"{unit} removed" in done.stdout) == (0, True)
    assert not unit.exists() and not link.is_symlink()
    assert told.read_text() == "--user --no-ask-password daemon-reload\n"
    assert "does not exist" in run("--remove", **variables).stdout


def test_the_change_of_state_directory_is_told(run: Run, tmp_path: Path) -> None:
    """One unit serves one."""
    other = str(tmp_path / "other")
    run(KTJOB_HOME=other)
    assert f"it used the state directory {other} before" in run().stderr


def test_a_place_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    """One line, with the path."""
    (tmp_path / "xdg").write_text("")
    done = run()
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert str(tmp_path / "xdg") in done.stderr
