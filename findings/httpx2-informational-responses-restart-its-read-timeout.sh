#!/usr/bin/env bash
# Tool: httpx2 2.16.2, httpcore2 2.16.2, below openai 3.57.0
# Surprise: before its response a server may send any number of informational ones (1xx). httpx2
#   drops them, but each restarts its read timeout, although neither the status nor a header of the
#   response has arrived. So a request can wait for its headers much longer than `timeout`, also in
#   openai's client on top, and neither bounds the whole. A server can use this to keep such a
#   client through a long prefill while the status is still open; a caller that needs a bound has to
#   keep it itself.
# Seen: with a timeout of 2 s and the response after 4 s: after silence a timeout at 2 s; after
#   "102 Processing" or "103 Early Hints" every 0.4 s a 200 at 4 s. httpx2 and openai alike.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-cache-dir --no-compile --disable-pip-version-check \
  openai==3.57.0 httpx2==2.16.2 httpcore2==2.16.2

"$folder/venv/bin/python" - <<'PYTHON'
import json
import socketserver
import sys
import threading
import time

import httpx2
import openai

INTERIM = {
    "silence": b"",
    "102": b"HTTP/1.1 102 Processing\r\n\r\n",
    "103": b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n",
}
BODY = json.dumps(
    {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": []}
).encode()
FINAL = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n" % len(BODY)
) + BODY
kind = "silence"


class Server(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        length = 0
        while (line := self.rfile.readline().strip().lower()) != b"":
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        self.rfile.read(length)
        try:
            for _ in range(10):
                time.sleep(0.4)
                self.wfile.write(INTERIM[kind])
            self.wfile.write(FINAL)
        except OSError:
            pass  # the client gave up


class Threads(socketserver.ThreadingTCPServer):
    daemon_threads = True


server = Threads(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_address[1]}/v1"


def by_httpx2() -> str:
    try:
        return str(httpx2.get(url, timeout=2.0, trust_env=False).status_code)
    except httpx2.ReadTimeout:
        return "ReadTimeout"


def by_openai() -> str:
    plain = httpx2.Client(trust_env=False)
    client = openai.OpenAI(
        base_url=url, api_key="none", max_retries=0, timeout=2.0, http_client=plain
    )
    try:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}])
    except openai.APITimeoutError:
        return "ReadTimeout"
    return "200"


seen = {}
for kind in INTERIM:
    for name, ask in (("httpx2", by_httpx2), ("openai", by_openai)):
        start = time.monotonic()
        seen[kind, name] = ask()
        print(f"{name}, {kind}: {seen[kind, name]} after {time.monotonic() - start:.1f} s")
expected = {
    (one, name): "ReadTimeout" if one == "silence" else "200"
    for one in INTERIM
    for name in ("httpx2", "openai")
}
if seen != expected:
    sys.exit("changed: expected a timeout in silence, and 200 after interim answers")
PYTHON
