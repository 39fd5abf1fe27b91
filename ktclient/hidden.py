"""Words for an import of ours that fails because of a file with the same name, or a missing one.

This module is for the moment when that has happened, so it imports only the standard library, and
one other module where that is there.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from types import ModuleType

_OURS = ("jobs", "server_bundle")
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LIBRARY = os.path.dirname(os.__file__)


class PackageHidden(ImportError):
    """A file or folder outside of ktjob has the name of a module that ktjob needs."""


class InWords(contextlib.ContextDecorator):
    """Replaces an error inside it by a `PackageHidden` if a file of another name was its reason."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, Exception) and (words := explained(error)):
            raise PackageHidden(words) from None


def explained(error: BaseException) -> str | None:
    """What hides what, and the fix; None when nothing hides a module that ktjob needs."""
    for name in _OURS:
        module = sys.modules.get(name)
        place = _place(module) if module else _place_on_path(name)
        if place and os.path.dirname(place) != _ROOT and not _is_installed_under_own_name(name):
            return (
                f"{place} hides ktjob's own package `{name}` in {_ROOT}. Rename it or take its "
                f"folder out of PYTHONPATH{_AS_A_WHEEL if name == 'jobs' else ''}"
            )
    for name, place in _hidden_standard_modules(error):
        return (
            f"{place} hides Python's own module `{name}`, which ktjob needs. Rename it, or take "
            "its folder out of PYTHONPATH"
        )
    if isinstance(error, ImportError) and error.path and not _is_installed(error.path):
        return (
            f"{error.path} hides the package `{error.name}`, which ktjob needs ({error}). "
            "Rename it, or take its folder out of PYTHONPATH"
        )
    return None


_AS_A_WHEEL = (
    ", or install ktjob without --editable: only an editable install and the repository have a "
    "package of that name"
)


def incomplete(error: BaseException) -> str:
    """What to say when nothing hides a module and yet it cannot be imported."""
    lacks_memory = ("annot allocate memory", "failed to map segment")
    if isinstance(error, MemoryError) or any(words in str(error) for words in lacks_memory):
        return "memory ran out while ktjob was loaded; raise the limit (`ulimit -v`)"
    return (
        f"the program files in {_ROOT} are missing or incomplete ({type(error).__name__}: {error})."
        f" If an installation is running, wait for its end; else install ktjob again{_how()}"
    )


def _how() -> str:
    """The command, in this environment; empty if that module is missing too."""
    try:
        from jobs import extras

        return f": {extras.reinstall()}"
    except Exception:  # a file that is half written may raise anything
        return ""


def _is_installed_under_own_name(name: str) -> bool:
    """A wheel has the folder `jobs` as `ktclient/_jobs`, which nothing hides."""
    return os.path.isdir(os.path.join(_ROOT, "ktclient", f"_{name}"))


def _hidden_standard_modules(error: BaseException) -> Iterator[tuple[str, str]]:
    """Modules with a name of the standard library from elsewhere, if the error went through them or
    is one of a module that lacks something."""
    files = {}
    if isinstance(error, (ImportError, AttributeError)):
        files = {
            name: file
            for name in sys.stdlib_module_names
            if (file := getattr(sys.modules.get(name), "__file__", None))
        }
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        folder, base = os.path.split(file)
        name = os.path.basename(folder) if base == "__init__.py" else base.removesuffix(".py")
        if name in sys.stdlib_module_names and "importlib" not in file:
            files.setdefault(name, file)
        trace = trace.tb_next
    for name, file in files.items():
        if not _is_installed(file) and not _is_under(file, _ROOT):
            yield name, file


def _place(module: ModuleType) -> str | None:
    """The folder of a package, or the file of a module."""
    file: str | None = getattr(module, "__file__", None)
    if file is None or os.path.basename(file) == "__init__.py":
        return next((os.path.abspath(folder) for folder in getattr(module, "__path__", ())), None)
    return os.path.abspath(file)


def _place_on_path(name: str) -> str | None:
    """The first file or folder of this name that Python would find."""
    for folder in sys.path:
        for base in (name, f"{name}.py"):
            if os.path.exists(path := os.path.abspath(os.path.join(folder, base))):
                return path
    return None


def _is_installed(file: str) -> bool:
    """In the standard library or among installed packages."""
    installed = ("site-packages", "dist-packages", "lib-dynload")
    return _is_under(file, _LIBRARY) or any(part in installed for part in file.split(os.sep))


def _is_under(file: str, folder: str) -> bool:
    return os.path.abspath(file).startswith(folder + os.sep)
