"""The server's key: in a file of its owner's, and not in the server's log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from server_bundle.errors import PlanRefused
from server_bundle.plan import key_file, sglang_entry

STANDS_IN_FOR_SGLANG = {
    "__init__.py": "",
    "srt/__init__.py": "",
    "srt/server_args.py": """
import dataclasses
@dataclasses.dataclass
class ServerArgs:
    model: str
    api_key: str
    admin_api_key: str = None
""",
    "launch_server.py": """
import multiprocessing, sys, errors_of_the_server
from sglang.srt.server_args import ServerArgs
def child(server_args):
    print("child", server_args.api_key, __name__, flush=True)
if __name__ == "__main__":
    server_args = ServerArgs("m", sys.argv[-1], "other-key")
    print(f"{server_args=}", __spec__.name, sys.argv[1:-1], flush=True)
    one = multiprocessing.get_context("spawn").Process(target=child, args=(server_args,))
    one.start(); one.join(); sys.exit(one.exitcode)
""",
}


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """Also over one that was not."""
    (tmp_path / key_file.NAME).write_text("old")
    (tmp_path / key_file.NAME).chmod(0o644)
    path = key_file.write(tmp_path, "k3y")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == 'api-key: "k3y"\n'
    assert [one.name for one in tmp_path.iterdir()] == [key_file.NAME]


def test_a_key_that_sglang_would_take_for_a_flag_is_refused(tmp_path: Path) -> None:
    """Before anything is written; and not repeated."""
    with pytest.raises(PlanRefused, match="dash") as refused:
        key_file.write(tmp_path, "-secret")
    assert "secret" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_the_key_is_not_shown(tmp_path: Path) -> None:
    """What the server prints of its settings has none; the settings have it, children too.

    sglang stands in by a package of its shape; the real one runs in tests/conformance.
    """
    for name, text in STANDS_IN_FOR_SGLANG.items():
        path = tmp_path / "sglang" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "errors_of_the_server.py").write_text("")
    done = subprocess.run(
        [sys.executable, sglang_entry.__file__, "--x", "1", "k3y"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    settings, child = done.stdout.splitlines()
    assert "k3y" not in settings
    assert "other-key" not in settings
    assert "api_key='***'" in settings
    assert settings.endswith("sglang.launch_server ['--x', '1']")
    assert child == "child k3y __mp_main__"
    assert done.stderr == ""


def test_our_modules_do_not_stand_in_for_the_servers(tmp_path: Path) -> None:
    """The entry lies beside profile.py and errors.py, which the server must not find."""
    package = tmp_path / "sglang"
    (package / "srt").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "srt/__init__.py").touch()
    (package / "srt/server_args.py").write_text("class ServerArgs: pass\n")
    (package / "launch_server.py").write_text("import profile; print(profile.__file__)\n")
    done = subprocess.run(
        [sys.executable, sglang_entry.__file__],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(Path(sglang_entry.__file__).parent) not in done.stdout
