#!/usr/bin/env bash
# Tool: openai 3.57.0 (the Python client)
# Surprise: `responses.stream(response_id=…, starting_after=N)`, the helper that resumes a background
#   response, does not send `starting_after`. It asks the server for the whole stream, insists on
#   `response.created` as the first event, and leaves out the events up to N itself. The plain call
#   `responses.retrieve(id, stream=True, starting_after=N)` does send it. So a server that keeps only
#   the latest events, or replays from N, serves one of the two and breaks the other: it has to keep
#   every event from 0 for as long as anybody may come back.
# Seen: the query of the helper: stream=true. Of the plain call: starting_after=2&stream=true. The
#   helper's first event is number 3, though the server sent 0 to 5.
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
from urllib.parse import parse_qsl, urlsplit

import openai

queries: list[dict[str, str]] = []
PART = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
ITEM = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress"}
WHERE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}


def response(status: str, output: list[object]) -> dict[str, object]:
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": status,
        "output": output, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    }


DONE = {**ITEM, "status": "completed", "content": [{**PART, "text": "Yes"}]}
EVENTS = [
    {"type": "response.created", "response": response("in_progress", [])},
    {"type": "response.output_item.added", "output_index": 0, "item": {**ITEM, "content": []}},
    {"type": "response.content_part.added", **WHERE, "part": PART},
    {"type": "response.output_text.delta", **WHERE, "delta": "Yes", "logprobs": []},
    {"type": "response.output_item.done", "output_index": 0, "item": DONE},
    {"type": "response.completed", "response": response("completed", [DONE])},
]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        query = dict(parse_qsl(urlsplit(self.path).query))
        queries.append(query)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for number, event in enumerate(EVENTS):
            if number > int(query.get("starting_after", -1)):
                data = json.dumps({**event, "sequence_number": number})
                self.wfile.write(f"event: {event['type']}\ndata: {data}\n\n".encode())

    def log_message(self, *_: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"
with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client:
    with client.responses.stream(response_id="resp_1", starting_after=2) as stream:
        helper = [event.sequence_number for event in stream]
    plain = client.responses.retrieve("resp_1", stream=True, starting_after=2)
    numbers = [event.sequence_number for event in plain]
server.shutdown()
print(f"openai {openai.__version__}, responses.stream(starting_after=2) asks for {queries[0]}")
print(f"  and yields the events {helper}")
print(f"responses.retrieve(stream=True, starting_after=2) asks for {queries[1]}: {numbers}")
if "starting_after" in queries[0] or queries[1].get("starting_after") != "2":
    sys.exit(f"changed: what is sent: {queries}")
if helper[0] != 3 or numbers[0] != 3:
    sys.exit(f"changed: which events are yielded: {helper}, {numbers}")
PYTHON
