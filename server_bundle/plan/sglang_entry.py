"""`python -m sglang.launch_server`, with the key kept out of the server's log.

sglang-kt prints all its settings at the start, the key in clear among them (entrypoints/engine.py:
`logger.info(f"{server_args=}")`; 0.6.2.post3 and 0.7.2). This file is run by the *server's*
interpreter, which has no ktjob: it imports nothing of ours. Everything after that is sglang's own
module under its own name, so that its child processes start as they always do.
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
    """Let `repr` of this class, the settings, show no key."""
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
    # As with `-m`: our folder holds modules that must not stand in for the server's own.
    sys.path[0] = os.getcwd()
    # First as a module: what it does before anything of sglang is imported (CUDA architectures for
    # compilers) comes first this way too.
    importlib.import_module(MODULE)
    hide_keys(importlib.import_module("sglang.srt.server_args").ServerArgs)
    del sys.modules[MODULE]  # runpy warns of what is imported already
    runpy.run_module(MODULE, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
