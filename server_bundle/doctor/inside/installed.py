"""What is installed in the interpreter that runs this, and whether its files are whole.

Prints one line of JSON: the Python version, the packages with their versions, the packages whose
files are missing or were changed after their installation, and the parts of sgl_kernel that no
package brought. It imports nothing but the standard library and reads no large file: a file counts
as changed when its size is not the one in its package's RECORD. Where two packages own a path with
different contents of the same size, the content is compared, up to _LARGEST_HASHED bytes.
"""

from __future__ import annotations

import ast
import base64
import csv
import hashlib
import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

_LARGEST_HASHED = 4_000_000
_EXAMPLES = 3
_Row = tuple[str, int]
"""A file's hash, as in RECORD, and its size in bytes."""


def _name(one: metadata.Distribution) -> str:
    return (one.metadata["Name"] or "").lower().replace("_", "-").replace(".", "-")


def _rows(one: metadata.Distribution) -> tuple[str, dict[str, _Row]]:
    """The folder of a package, and the files of its RECORD that have a size above zero."""
    root = str(one.locate_file(""))
    found: dict[str, _Row] = {}
    try:
        rows = list(csv.reader((one.read_text("RECORD") or "").splitlines()))
    except (ValueError, csv.Error):
        return root, found
    for row in rows:
        if len(row) == 3 and row[2].isdigit() and int(row[2]) and not row[0].endswith(".pyc"):
            found[os.path.normpath(os.path.join(root, row[0]))] = (row[1], int(row[2]))
    return root, found


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def _is_content(path: str, recorded: str) -> bool:
    """Whether a file has the hash `sha256=...` of a RECORD; true where it cannot be known."""
    kind, _, value = recorded.partition("=")
    if kind != "sha256":
        return True
    digest = hashlib.sha256(Path(path).read_bytes()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == value


def _damages(
    packages: dict[str, tuple[str, dict[str, _Row]]],
) -> list[dict[str, Any]]:
    owners: dict[str, list[str]] = {}
    for name, (_, rows) in packages.items():
        for path in rows:
            owners.setdefault(path, []).append(name)
    found = []
    for name, (root, rows) in packages.items():
        missing, changed, others = [], [], set()
        for path, (recorded, size) in rows.items():
            sharing = [one for one in owners[path] if one != name]
            now = _size(path)
            if now is None:
                missing.append(path)
            elif now != size or (
                size <= _LARGEST_HASHED
                and any(packages[one][1][path][0] != recorded for one in sharing)
                and not _is_content(path, recorded)
            ):
                changed.append(path)
            else:
                continue
            others.update(sharing)
        if missing or changed:
            shown = [os.path.relpath(path, root) for path in [*missing, *changed][:_EXAMPLES]]
            found.append(
                {
                    "package": name,
                    "missing": len(missing),
                    "changed": len(changed),
                    "of": len(rows),
                    "examples": shown,
                    "others": sorted(others),
                }
            )
    return found


def _kernels(root: str) -> dict[str, Any] | None:
    """Of the package sgl_kernel: the folders of compiled kernels that it has, and which of the
    parts are missing that it joins into kernels at its first import (kt-kernel 0.7)."""
    folder = os.path.join(root, "sgl_kernel")
    if not os.path.isdir(folder):
        return None
    built = [
        one
        for one in ("sm90", "sm100")
        if any(
            name.startswith("common_ops.")
            for name in (os.listdir(os.path.join(folder, one)) if _is_folder(folder, one) else [])
        )
    ]
    parts = _payload_parts(os.path.join(folder, "_payload_manifest.py"))
    absent = [one for one in parts if not os.path.isfile(os.path.join(root, one, "payload.part"))]
    return {"built": built, "parts": len(parts), "absent": absent}


def _is_folder(folder: str, name: str) -> bool:
    return os.path.isdir(os.path.join(folder, name))


def _payload_parts(path: str) -> list[str]:
    try:
        tree = ast.parse(Path(path).read_text(encoding="utf-8")[:1_000_000])
    except (OSError, ValueError, SyntaxError):
        return []
    for one in tree.body:
        if not isinstance(one, ast.Assign) or not isinstance(one.value, (ast.Tuple, ast.List)):
            continue
        if any(isinstance(to, ast.Name) and to.id == "PAYLOAD_MODULES" for to in one.targets):
            values = [e.value for e in one.value.elts if isinstance(e, ast.Constant)]
            return [str(value) for value in values]
    return []


def _main() -> None:
    versions: dict[str, str] = {}
    packages: dict[str, tuple[str, dict[str, _Row]]] = {}
    kernels = None
    for one in metadata.distributions():
        name = _name(one)
        if name and name not in versions:
            versions[name] = one.version
            packages[name] = _rows(one)
            kernels = kernels or _kernels(packages[name][0])
    print(
        json.dumps(
            {
                "version": platform.python_version(),
                "packages": versions,
                "damaged": _damages(packages),
                "kernels": kernels,
            }
        )
    )


if __name__ == "__main__":
    _main()
