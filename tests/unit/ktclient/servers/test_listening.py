"""The run of a server on this machine, against sockets of this process."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from jobs.processes import identity
from jobs.system import listening_sockets
from ktclient.servers import listening


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["v4", "v6"])
def server(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """One that listens on a free port, with a connection to it at the same port."""
    with socket.socket(request.param) as server:
        try:
            server.bind(("::1" if request.param == socket.AF_INET6 else "127.0.0.1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
        server.listen()
        with socket.socket(request.param) as client:
            client.connect(server.getsockname())
            yield server


@pytest.fixture(params=["asked", "not answered", "refused"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kernel is asked for listeners, does not know that question, or may not be asked it."""
    if request.param == "not answered":
        monkeypatch.setattr(listening_sockets, "_BY_FAMILY", 99)
    elif request.param == "refused":
        monkeypatch.setattr(socket, "AF_NETLINK", 9999)
    return str(request.param)


def test_a_run_is_the_inode_of_what_listens(server: socket.socket, kernel: str) -> None:
    """However it is learned; and another one after it."""
    port = server.getsockname()[1]
    url = f"http://localhost:{port}/v1"
    assert listening.run_of(url) == f"{identity.boot_id()}:{os.fstat(server.fileno()).st_ino}"
    if kernel == "asked":
        assert list(listening_sockets._of_kernel(server.family, port))
    else:
        with pytest.raises(OSError):
            list(listening_sockets._of_kernel(server.family, port))
    server.close()
    assert listening.run_of(url) is None


def test_many_that_listen_are_more_than_one_answer(kernel: str) -> None:
    """Of the kernel: each of a server's processes may have a socket of its own."""
    one = socket.create_server(("127.0.0.1", 0), reuse_port=True)
    port = one.getsockname()[1]
    more = [socket.create_server(("127.0.0.1", port), reuse_port=True) for _ in range(300)]
    numbers = sorted(str(os.fstat(each.fileno()).st_ino) for each in (one, *more))
    assert listening.run_of(f"http://127.0.0.1:{port}") == (
        f"{identity.boot_id()}:{','.join(numbers)}"
    )
    for each in (one, *more):
        each.close()


def test_of_another_machine_nothing_is_known() -> None:
    assert listening.run_of("http://192.0.2.1:80") is None
