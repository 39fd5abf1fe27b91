"""The console scripts. They import nothing before ktjob's own files are sure to be found first."""

from __future__ import annotations

import os
import sys
from importlib import import_module


def ktjob() -> None:
    """The `ktjob` command."""
    _run("ktjob")


def ktserver() -> None:
    """The `ktserver` command."""
    _run("ktserver")


def _run(name: str) -> None:
    try:
        _put_ours_first()
        main = import_module(f"ktclient.cli.{name}").main
    except Exception as error:  # a file that is not ours, or is half written, may raise anything
        print(f"{name}: {_words(error)}", file=sys.stderr)
        sys.exit(2)  # `exit_codes.USAGE`, which may be among what cannot be imported
    main()


def _put_ours_first() -> None:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from jobs import program

    del sys.path[0]
    program.put_ours_first()


def _words(error: Exception) -> str:
    from ktclient import hidden

    return hidden.explained(error) or hidden.incomplete(error)
