"""The kernel's numbers of listening sockets."""

from __future__ import annotations

import os
import socket

import pytest

from jobs.system import listening_sockets


def test_it_is_the_number_of_the_socket_and_the_same_by_either_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the kernel's answer, and by its table; a connection of that port is no listener."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
        expected = [str(os.fstat(one.fileno()).st_ino)]
        with socket.create_connection(("127.0.0.1", port)):
            assert listening_sockets.inodes(port) == expected
            monkeypatch.setattr(listening_sockets, "_BY_FAMILY", 99)  # which no kernel knows
            assert listening_sockets.inodes(port) == expected
    assert listening_sockets.inodes(port) == []


def test_those_of_both_families_are_found() -> None:
    """A server may listen at an address of each."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
        try:
            other = socket.create_server(("::1", port), family=socket.AF_INET6)
        except OSError:
            pytest.skip("this machine has no IPv6")
        with other:
            numbers = {str(os.fstat(each.fileno()).st_ino) for each in (one, other)}
            assert set(listening_sockets.inodes(port)) == numbers
