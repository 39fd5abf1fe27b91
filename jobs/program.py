"""Start a program of ktjob by the path of this file: `python …/program.py MODULE ARGUMENTS`.

`python -m` looks for its module in the current folder and in PYTHONPATH first, where a `jobs.py` or
a `queue.py` of the user would be found instead of ours. This file is found by its path. It puts the
standard library and ktjob's own packages first, then calls `main` of the module.

Nothing else of ktjob is imported before that, and the path of this file stays: a live runner starts
the runner of a newer version by it.
"""

from __future__ import annotations

import os
import sys
import time


def command(module: str) -> list[str]:
    """The command line that calls `main(arguments)` of this module, or of its `__main__`, in a new
    interpreter; the arguments follow."""
    path = os.path.abspath(__file__)
    return [sys.executable, path, module] if os.path.exists(path) else lasting_command(module)


def lasting_command(module: str) -> list[str]:
    """The same without this file's path, which has the version of Python in it: for a unit file,
    and for a process whose interpreter was replaced by a newer one."""
    safely = ["-P"] if sys.version_info >= (3, 11) else []
    return [sys.executable, *safely, "-m", f"{__package__}.program", module]


def missing() -> str | None:
    """The interpreter or this file, if it does not exist: during an installation it may be away."""
    files = (sys.executable, os.path.abspath(__file__))
    return next((file for file in files if not os.path.exists(file)), None)


def root() -> str:
    """The folder that ktjob is imported from: site-packages, or the repository."""
    folder = os.path.dirname(os.path.abspath(__file__))
    while os.path.exists(f"{folder}/__init__.py"):
        folder = os.path.dirname(folder)
    return folder


def put_ours_first() -> None:
    """Let this process find the standard library first, then ktjob's folder, then what is
    installed, and only then what is in PYTHONPATH.

    The folder of the script, or the current folder, is dropped. Only for processes that are
    ktjob's own: in a program of the user the order is the user's.
    """
    library = os.path.dirname(os.__file__)
    archive = f"{os.sep}python{sys.version_info[0]}{sys.version_info[1]}.zip"
    dynamic = f"{os.sep}lib-dynload"
    standard = [e for e in sys.path if e == library or e.endswith((archive, dynamic))]
    at = sys.path.index(standard[0]) if standard else 0
    early, late = sys.path[:at], sys.path[at:]
    if not getattr(sys.flags, "safe_path", sys.flags.isolated):  # safe_path came with 3.11
        _drop_first_of(early, _script_folders())
    ours = root()
    others = [entry for entry in (*late, *early) if entry not in (ours, *standard)]
    sys.path[:] = [*standard, ours, *others]


def _script_folders() -> set[str]:
    """What Python may have put first: the folder of the script, or the current one for -m and -c.
    A start-up hook may have put something before it."""
    folders = {"", os.path.dirname(sys.argv[0])}
    try:  # noqa: SIM105 - contextlib may be hidden by a file of the user now
        folders.add(os.getcwd())
    except OSError:  # the current folder was removed
        pass
    return folders


def _drop_first_of(entries: list[str], wanted: set[str]) -> None:
    found = next((entry for entry in entries if entry in wanted), None)
    if found is not None:
        entries.remove(found)


def incomplete(error: BaseException) -> str:
    """What to say when a module of ktjob, or one that it needs, cannot be imported."""
    lacks_memory = ("annot allocate memory", "failed to map segment")
    if isinstance(error, MemoryError) or any(words in str(error) for words in lacks_memory):
        return "memory ran out while ktjob was loaded; raise the limit (`ulimit -v`)"
    return (
        f"ktjob's program files in {root()} are missing or incomplete, or hidden by others "
        f"({type(error).__name__}: {error}). If an installation is running, wait for its end; else "
        f"install ktjob again{_how()}"
    )


def _how() -> str:
    """The command, in this environment; empty if that module is missing too."""
    try:
        from jobs import extras

        return f": {extras.reinstall()}"
    except Exception:  # a file that is half written may raise anything
        return ""


def _main() -> None:
    put_ours_first()
    module, sys.argv[1:] = sys.argv[1], sys.argv[2:]
    try:
        import importlib

        loaded = importlib.import_module(module)
        if hasattr(loaded, "__path__"):
            loaded = importlib.import_module(f"{module}.__main__")
    except Exception as error:  # a file that is half written may raise anything
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        sys.exit(f"{now} {module} could not start: {incomplete(error)}")
    loaded.main(sys.argv[1:])


if __name__ == "__main__":
    _main()
