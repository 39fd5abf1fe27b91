"""Whether an error comes from a file with the name of a module that ktjob needs."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from ktclient import hidden

pytestmark = pytest.mark.each_python


def raised(code: str, file: str) -> Exception:
    """The error of this code, as if it were in this file."""
    try:
        exec(compile(code, file, "exec"), {})
    except Exception as error:
        return error
    raise AssertionError


def test_an_error_of_something_else_is_not_explained() -> None:
    """A missing extra, a refused connection, a file of the user with a harmless name."""
    assert hidden.explained(raised("import no_such_module", "/home/me/ask.py")) is None
    assert hidden.explained(raised("raise ConnectionError", "/home/me/ask.py")) is None


def test_a_module_of_pythons_name_is_named_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loaded already, or what raised."""
    words = hidden.explained(raised("raise ValueError('x')", "/home/me/secrets.py"))
    assert words is not None and words.startswith("/home/me/secrets.py hides Python's own module")
    theirs = ModuleType("secrets")
    theirs.__file__ = "/home/me/secrets.py"
    monkeypatch.setitem(sys.modules, "secrets", theirs)
    error = raised("import secrets; secrets.token_hex", "/home/me/ask.py")
    assert (hidden.explained(error) or "").startswith("/home/me/secrets.py hides")
    assert hidden.explained(raised("raise ConnectionError", "/home/me/ask.py")) is None


@pytest.mark.parametrize("name", ["jobs", "server_bundle"])
def test_a_package_of_our_name_is_named_by_its_place(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file, a folder, and one that could not even be imported."""
    theirs = ModuleType(name)
    theirs.__file__ = str(tmp_path / f"{name}.py")
    monkeypatch.setitem(sys.modules, name, theirs)
    error = ImportError(f"no module named {name}.errors")
    assert f"{tmp_path / name}.py hides ktjob's own package" in (hidden.explained(error) or "")
    theirs.__file__ = str(tmp_path / name / "__init__.py")
    theirs.__path__ = [str(tmp_path / name)]
    assert f"{tmp_path / name} hides ktjob's own package" in (hidden.explained(error) or "")
    monkeypatch.delitem(sys.modules, name)
    (tmp_path / name).mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert f"{tmp_path / name} hides ktjob's own package" in (hidden.explained(error) or "")


def test_a_package_that_ktjob_depends_on_is_named_too() -> None:
    """By the path in the error of Python."""
    error = ImportError("cannot import name 'Group'", name="click", path="/home/me/click.py")
    assert (hidden.explained(error) or "").startswith("/home/me/click.py hides the package `click`")
    installed = ImportError("no", name="click", path="/x/lib/python3/site-packages/click.py")
    assert hidden.explained(installed) is None
