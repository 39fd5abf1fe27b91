"""Packages whose bodies run when the first of their own names is asked for.

For a library that imports hundreds of modules of its own of which we need none: in `import openai`
that was half of the time and a fifth of the memory, in every runner. Modules inside of such a
package are imported as ever, and a program that has imported the library before keeps what it has.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

_OF_IMPORTS = {"__cached__", "__file__", "__loader__", "__package__", "__path__", "__spec__"}
"""What the import system itself asks a module for, before it is a module."""


@contextlib.contextmanager
def late(packages: Collection[str]) -> Iterator[None]:
    """The bodies of these packages wait if they are imported inside of the block."""
    finder = _Finder(packages)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Late(ModuleType):
    """A package whose body has not run; it runs once, and other threads wait for its end."""

    _lock = threading.RLock()

    def __getattr__(self, name: str) -> object:
        if name in _OF_IMPORTS:
            raise AttributeError(name)
        loader = self.__spec__.loader if self.__spec__ else None
        with self._lock:
            if isinstance(loader, _Loader) and not loader.has_begun:
                loader.run(self)
        if name not in self.__dict__:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return self.__dict__[name]


class _Loader(SourceFileLoader):
    """Loads a package, but for its body."""

    has_begun = False

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Late(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Not yet."""

    def run(self, module: ModuleType) -> None:
        """The body. Raises what it raises, and begins anew the next time."""
        self.has_begun = True  # the body asks for names of its own package
        try:
            super().exec_module(module)
        except BaseException:
            self.has_begun = False
            raise


class _Finder(MetaPathFinder):
    """Finds these packages where they are plain files."""

    def __init__(self, packages: Collection[str]) -> None:
        self._packages = packages

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._packages:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec
