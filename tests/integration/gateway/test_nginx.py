"""A real nginx in front of the gateway, with the configuration of docs/howto/clients/nginx.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import openai
import pytest
from fake_sglang.process import fake_sglang
from support.gateway import SERVE, gateway
from support.patience import HANG_SECONDS
from support.serving import free_port

from jobs.store.state_dir import StateDir

PAGE = Path(__file__).parents[3] / "docs/howto/clients/nginx.md"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
NAME = "llm.example.org"
MODEL = "DeepSeek-V4-Flash"
PATIENCE = "1s"
"""nginx's 60 s, made short; the prefill is three times as long."""
TUNED = ("--comment-seconds", "0.1", "--quick-seconds", "0.1", "--progress-seconds", "0.3")

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


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
        f"events {{}}\nhttp {{\naccess_log off;\nproxy_read_timeout {PATIENCE};\n"
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
    """Plain and streamed, buffered or not; a body above nginx's own megabyte."""
    folder = tmp_path_factory.mktemp("nginx")
    long = "word " * 300_000
    add = [*SERVE, "keys", "add", "alice"]
    key = subprocess.run(add, capture_output=True, text=True, check=True).stdout.strip()
    with (
        fake_sglang(folder, "--prefill-seconds", "3") as server,
        gateway(state, server.url, "--allow-host", NAME, "--behind-proxy", *TUNED) as one,
    ):
        for buffering in ("on", "off"):
            inner = tmp_path_factory.mktemp(buffering)
            with nginx(inner, one.port, buffering) as url:
                client = openai.OpenAI(
                    base_url=f"{url}/v1",
                    api_key=key,
                    max_retries=0,
                    default_headers={"host": NAME},
                )
                said: list[openai.types.chat.ChatCompletionMessageParam] = [
                    {"role": "user", "content": f"{buffering} {long}"}
                ]
                plain = client.chat.completions.create(model=MODEL, messages=said)
                assert plain.choices[0].finish_reason == "stop"
                kinds = []
                for chunk in client.chat.completions.create(
                    model=MODEL, messages=[*said, *said], stream=True
                ):
                    kinds.append(chunk.choices[0].finish_reason)
                assert kinds[-1] == "stop" and len(kinds) > 3
                assert "timed out" not in (inner / "error.log").read_text()
                refused = httpx2.get(f"{url}/healthz", headers={"host": "evil.example"})
                assert refused.status_code == 421
