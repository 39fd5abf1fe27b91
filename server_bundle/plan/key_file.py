"""The server's key in a file that only its owner can read, for sglang's `--config`.

Every process list shows a command line, and sglang reads its key from no environment variable
(server_args.py of 0.6.2.post3, 0.7.2 and 0.5.23): a YAML file is the only way left.
"""

from __future__ import annotations

import json
from pathlib import Path

from jobs import draft, parsing, private_folder
from server_bundle.errors import PlanRefused

NAME = "server-key.yaml"
"""sglang accepts only .yaml or .yml (server_args_config_parser.py)."""
MOST_BYTES = 64 * 1024
"""Of such a file: a key is short."""


def check(key: str) -> None:
    """Raise `PlanRefused` for a key that sglang would not accept in this file."""
    # sglang turns the file into `--api-key KEY` for argparse, which treats a dash as a flag.
    if key.startswith("-"):
        raise PlanRefused(
            "the API key begins with a dash, which sglang treats as a flag: use another key"
        )


def write(folder: Path, key: str) -> Path:
    """Write the key file into the folder atomically, and return its path (0600)."""
    check(key)
    private_folder.make(folder)
    path = folder / NAME
    draft.write(path, f"api-key: {json.dumps(key)}\n")  # JSON text is YAML text
    return path


def read(path: Path) -> str | None:
    """The key of a file that `write` has written; None for another file."""
    try:
        text = parsing.read_text(path, MOST_BYTES)
        name, _, value = text.partition(": ")
        key = parsing.of_json(value)
    except (OSError, ValueError):
        return None
    return key if name == "api-key" and isinstance(key, str) else None
