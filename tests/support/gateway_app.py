"""A gateway in a thread of the test's own process, with limits that no option sets.

with gateway_app(state, server.url, Limits(comment_seconds=0.1)) as url:
    httpx2.get(f"{url}/healthz")
"""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.config import settings
from ktclient.gateway import app
from ktclient.gateway.context import Gateway, Limits
from ktclient.gateway.store_threads import StoreThreads
from ktclient.gateway.watch import Watch
from support.patience import HANG_SECONDS

LOOK_SECONDS = 0.01


@contextmanager
def gateway_app(state: StateDir, server: str, limits: Limits) -> Iterator[str]:
    """Its root URL, without /v1, until the block ends. Settings are those of the environment."""
    HttpStore.open(state).close()  # a gateway makes no store of its own accord
    found = dataclasses.replace(settings.load(), state=state, server=server)
    made = Gateway(found, StoreThreads(state), Watch(state), limits)
    config = uvicorn.Config(
        app.make(made), log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
    served = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=served.run, kwargs={"sockets": [listener]})
        thread.start()
        end = time.monotonic() + HANG_SECONDS
        while not served.started:
            assert thread.is_alive() and time.monotonic() < end, "the gateway did not start"
            time.sleep(LOOK_SECONDS)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            served.should_exit = True
            thread.join(HANG_SECONDS)
