"""A real nginx in front of the gateway, with the configuration of docs/howto/clients/nginx.md."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import openai
import pytest
from fake_sglang.process import FakeServer, fake_sglang
from openai.types.chat import ChatCompletionMessageParam
from support import foreign_programs
from support.gateway import SERVE, gateway
from support.patience import HANG_SECONDS
from support.serving import free_port

from jobs.store.state_dir import StateDir

PAGE = Path(__file__).parents[3] / "docs/howto/clients/nginx.md"
NGINX = foreign_programs.nginx()
NAME = "llm.example.org"
MODEL = "DeepSeek-V4-Flash"
LONG = "word " * 220_000
"""1.1 MB."""
SHORT: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Are you there?"}]
PATIENCE_SECONDS = 8.0
"""nginx's 60 s, made shorter. The prefill is silent for longer."""
ROOM = ("--max-running", "4", "--pool", "4000000")
TUNED = ("--comment-seconds", "0.1", "--quick-seconds", "0.1", "--progress-seconds", "0.3")

pytestmark = pytest.mark.nginx


def config(folder: Path, port: int, upstream: int, buffering: str) -> str:
    """The page's server, on plain HTTP (nobody signs for its name here), below `folder`."""
    found = re.search(r"^```nginx\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert found is not None
    server = re.sub(r"^ +ssl_.*\n", "", found[1], flags=re.M)
    server = server.replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    server = server.replace("127.0.0.1:8640", f"127.0.0.1:{upstream}")
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\nproxy_read_timeout {PATIENCE_SECONDS:.0f}s;\n"
        f"proxy_buffering {buffering};\n{places}{server}}}\n"
    )


@contextmanager
def nginx(folder: Path, upstream: int, buffering: str) -> Iterator[str]:
    """A running nginx; its root URL."""
    port = free_port()
    assert NGINX is not None
    path = folder / "nginx.conf"
    path.write_text(config(folder, port, upstream, buffering))
    command = [NGINX, "-p", str(folder), "-c", str(path), "-e", str(folder / "error.log")]
    with (folder / "said").open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=dict(os.environ))
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + HANG_SECONDS
        while True:
            assert process.poll() is None, (folder / "said").read_text()
            assert time.monotonic() < deadline
            try:
                httpx2.get(f"{url}/healthz", headers={"host": NAME})
                break
            except httpx2.TransportError:
                time.sleep(0.02)
        yield url
    finally:
        process.terminate()
        process.wait(HANG_SECONDS)


@pytest.mark.promise
def test_a_silent_prefill_outlives_the_patience_of_nginx(
    state: StateDir, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Plain and streamed, buffered or not; bodies above nginx's own megabyte."""
    folder = tmp_path_factory.mktemp("server")
    add = [*SERVE, "keys", "add", "alice"]
    key = subprocess.run(add, capture_output=True, text=True, check=True).stdout.strip()
    with (
        fake_sglang(folder, "--prefill-seconds", "0.1", *ROOM) as server,
        gateway(state, server.url, "--allow-host", NAME, "--behind-proxy", *TUNED) as one,
        nginx(tmp_path_factory.mktemp("on"), one.port, "on") as buffered,
        nginx(tmp_path_factory.mktemp("off"), one.port, "off") as direct,
        ThreadPoolExecutor(4) as threads,
    ):
        # The server says how many requests it takes at once, while it still answers.
        with client(direct, key) as one:
            one.chat.completions.create(model=MODEL, messages=SHORT)
        server.hold()
        asked = [
            threads.submit(how, url, key) for url in (buffered, direct) for how in (plain, streamed)
        ]
        for number in range(len(asked)):
            wait_for_requests(server, number + 2)
        time.sleep(1.25 * PATIENCE_SECONDS)  # the silence itself
        server.let_go()
        assert [one.result() for one in asked] == ["stop"] * 4
        assert len(server.requests()) == 5
        refused = httpx2.get(f"{direct}/healthz", headers={"host": "evil.example"})
        assert refused.status_code == 421


def wait_for_requests(server: FakeServer, count: int) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while len(server.requests()) < count:
        assert time.monotonic() < deadline, server.events()
        time.sleep(0.05)


def client(url: str, key: str) -> openai.OpenAI:
    named = {"host": NAME}
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, default_headers=named)


def plain(url: str, key: str) -> str:
    """The reason why the answer ended."""
    said = {"role": "user", "content": f"plain {url} {LONG}"}
    with client(url, key) as one:
        answer = one.chat.completions.create(model=MODEL, messages=[said])  # type: ignore[list-item]
    return answer.choices[0].finish_reason


def streamed(url: str, key: str) -> str | None:
    said = {"role": "user", "content": f"streamed {url} {LONG}"}
    last = None
    with client(url, key) as one:
        for chunk in one.chat.completions.create(
            model=MODEL,
            messages=[said],  # type: ignore[list-item]
            stream=True,
        ):
            last = chunk.choices[0].finish_reason
    return last
