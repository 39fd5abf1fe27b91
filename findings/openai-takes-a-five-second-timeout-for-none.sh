#!/usr/bin/env bash
# Tool: openai 3.57.0, with httpx2 2.16.2
# Surprise: openai uses the timeout of the `http_client` that it is given, unless that is five
#   seconds. Five seconds is httpx2's default; openai cannot tell a chosen five from the default,
#   and uses its own 600 seconds instead. Client(timeout=4) gives up after 4 s, Client(timeout=5)
#   after ten minutes. openai's own DefaultHttpxClient(timeout=5) is no different. A timeout given to
#   OpenAI(...) itself is used whatever it is, so set it there.
# Seen: read timeouts (openai sends them as x-stainless-read-timeout): Client(timeout=4.0) 4 s,
#   Client(timeout=5.0) 600 s, Client(timeout=6.0) 6 s, DefaultHttpxClient(timeout=5.0) 600 s,
#   OpenAI(timeout=5.0) 5 s. An answer after 6.5 s arrived with Client(timeout=5.0), and was a
#   timeout with Client(timeout=6.0).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-cache-dir --no-compile --disable-pip-version-check \
  openai==3.57.0 httpx2==2.16.2

NO_PROXY=127.0.0.1 "$folder/venv/bin/python" - <<'PYTHON'
import http.server
import json
import sys
import threading
import time

import httpx2
import openai

ANSWER = json.dumps(
    {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": []}
).encode()
pause = 0.0
asked_for: list[str] = []


class Server(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        asked_for.append(self.headers["x-stainless-read-timeout"])
        time.sleep(pause)
        try:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)
        except OSError:
            pass  # the client gave up

    def log_message(self, *args: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()


def ask(**settings: object) -> str:
    url = f"http://127.0.0.1:{server.server_port}/v1"
    client = openai.OpenAI(base_url=url, api_key="none", max_retries=0, **settings)
    try:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}])
    except openai.APITimeoutError:
        return "given up"
    return "answered"


makers = {
    "Client(timeout=4.0)": lambda: {"http_client": httpx2.Client(timeout=4.0)},
    "Client(timeout=5.0)": lambda: {"http_client": httpx2.Client(timeout=5.0)},
    "Client(timeout=6.0)": lambda: {"http_client": httpx2.Client(timeout=6.0)},
    "DefaultHttpxClient(timeout=5.0)": lambda: {
        "http_client": openai.DefaultHttpxClient(timeout=5.0)
    },
    "OpenAI(timeout=5.0)": lambda: {"timeout": 5.0},
}
for make in makers.values():
    ask(**make())
in_force = dict(zip(makers, (float(one) for one in asked_for), strict=True))
for name, seconds in in_force.items():
    print(f"{name}: read timeout {seconds:g} s")

pause = 6.5
ends = {name: ask(**makers[name]()) for name in ("Client(timeout=5.0)", "Client(timeout=6.0)")}
for name, end in ends.items():
    print(f"{name}, with an answer after {pause} s: {end}")

expected = [4, 600, 6, 600, 5], ["answered", "given up"]
if (list(in_force.values()), list(ends.values())) != expected:
    sys.exit("changed: expected read timeouts 4, 600, 6, 600, 5; answered, then given up")
PYTHON
