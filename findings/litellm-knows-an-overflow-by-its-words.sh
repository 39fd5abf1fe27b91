#!/usr/bin/env bash
# Tool: litellm 1.110.2 (its Python SDK)
# Surprise: a server that refuses a prompt for its length with OpenAI's code `context_length_exceeded` is
#   not understood by that code. litellm looks for phrases in the message: without one of them it raises
#   a plain BadRequestError, and what hangs on ContextWindowExceededError (fallbacks to a larger model,
#   agents that shorten their history) does not happen. With a known phrase and no code at all it does.
# Seen: code context_length_exceeded, "12 tokens, and the window is 8": BadRequestError. The same words
#   behind "the prompt is too long: ", without the code: ContextWindowExceededError.
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

WORDS = "12 tokens, and the window is 8"
error: dict[str, object] = {}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        text = json.dumps({"error": error}).encode()
        self.send_response(400)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


def raised(url: str, message: str, code: str | None) -> str:
    error.update(message=message, type="invalid_request_error", param="messages", code=code)
    asked = {"model": "openai/m", "messages": [{"role": "user", "content": "Well?"}]}
    try:
        litellm.completion(**asked, api_base=url, api_key="k", num_retries=0)
    except Exception as found:
        return type(found).__name__
    return "nothing"


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"
by_code = raised(url, WORDS, "context_length_exceeded")
by_words = raised(url, f"the prompt is too long: {WORDS}", None)
server.shutdown()
print(f"litellm, code context_length_exceeded and other words: {by_code}")
print(f"  known words and no code: {by_words}")
if (by_code, by_words) != ("BadRequestError", "ContextWindowExceededError"):
    sys.exit("changed: how litellm recognises an overflow")
PYTHON
