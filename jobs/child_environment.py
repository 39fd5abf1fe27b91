"""The environment of the programs that ktjob starts. docs/reference.md says what each one gets.

No child gets a variable that holds an API key: neither KTJOB_API_KEY, nor one that `api_key_env`
names, nor one whose value contains a key that this process knows.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

from jobs import known_secrets

_OF_ONE_PROCESS = ("KTJOB_READY_FD", "KTJOB_DETACH_ARGV")
"""What one process says to the next."""
_PYTHON = (
    *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONUTF8", "PYTHONPYCACHEPREFIX"),
)


def inherited(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without keys: for programs of the user's (editor, pager, ssh, the
    command of --on-done), for pip, and for processes of ktjob that outlive this one."""
    given = os.environ if environ is None else environ
    return {name: value for name, value in given.items() if not _is_secret(name, value)}


def of_reader() -> dict[str, str]:
    """What a Python of ours needs that only computes, such as the reader of a document: where its
    modules and temporary files are, and the encoding."""
    return {name: value for name, value in inherited().items() if name in _PYTHON}


@contextlib.contextmanager
def without_keys() -> Iterator[None]:
    """For a library that starts a program with `os.environ` itself. For commands of one thread."""
    taken = {name: os.environ[name] for name in set(os.environ) - set(inherited())}
    for name in taken:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(taken)


def _is_secret(name: str, value: str) -> bool:
    if name in known_secrets.variables() or name in _OF_ONE_PROCESS:
        return True
    return known_secrets.hide(value) != value
