#!/usr/bin/env bash
# Tool: openai 3.57.0 (the Python client)
# Surprise: a server keeps a silent stream alive with comments (lines that begin with a colon), and
#   openai's client passes over them. But once any event had an `id:` line, which the format allows,
#   the client remembers that id, and every comment that follows becomes an event with empty data,
#   which it parses as JSON: the call ends with a JSONDecodeError in the middle of the answer. A
#   `retry:` line without data raises the same at once. So a server that makes its streams resumable by `id:`, as browsers' EventSource wants it, must not do
#   so where openai's client reads and silence is bridged by comments.
# Seen: comments only: the whole answer. The same stream with "id: 1" at its first event:
#   JSONDecodeError at the comment behind it; with "retry: 1000" alone, before any word.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-cache-dir --no-compile --disable-pip-version-check \
  openai==3.57.0

NO_PROXY=127.0.0.1 "$folder/venv/bin/python" - <<'PYTHON'
import http.server
import json
import sys
import threading

import openai

CHUNK = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
id_line = first = b""


def event(text: str, finish_reason: str | None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    return b"data: " + json.dumps({**CHUNK, "choices": [choice]}).encode() + b"\n\n"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(first + id_line + event("one ", None))
        self.wfile.write(b": still there\n\n")
        self.wfile.write(event("two", "stop") + b"data: [DONE]\n\n")

    def log_message(self, *_: object) -> None:
        pass


def heard(client: openai.OpenAI) -> str:
    message = [{"role": "user", "content": "Well?"}]
    words = ""
    try:
        for chunk in client.chat.completions.create(model="m", messages=message, stream=True):
            words += chunk.choices[0].delta.content or ""
    except Exception as error:
        return f"{words!r}, then {type(error).__name__}"
    return repr(words)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"
with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client:
    without = heard(client)
    id_line = b"id: 1\n"
    with_id = heard(client)
    id_line, first = b"", b"retry: 1000\n\n"
    with_retry = heard(client)
server.shutdown()
print(f"openai {openai.__version__}, a comment between two events: {without}")
print(f"  with an id: line at the first event: {with_id}")
print(f"  with a retry: line before it: {with_retry}")
if (without, with_id) != ("'one two'", "'one ', then JSONDecodeError"):
    sys.exit("changed: comments behind an id: line are read in another way")
if with_retry != "'', then JSONDecodeError":
    sys.exit("changed: a retry: line alone is read in another way")
PYTHON
