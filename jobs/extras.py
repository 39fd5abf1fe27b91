"""The command that adds an extra to this installation of ktjob, for messages.

pip works in a virtual environment only; a tool of uv or pipx is installed anew with the extra, or
it would lose it at the next upgrade. Tried with pip 23.2, uv 0.13.9 and pipx 1.16
(tests/acceptance/test_getting_it.py). Imported by every command, so it imports nothing itself.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = "ktjob"
_UV_RECEIPT = "uv-receipt.toml"
"""In the environment of a tool of uv: what it was installed from (uv: crates/uv-tool)."""
_PIPX_NOTE = "pipx_metadata.json"
_MOST_BYTES = 1_000_000


def command(extra: str, *, again: bool = False) -> str:
    """The shell command that installs an extra, with the extras that are there where they would be
    lost; `again` installs its packages anew."""
    receipt = os.path.join(sys.prefix, _UV_RECEIPT)
    if os.path.exists(receipt):
        extras = sorted({extra, *_extras_of(receipt)})
        how = "uv tool install --reinstall" if again else "uv tool install"
        return f"{how} {_requirement(_source(), ','.join(extras))}"
    if os.path.exists(os.path.join(sys.prefix, _PIPX_NOTE)):
        return "pipx reinstall ktjob" if again else f"pipx inject ktjob {_requirement(NAME, extra)}"
    if not again:  # pip finds that the package itself is there
        return f"{_pip()} install {_requirement(NAME, extra)}"
    return f"{_pip()} install --force-reinstall {_editable()}{_requirement(_source(), extra)}"


def reinstall() -> str:
    """The shell command that installs ktjob itself again, with the extras that it has where they
    would be lost."""
    receipt = os.path.join(sys.prefix, _UV_RECEIPT)
    if os.path.exists(receipt):
        extras = ",".join(sorted(_extras_of(receipt)))
        return f"uv tool install --reinstall {_requirement(_source(), extras)}"
    if os.path.exists(os.path.join(sys.prefix, _PIPX_NOTE)):
        return "pipx reinstall ktjob"
    return f"{_pip()} install --force-reinstall {_editable()}{_requirement(_source(), '')}"


def _pip() -> str:
    """`pip` where the shell would find this environment's own, else the same in full."""
    import shlex
    import shutil

    folder = os.path.dirname(sys.executable)
    found = shutil.which("pip")
    if found is not None and os.path.dirname(os.path.abspath(found)) == folder:
        return "pip"
    return f"{shlex.quote(sys.executable)} -m pip"


def _requirement(source: str, extras: str) -> str:
    """In quotes for a shell. A URL has the name and the extras before it (PEP 508)."""
    named = f"[{extras}]" if extras else ""
    text = f"{NAME}{named} @ {source}" if "://" in source else f"{source}{named}"
    return "'" + text.replace("'", "'\\''") + "'"


def _editable() -> str:
    return "-e " if _noted().get("dir_info", {}).get("editable") else ""


def _source() -> str:
    """What it was installed from: a folder or wheel, also one that is gone, or a URL; else its name
    in a package index. Never the name where it came from elsewhere: an index may have a package
    with this name that is another one."""
    from urllib.parse import unquote, urlsplit

    noted = _noted()
    url = str(noted.get("url", ""))
    if urlsplit(url).scheme == "file":
        return unquote(urlsplit(url).path)
    kind = (noted.get("vcs_info") or {}).get("vcs")
    return (f"{kind}+{url}" if kind else url) or NAME


def _noted() -> Any:
    """What an installer has noted of it: `direct_url.json` (PEP 610); empty if it came by name."""
    from importlib import metadata

    from jobs import parsing

    try:
        noted = parsing.of_json(metadata.distribution(NAME).read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _extras_of(receipt: str) -> list[str]:
    """The extras that a tool of uv has."""
    from pathlib import Path

    from jobs import parsing

    try:
        noted = parsing.of_toml(parsing.read_text(Path(receipt), _MOST_BYTES))
        (mine,) = (one for one in noted["tool"]["requirements"] if one["name"] == NAME)
        return [str(one) for one in mine.get("extras", ())]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return []
