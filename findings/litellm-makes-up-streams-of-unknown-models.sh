#!/usr/bin/env bash
# Tool: litellm 1.110.2 (its Python SDK)
# Surprise: `litellm.responses(model="openai/NAME", stream=True)` sends no `stream` where NAME is not in
#   litellm's own table of models, as no name of a self-hosted model is. It waits for the whole plain
#   answer and then makes up the events of a stream, `response.completed` at the end included, also
#   where the server's answer is a response that has only been queued. So a caller gets no word before
#   the last one, and takes a job that has not begun for a complete one. `litellm.register_model` with
#   `supports_native_streaming` cures it.
# Seen: the body that was sent has no "stream". The server answered with status "queued"; the last event
#   was "response.completed". After register_model, the body has "stream": true.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-cache-dir --no-compile --disable-pip-version-check \
  litellm==1.110.2

NO_PROXY=127.0.0.1 LITELLM_LOCAL_MODEL_COST_MAP=True "$folder/venv/bin/python" - <<'PYTHON'
import http.server
import json
import sys
import threading

import litellm

bodies: list[dict[str, object]] = []
QUEUED = {
    "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "queued",
    "output": [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": None,
    "error": None, "incomplete_details": None, "instructions": None, "metadata": {},
    "temperature": 1.0, "top_p": 1.0,
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        if bodies[-1].get("stream"):
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for number, status in enumerate(("queued", "in_progress", "completed")):
                kind = f"response.{status if number else 'created'}"
                response = {**QUEUED, "status": status}
                event = {"type": kind, "sequence_number": number, "response": response}
                self.wfile.write(f"event: {kind}\ndata: {json.dumps(event)}\n\n".encode())
            return
        text = json.dumps(QUEUED).encode()
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


def kinds(url: str) -> list[str]:
    asked = {"model": "openai/house-model", "input": "Well?", "stream": True}
    events = litellm.responses(**asked, api_base=url, api_key="k", num_retries=0)
    return [str(getattr(event.type, "value", event.type)) for event in events]


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"
made_up = kinds(url)
info = {"supports_native_streaming": True, "litellm_provider": "openai", "mode": "responses"}
litellm.register_model({"openai/house-model": info})
real = kinds(url)
server.shutdown()
print(f"litellm, an unknown model with stream=True: the body has stream={bodies[0].get('stream')}")
print(f"  the server said it is {QUEUED['status']}; the events: {made_up}")
print(f"after register_model: stream={bodies[1].get('stream')}; the events: {real}")
if bodies[0].get("stream") or made_up[-1] != "response.completed":
    sys.exit("changed: streams of unknown models are no longer made up")
if bodies[1].get("stream") is not True:
    sys.exit("changed: register_model no longer cures it")
PYTHON
