"""A gateway with its page, over a scripted server, for a whole module of tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fake_sglang.process import FakeServer, fake_sglang

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.config import settings as config
from ktclient.documents import document
from ktclient.planning.options import RequestOptions
from ktclient.prompts import tasks
from ktclient.submission import enqueue
from ktclient.submission.options import SubmitOptions
from support import processes
from support.gateway import Serving, gateway


@dataclass(frozen=True)
class Site:
    """A running gateway, the server behind it, and where its jobs are."""

    serving: Serving
    server: FakeServer
    state: StateDir
    environment: dict[str, str]

    @property
    def url(self) -> str:
        """The page."""
        return self.serving.url

    def submit(self, text: str, question: str, title: str = "report.txt") -> str:
        """A job as of the command line. Its id."""
        settings = config.load({**os.environ, **self.environment})
        request = RequestOptions(tasks=(tasks.task(False, question, None),))
        given = document.from_text(text, title)
        return enqueue.enqueue(given, SubmitOptions(request), settings)[0][0]

    def jobs(self) -> int:
        """How many there are, in whatever state."""
        if not self.state.has_database():
            return 0
        with Store.open_existing(self.state) as store:
            return sum(store.counts().values())


@contextmanager
def site(folder: Path, *server_options: str, port: int = 0) -> Iterator[Site]:
    """Everything in one folder, and ended with the block."""
    state = StateDir(folder / "state").create()
    with fake_sglang(folder, "--metrics", *server_options) as server:
        environment = {
            "KTJOB_HOME": str(state.root),
            "KTJOB_SERVER": server.url,
            "KTJOB_CONFIG": str(folder / "config"),
            "KTJOB_CACHE": str(folder / "cache"),
        }
        rest = {name: environment[name] for name in ("KTJOB_CONFIG", "KTJOB_CACHE")}
        try:
            with gateway(state, server.url, port=port, **rest) as serving:
                yield Site(serving, server, state, environment)
        finally:
            server.let_go()
            processes.end_all(state)
