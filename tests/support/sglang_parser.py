"""The real argument parsers of sglang and sglang-kt, without torch: `parse` asks one about many
command lines at once.

Run as a program it is that parser: everything that `server_args.py` imports from outside of the
archive is a stand-in, which must not come into the process of the tests.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import io
import json
import subprocess
import sys
import tarfile
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ARCHIVE = Path(__file__).parents[1] / "data/sglang_args/server_args.tar.xz"
OLD_KT, NEW_KT = "sglang-kt-0.6.2.post3", "sglang-kt-0.7.2"
UPSTREAM, NEW_UPSTREAM = "sglang-0.5.17", "sglang-0.5.23"
_FOREIGN = {"sglang", "orjson", "torch", "transformers", "packaging", "numpy", "pydantic"}
_FOREIGN |= {"requests", "partial_json_parser", "jsonschema", "openai"}


def unpacked(folder: Path) -> Path:
    """The archive's content, in a folder by version."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def parse(folder: Path, version: str, commands: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """What that version makes of each list of arguments: its settings, or {"error": words}."""
    done = subprocess.run(
        [sys.executable, __file__, str(folder / version)],
        input=json.dumps([list(command) for command in commands]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


class _Anything:
    """Stands for whatever is imported: callable, empty, and of no consequence."""

    def __getattr__(self, name: str) -> _Anything:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **more: Any) -> Any:
        """As a decorator it leaves what it decorates alone."""
        is_decorator = len(args) == 1 and callable(args[0]) and not isinstance(args[0], _Anything)
        return args[0] if is_decorator else self

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __getitem__(self, key: Any) -> _Anything:
        return self

    def __add__(self, other: Any) -> Any:
        return other

    __radd__ = __or__ = __ror__ = __add__

    def __int__(self) -> int:
        return 0

    def __lt__(self, other: Any) -> bool:
        return False

    __gt__ = __le__ = __ge__ = __lt__

    def __mro_entries__(self, bases: Any) -> tuple[()]:
        return ()


class _Module(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything()


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, root: Path) -> None:
        self._root = root

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name.split(".")[0] not in _FOREIGN:
            return None
        file = self._root / (name.replace(".", "/") + ".py")
        if file.exists():
            return importlib.util.spec_from_file_location(name, file)
        package = file.with_suffix("") / "__init__.py"
        if package.exists():
            folders = [str(package.parent)]
            return importlib.util.spec_from_file_location(
                name, package, submodule_search_locations=folders
            )
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: Any) -> types.ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def _main() -> None:
    sys.meta_path.insert(0, _Finder(Path(sys.argv[1])))
    from sglang.srt.server_args import ServerArgs

    moved = Path(sys.argv[1]) / "sglang/srt/utils/server_args_config_parser.py"  # by 0.5.23
    package = "sglang.srt.utils" if moved.exists() else "sglang.srt"
    reader = importlib.import_module(f"{package}.server_args_config_parser")

    parser = argparse.ArgumentParser()
    ServerArgs.add_cli_args(parser)
    answers = []
    for argv in json.load(sys.stdin):
        words = io.StringIO()
        try:
            with contextlib.redirect_stderr(words):
                # as prepare_server_args does it
                found = parser.parse_args(
                    reader.ConfigArgumentMerger(parser).merge_config_with_args(argv)
                )
            answers.append(
                {
                    name: value
                    for name, value in vars(found).items()
                    if isinstance(value, (str, int, float, bool, list, type(None)))
                }
            )
        except SystemExit:
            answers.append({"error": words.getvalue().splitlines()[-1]})
    json.dump(answers, sys.stdout, default=str)


if __name__ == "__main__":
    _main()
