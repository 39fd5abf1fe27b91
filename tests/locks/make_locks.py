"""Make the lock files that `ktserver install` uses.

    python tests/locks/make_locks.py [NAME …]            write them
    python tests/locks/make_locks.py --check [NAME …]    say what would change, and what is wrong

The input is locks.toml beside this file; NAME is a lock's, such as sglang-kt-0.7.2-cp312. Needs uv
(pip install uv) and the package index, and fetches some 100 KB of each wheel, not the wheels. The
same input gives the same bytes. There are locks for CUDA only: the package index has no torch for
CPUs alone, which has an index of its own. The checks read the METADATA and RECORD of every wheel:
each requirement is in the lock, or named in locks.toml with a reason; no two wheels have the same
path with other bytes, or locks.toml says why that is harmless.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE)]

import wheel_faults  # noqa: E402
from resolution import Chosen, least_glibc, resolve  # noqa: E402

from server_bundle import package_data  # noqa: E402
from server_bundle.install import lock  # noqa: E402

DRIVERS = {"12": "525.60.13", "13": "580.65.06"}
"""The oldest driver by CUDA's major version: NVIDIA's table of CUDA compatibility, which holds for
kernels that are compiled for the GPU, as those of these wheels are."""


def main() -> None:
    """Make or check the locks."""
    options = _options()
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    bad = False
    for entry in package_data.read(HERE / "locks.toml")["lock"]:
        for python in entry["pythons"]:
            path = _path(entry, python)
            if options.names and path.stem not in options.names:
                continue
            chosen = resolve(entry, python, uv)
            faults = wheel_faults.of(entry, python, chosen)
            for fault in faults:
                print(f"{path.stem}: {fault}")
            changed = _changes(path, text := _text(entry, python, chosen))
            print(f"{path.stem}: {changed or 'as it is'}")
            bad = bad or bool(faults) or (options.check and bool(changed))
            if changed and not options.check:
                path.write_text(text, encoding="utf-8")
                lock.read(path)
    sys.exit(1 if bad else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--check", action="store_true", help="write nothing")
    return parser.parse_args()


def _path(entry: dict[str, Any], python: str) -> Path:
    name = f"{entry['engine']}-{entry['version']}-cp{python.replace('.', '')}"
    return lock.LOCKS / f"{name}.txt"


def _text(entry: dict[str, Any], python: str, chosen: list[Chosen]) -> str:
    header = {
        "engine": entry["engine"],
        "version": entry["version"],
        "python": python,
        "variant": lock.CUDA,
        "glibc": least_glibc(chosen),
        "date": entry["until"],
        "unpacked": sum(one.content.unpacked for one in chosen),
    }
    header["cuda"] = _cuda(chosen)
    header["driver"] = DRIVERS[header["cuda"].partition(".")[0]]
    if first := entry.get("first_import"):
        amounts = f"{first['written']} {first['room']}"
        header["first-import"] = f"{amounts} {first['reason']} ({first['source']})"
    lines = ["# Made by tests/locks/make_locks.py from locks.toml: change that file, not this one."]
    lines += [f"#: {key} {value}" for key, value in header.items()]
    lines += [f"#: instruction {one}" for one in entry.get("instructions", ())]
    lines += [f"#: override {one}" for one in _reasons(entry)]
    for one in chosen:
        lines.append(f"# {one.file.name} {one.file.size}")
        lines.append(f"{one.name}=={one.version} --hash=sha256:{one.file.sha256}")
    return "\n".join(lines) + "\n"


def _reasons(entry: dict[str, Any]) -> list[str]:
    return [
        f"{'no ' if kind == 'excludes' else ''}{one['package']}: {one['reason']} ({one['source']})"
        for kind in ("pins", "overrides", "excludes")
        for one in entry.get(kind, ())
    ]


def _cuda(chosen: list[Chosen]) -> str:
    """The CUDA toolkit that torch is built for, by the runtime that its metadata name."""
    for one in chosen:
        if one.name in ("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu12"):
            return ".".join(one.version.split(".")[:2])
    raise SystemExit("no wheel is CUDA's runtime")


def _changes(path: Path, text: str) -> str:
    if not path.exists():
        return "new"
    before, after = path.read_text(encoding="utf-8").splitlines(), text.splitlines()
    gone = [line for line in before if line not in set(after)]
    came = [line for line in after if line not in set(before)]
    return "".join(f"\n  - {line}" for line in gone) + "".join(f"\n  + {line}" for line in came)


if __name__ == "__main__":
    main()
