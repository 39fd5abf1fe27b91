"""Which errors mean that memory ran out."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator

import pytest

from jobs.system import no_memory

THREAD = RuntimeError("can't start new thread")
NAMELESS = SystemError("error return without exception set")


@pytest.fixture
def limited() -> Iterator[None]:
    """A limit that is far away."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 45, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        THREAD,
        ImportError("x.so: failed to map segment from shared object"),
    ],
)
def test_each_of_pythons_errors_is_one(error: BaseException) -> None:
    """Also as the reason of another."""
    assert no_memory.is_it(error)
    try:
        try:
            raise error
        except Exception as reason:
            raise ValueError("x") from reason
    except ValueError as wrapped:
        assert no_memory.is_it(wrapped)


def test_others_are_none() -> None:
    for error in (OSError(errno.EIO, "x"), RuntimeError("x"), ImportError("x"), ValueError("x")):
        assert not no_memory.is_it(error)


def test_an_error_without_a_name_is_one_under_a_limit_only(limited: None) -> None:
    assert no_memory.is_it(NAMELESS) and not no_memory.is_it(SystemError("x"))
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, hard))
    assert not no_memory.is_it(NAMELESS)


def test_the_limit_is_named(limited: None) -> None:
    """That of this process first; processes only where no thread could be started."""
    words = no_memory.words(MemoryError())
    assert f"{(1 << 45) / 1e6:,.0f} MB of address space (`ulimit -v`)" in words
    assert "ulimit -u" in no_memory.words(THREAD) and "ulimit -u" not in words
