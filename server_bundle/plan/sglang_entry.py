"""`python -m sglang.launch_server`, with the key kept out of the server's log.

sglang-kt prints all its settings at the start, with the key in clear text (entrypoints/engine.py:
`logger.info(f"{server_args=}")`; 0.6.2.post3 and 0.7.2). The *server's* interpreter runs this file
and has no ktjob, so the file imports nothing of this project. It then runs sglang's own module
under its own name, so that child processes start as usual.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from typing import Any

MODULE = "sglang.launch_server"
_SECRETS = ("api_key", "admin_api_key")


def hide_keys(server_args: Any) -> None:
    """Make `repr` of the settings class hide all keys."""
    shown = server_args.__repr__

    def without_keys(self: Any) -> str:
        text = str(shown(self))
        for name in _SECRETS:
            key = getattr(self, name, None)
            if key:
                text = text.replace(repr(key), "'***'")
        return text

    server_args.__repr__ = without_keys


def main() -> None:
    """Run sglang."""
    # As with `-m`: modules in this file's folder must not shadow the server's own.
    sys.path[0] = os.getcwd()
    # Import the module first: what it does before any other import of sglang (CUDA architectures
    # for compilers) must still happen first.
    importlib.import_module(MODULE)
    hide_keys(importlib.import_module("sglang.srt.server_args").ServerArgs)
    del sys.modules[MODULE]  # runpy warns about modules that are imported already
    runpy.run_module(MODULE, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
