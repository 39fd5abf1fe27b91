"""What people give for --python that is none."""

from __future__ import annotations

from pathlib import Path

from support.machines import Recorded, guide

from server_bundle import doctor
from server_bundle.doctor import Finding


def wrong(box: Recorded, model: Path, python: str) -> Finding:
    del box.commands["python -c"]
    found = doctor.examine(guide(model, python=python), box.machine())
    return next(one for one in found if one.about == "python")


def test_a_folder_is_named_and_so_is_the_python_in_it(box: Recorded, model: Path) -> None:
    """The environment in place of its interpreter is the usual slip."""
    box.files["opt/server/bin/python"] = ""
    finding = wrong(box, model, "/opt/server/")
    assert "it is a folder, not a program" in finding.found
    assert finding.cure.endswith("--python /opt/server/bin/python")


def test_an_empty_folder_and_a_file_that_is_no_program(box: Recorded, model: Path) -> None:
    box.files |= {"opt/empty/x": "", "opt/words": "hi"}
    finding = wrong(box, model, "/opt/empty")
    assert finding.cure.endswith("--python VENV/bin/python")
    box.commands["python -c"] = {"status": 0}
    assert "it is a file that cannot be run" in wrong(box, model, "/opt/words").found


def test_what_is_not_there(box: Recorded, model: Path) -> None:
    assert wrong(box, model, "/no/python").found == "/no/python: no such program"
