"""What pyproject.toml cannot say: a wheel installs no package called `jobs`.

That name is so common that a file or folder of the user, or another distribution, would hide ours
or be hidden by it. In a wheel the folder `jobs` is `ktclient/_jobs`, and each import statement says
so. An editable install and the repository itself keep the name of the folder.
"""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

COMMON = "jobs"
OWN = "ktclient._jobs"
OLD_PROGRAMS = ("detach.py", "runner/__main__.py")
OLD_MODULES = (
    "logout.py",
    "processes/detach.py",
    "processes/doorbell.py",
    "runner/start.py",
    "system/logout.py",
    "upkeep/log_rotation.py",
)
"""What systemd units and live processes of earlier versions start below `jobs`, and what those
processes import when they start the next runner. There is no `__init__.py` beside them, so that any
other `jobs` on the path is found before them."""
_ALIAS = '''"""The name by which live processes of earlier versions import {name}."""

import sys
from importlib import import_module

sys.modules[__name__] = import_module("{name}")
'''


def under_own_name(text: str, path: str) -> str:
    """The source with `from jobs…` as `from ktclient._jobs…`; each line keeps its number."""
    lines = text.splitlines(keepends=True)
    for node in ast.walk(ast.parse(text, path)):
        if isinstance(node, ast.Import):
            assert all(alias.name.split(".")[0] != COMMON for alias in node.names), (
                f"{path}:{node.lineno}: write `from {COMMON} import …`, which can be renamed"
            )
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == COMMON:
            at, line = node.lineno - 1, lines[node.lineno - 1]
            before, found, after = line.partition(f"from {COMMON}")
            assert found and len(before) == node.col_offset, f"{path}:{node.lineno}: {line!r}"
            lines[at] = f"{before}from {OWN}{after}"
    return "".join(lines)


class BuildUnderOwnName(build_py):
    """Builds the packages, then renames `jobs`."""

    def run(self) -> None:
        """Leaves an editable install alone: it uses the source files."""
        for name in (COMMON, OWN.replace(".", "/")):  # of an earlier build in the same folder
            shutil.rmtree(Path(self.build_lib) / name, ignore_errors=True)
        super().run()
        if not self.editable_mode:
            self._rename(Path(self.build_lib))

    def _rename(self, root: Path) -> None:
        common, own = root / COMMON, root.joinpath(*OWN.split("."))
        common.rename(own)
        for path in (*root.joinpath("ktclient").rglob("*.py"), *root.glob("server_bundle/**/*.py")):
            old = path.read_text(encoding="utf-8")
            new = under_own_name(old, str(path))
            if new != old:
                path.write_text(new, encoding="utf-8")
        for name in (*OLD_PROGRAMS, *OLD_MODULES):
            (common / name).parent.mkdir(parents=True, exist_ok=True)
            if name in OLD_PROGRAMS:
                shutil.copyfile(own / name, common / name)
            else:
                module = f"{OWN}.{name.removesuffix('.py').replace('/', '.')}"
                (common / name).write_text(_ALIAS.format(name=module), encoding="utf-8")


setup(cmdclass={"build_py": BuildUnderOwnName})
