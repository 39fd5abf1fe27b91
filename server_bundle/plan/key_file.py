"""The server's key in a file that only its owner can read, as sglang's `--config` takes it.

A command line is in every process list, and sglang has no variable for its key
(server_args.py of 0.6.2.post3, 0.7.2 and 0.5.23): a YAML file is the one way left.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from server_bundle.errors import PlanRefused

NAME = "server-key.yaml"
"""sglang takes .yaml or .yml only (server_args_config_parser.py)."""


def check(key: str) -> None:
    """Raise `PlanRefused` for a key that sglang would not take this way."""
    # The file becomes `--api-key KEY` before argparse, which takes a dash for a flag.
    if key.startswith("-"):
        raise PlanRefused("the key begins with a dash, which sglang takes for a flag: use another")


def write(folder: Path, key: str) -> Path:
    """Put the key into the folder, whole or not at all, and return the file (0600)."""
    check(key)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / NAME
    draft = path.with_name(NAME + ".draft")
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(f"api-key: {json.dumps(key)}\n")  # JSON text is YAML text
    os.replace(draft, path)
    return path
