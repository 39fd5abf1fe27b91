"""Making an environment from wheels that are all there: by uv where there is one, else by pip.

Both install without any index, without dependencies, and only what has the lock's hashes.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from jobs import child_environment, draft
from jobs.processes import parent_death
from server_bundle.errors import InstallFailed
from server_bundle.install.interpreters import Interpreter
from server_bundle.install.layout import Layout
from server_bundle.install.lock import Wheel

_LOOK_SECONDS = 0.5
_TAIL_LINES = 12


def write_requirements(wheels: Sequence[Wheel], path: Path) -> None:
    """Write the wheels as a requirements file with hashes. Raises `OSError`."""
    lines = [f"{one.name}=={one.version} --hash=sha256:{one.sha256}" for one in wheels]
    draft.write(path, "\n".join([*lines, ""]), is_synced=False)


def make(layout: Layout, base: Interpreter, uv: str | None) -> None:
    """Make an empty environment. Raises `InstallFailed`."""
    if base.makes_environments:
        _run([base.path, "-I", "-m", "venv", str(layout.folder)], layout, None)
    elif uv is not None:
        command = [uv, "venv", "--no-config", "--no-project", "--no-python-downloads"]
        _run(
            [*command, "--allow-existing", "--python", base.path, str(layout.folder)], layout, None
        )
    else:
        raise InstallFailed(
            f"{base.path} lacks the module venv or ensurepip, and there is no uv. Install "
            f"python{base.minor}-venv (apt), or uv (pip install uv), then run the command again"
        )


def install(layout: Layout, uv: str | None, total: int, on_look: Callable[[int], None]) -> None:
    """Install all wheels. `on_look` gets the number of packages that are there. Raises
    `InstallFailed`, with what the program said."""
    places = ["--no-index", "--find-links", str(layout.wheels)]
    hashes = ["--no-deps", "--require-hashes", "--requirement", str(layout.requirements)]
    if uv is not None:
        own = ["--no-config", "--offline", "--link-mode", "hardlink", "--only-binary", ":all:"]
        where = ["--cache-dir", str(layout.cache), "--python", str(layout.python)]
        command = [uv, "pip", "install", *own, *where, *places, *hashes]
    else:
        own = ["--isolated", "--no-cache-dir", "--only-binary", ":all:", "--no-input"]
        own += ["--disable-pip-version-check", "--no-warn-script-location", "--progress-bar", "off"]
        command = [str(layout.python), "-I", "-m", "pip", "install", *own, *places, *hashes]
    _run(command, layout, lambda: on_look(min(total, _packages(layout))))


def _packages(layout: Layout) -> int:
    return sum(1 for _ in layout.folder.glob("lib/python3*/site-packages/*.dist-info/METADATA"))


def _run(command: list[str], layout: Layout, on_look: Callable[[], None] | None) -> None:
    """Run a program to its end, its output in the log. It ends when this process is killed."""
    said = layout.work / "program.log"
    with said.open("w+b") as output:
        try:
            process = subprocess.Popen(
                command,
                env=_environment(layout),
                cwd=layout.work,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=partial(parent_death.die_with, os.getpid()),
            )
        except OSError as error:
            raise InstallFailed(f"cannot run {command[0]}: {error.strerror or error}") from error
        try:
            while process.poll() is None:
                time.sleep(_LOOK_SECONDS if on_look else 0.05)
                if on_look is not None:
                    on_look()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode:
        raise InstallFailed(_words(command, process.returncode, said))


def _environment(layout: Layout) -> dict[str, str]:
    """Without the user's settings of pip and uv: all that is needed is in the folder of wheels."""
    given = child_environment.inherited()
    kept = {name: value for name, value in given.items() if not name.startswith(("PIP_", "UV_"))}
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX"):
        kept.pop(name, None)
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "TMPDIR": str(layout.work)}


def _words(command: list[str], status: int, said: Path) -> str:
    lines = said.read_text(errors="replace").strip().splitlines()
    name = Path(command[0]).name
    what = "pip" if "pip" in command and name != "uv" else name
    how = f"exit code {status}" if status > 0 else f"signal {-status}"
    shown = "\n".join(lines[-_TAIL_LINES:]) or "no output"
    begin = f"{what} could not install the packages ({how}):"
    return f"{begin}\n{shown}\nRun the command again to continue"
