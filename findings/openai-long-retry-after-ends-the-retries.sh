#!/usr/bin/env bash
# Tool: openai 3.57.0, with httpx2 2.16.2
# Surprise: with max_retries=2, a 429 or 503 without Retry-After, or with a short one, is sent three
#   times in all. With a Retry-After above 120 seconds it is sent once: the client raises the error
#   without any retry, whatever max_retries says. So a server whose queue is full gets fewer retries
#   for an honest "in five minutes" than for saying nothing, and a program that has to get through
#   needs a retry of its own around the client.
# Seen: POSTs for one call with max_retries=2: no Retry-After 3, "1" 3, "121" 1, "300" 1, for 429 and
#   503 alike. The calls with one POST raised within 0.1 s.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-cache-dir --no-compile --disable-pip-version-check \
  openai==3.57.0 httpx2==2.16.2

NO_PROXY=127.0.0.1 "$folder/venv/bin/python" - <<'PYTHON'
import http.server
import sys
import threading
import time

import openai

BODY = b'{"error": {"message": "the queue is full", "type": "server_error", "code": null}}'
status, retry_after, posts = 503, "", 0


class Server(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        global posts
        posts += 1
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(status)
        if retry_after:
            self.send_header("retry-after", retry_after)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *args: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"
client = openai.OpenAI(base_url=url, api_key="none", max_retries=2)
seen = []
for status in (429, 503):
    for retry_after in ("", "1", "121", "300"):
        posts, start = 0, time.monotonic()
        try:
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}])
        except openai.APIStatusError as error:
            took = time.monotonic() - start
            seen.append(posts)
            said = f"Retry-After: {retry_after}" if retry_after else "no Retry-After"
            print(f"{status}, {said}: {posts} POST, {type(error).__name__} after {took:.1f} s")
if seen != [3, 3, 1, 1] * 2:
    sys.exit(f"changed: POSTs were {seen}, expected 3, 3, 1, 1 for each status")
PYTHON
