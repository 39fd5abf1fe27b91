#!/usr/bin/env bash
# Tool: openai 3.57.0 (the Python client)
# Surprise: headers in the environment variable OPENAI_CUSTOM_HEADERS win over what the program says,
#   the key included. A client that was made with `api_key=` sends the Authorization of the
#   environment instead, to whatever `base_url` it has. OPENAI_ORG_ID and OPENAI_PROJECT_ID go out to
#   every server too. A variable that a shell profile sets for one gateway thus decides how a
#   program logs in to a self-hosted server, and the 401 that follows concerns a key that is nowhere
#   in the program's settings.
# Seen: with api_key="given" and OPENAI_CUSTOM_HEADERS="Authorization: Bearer environment", the
#   server gets "Bearer environment", and the organization of the environment.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-cache-dir --no-compile --disable-pip-version-check \
  openai==3.57.0

OPENAI_CUSTOM_HEADERS="Authorization: Bearer environment" OPENAI_ORG_ID=org-environment \
  "$folder/venv/bin/python" - <<'PYTHON'
import http.server
import json
import sys
import threading

import openai

seen: list[dict[str, str]] = []
ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}
    ],
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        seen.append({name.lower(): value for name, value in self.headers.items()})
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"
with openai.OpenAI(base_url=url, api_key="given", max_retries=0) as client:
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Well?"}])
server.shutdown()
got = seen[0].get("authorization"), seen[0].get("openai-organization")
print(f"openai {openai.__version__}, api_key='given': Authorization: {got[0]}")
print(f"  OpenAI-Organization: {got[1]}")
if got != ("Bearer environment", "org-environment"):
    sys.exit(f"changed: the environment no longer decides: {got}")
PYTHON
