"""Whether an environment has what its lock names, file by file."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import wheel_index

from server_bundle.install import contents
from server_bundle.install.lock import Wheel


@pytest.fixture
def wheels(tmp_path: Path) -> list[Wheel]:
    """Two packages that bring the same file, unpacked into an environment's folder."""
    import zipfile

    made = [
        wheel_index.make_wheel(tmp_path, "sglang-kt", "0.7.2", 9, shared__x="one"),
        wheel_index.make_wheel(tmp_path, "torch", "2.9.1", 9, shared__x="three"),
    ]
    for one in made:
        with zipfile.ZipFile(tmp_path / one.file) as archive:
            archive.extractall(tmp_path / "lib/python3.12/site-packages")
    return made


def test_what_is_as_its_packages_say_has_no_problem(tmp_path: Path, wheels: list[Wheel]) -> None:
    seen: list[int] = []
    assert contents.problems(tmp_path, wheels, seen.append) == [] and seen == [1, 2]


def test_what_is_missing_or_different_is_named(tmp_path: Path, wheels: list[Wheel]) -> None:
    site = tmp_path / "lib/python3.12/site-packages"
    (site / "torch/noise.bin").unlink()
    (site / "sglang_kt/__init__.py").write_text("")
    other = Wheel("fastapi", "0.128.0", "fastapi-0.128.0-py3-none-any.whl", 1, "0" * 64)
    assert contents.problems(tmp_path, [*wheels, other]) == [
        "sglang_kt/__init__.py of sglang-kt has 0 bytes, not 18",
        "torch lacks torch/noise.bin",
        "fastapi is not installed",
    ]
    (site / "torch-2.9.1.dist-info").rename(site / "torch-2.8.0.dist-info")
    assert "torch is 2.8.0, not 2.9.1" in contents.problems(tmp_path, wheels)
    assert "no site-packages" in contents.problems(tmp_path / "none", wheels)[0]
