"""What profiles start: exactly the guide when asked to, else what the golden files hold."""

from __future__ import annotations

import shlex

import pytest
from support import golden

from server_bundle.plan import build, profile

pytestmark = pytest.mark.each_python

GUIDE = (golden.FOLDER / "the-guide.sh").read_text()
MAIN = "deepseek-v4-flash-4x5090"


def guide_variables() -> dict[str, str]:
    lines = [line for line in GUIDE.splitlines() if line.startswith("export ")]
    return dict(shlex.split(line)[1].split("=", 1) for line in lines)


def guide_command() -> list[str]:
    return shlex.split(GUIDE.partition("\n\n")[2].replace("\\\n", " "))


def test_the_guide_word_for_word() -> None:
    """Five variables, numactl, and 24 flags in their order."""
    wish = golden.wish(MAIN, "0.6.2.post3", as_guide=True)
    plan = build.launch_plan(profile.load(MAIN), wish, golden.MACHINE)
    assert list(plan.command) == guide_command()
    assert sum(word.startswith("--") for word in plan.argv) == 24
    assert plan.environment == guide_variables()
    assert len(plan.environment) == 5


@pytest.mark.parametrize("name", sorted(golden.scripts()))
def test_what_is_started(name: str) -> None:
    """Byte for byte. After a change that is meant: python tests/support/golden.py"""
    assert golden.scripts()[name] == (golden.FOLDER / name).read_text()


def test_no_golden_file_is_left_over() -> None:
    """Each belongs to a profile that there is."""
    there = {path.name for path in golden.FOLDER.iterdir()} - {"the-guide.sh"}
    assert there == set(golden.scripts())
