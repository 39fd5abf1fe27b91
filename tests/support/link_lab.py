"""A link between ktjob and a model server, to be cut: two network namespaces, one veth pair."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from acceptance import ssh_lab
from fake_sglang.process import SCRIPT, FakeServer

LISTENING = Path(__file__).with_name("listening")


@dataclass(frozen=True)
class Link:
    """The two ends, by the names of their namespaces."""

    client: str
    server: str

    def cut(self) -> None:
        """The client's machine loses its network; nobody is told."""
        ssh_lab.ip("-n", self.client, "link", "set", ssh_lab.LINK, "down")

    def restore(self) -> None:
        ssh_lab.ip("-n", self.client, "link", "set", ssh_lab.LINK, "up")

    def run(
        self, command: list[str], environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end on the client's machine; what it detaches stays there."""
        return subprocess.run(
            [*_inside(self.client), *command],
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def fake_sglang(self, folder: Path, *options: str) -> Iterator[FakeServer]:
        """The scripted server on the other machine."""
        record = Path(tempfile.mkdtemp(prefix="fake-sglang-", dir=folder))
        command = [sys.executable, str(SCRIPT), "--port", "0", "--record", str(record), *options]
        environment = {"PYTHONPATH": str(LISTENING), "KTJOB_LISTEN": ssh_lab.SERVER_ADDRESS}
        process = subprocess.Popen(
            [*_inside(self.server), *command],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                assert process.stdout is not None
                port = process.stdout.readline().strip().rpartition(":")[2]
                yield FakeServer(f"http://{ssh_lab.SERVER_ADDRESS}:{port}", record, process)
            finally:
                process.kill()


def _inside(namespace: str) -> list[str]:
    """`ip netns exec` becomes the command: a process has one id, its own."""
    path = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    assert path is not None
    return [path, "netns", "exec", namespace]


@contextmanager
def link() -> Iterator[Link]:
    """Both machines and the link between them, up."""
    with ssh_lab.linked_namespaces() as (client, server):
        yield Link(client, server)
