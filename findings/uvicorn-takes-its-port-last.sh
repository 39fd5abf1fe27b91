#!/usr/bin/env bash
# Tool: uvicorn 0.54.0, with starlette 1.10.0
# Surprise: uvicorn runs the application's whole start-up (lifespan) before it binds its port. If
#   the port is taken, everything is loaded first, which takes minutes in a model server, and
#   unloaded again; "address already in use" comes in between, after "Application startup
#   complete.". So that line does not prove readiness. The exit status is 3, not 1. sglang is served
#   by uvicorn: check the port before the start, and ask over HTTP before calling the server ready.
# Seen: in this order: "the model is loaded", "Application startup complete.", "[Errno 98] error
#   while attempting to bind on address ...: address already in use", "the model is unloaded"; exit
#   status 3.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-cache-dir --no-compile --disable-pip-version-check \
  uvicorn==0.54.0 starlette==1.10.0

cat >"$folder/served.py" <<'PYTHON'
import contextlib
import sys

from starlette.applications import Starlette


@contextlib.asynccontextmanager
async def lifespan(app):
    print("the model is loaded", file=sys.stderr)
    yield
    print("the model is unloaded", file=sys.stderr)


app = Starlette(lifespan=lifespan)
PYTHON

cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import socket
import subprocess
import sys

with socket.create_server(("127.0.0.1", 0)) as holder:
    port = str(holder.getsockname()[1])
    done = subprocess.run(
        [sys.executable, "-m", "uvicorn", "served:app", "--port", port],
        capture_output=True,
        text=True,
        timeout=60,
    )
print(done.stderr, f"exit status {done.returncode}", sep="")
expected = (
    "the model is loaded",
    "Application startup complete",
    "address already in use",
    "the model is unloaded",
)
places = [done.stderr.find(words) for words in expected]
if done.returncode != 3 or -1 in places or places != sorted(places):
    sys.exit("changed: expected in this order, with exit status 3: " + "; ".join(expected))
PYTHON
