#!/usr/bin/env bash
# Tool: psutil 7.2.1 on Linux 6 with CPython 3.10 to 3.12 (the same in /proc/PID/stat, ps and top)
# Surprise: a process whose first thread has ended is shown as a zombie, while its other threads run on,
#   answer on its port and have all its memory. psutil's status() and `ps` show the state of the first
#   thread, not of the process. It is how every killed program with several threads looks for a moment,
#   and an inference server for seconds: its threads give pinned memory back, and until the last one has
#   ended the GPU's memory is not free. Seen with sglang 0.5.17 (24 GiB pinned) on an H200, which cannot be
#   shown here without a GPU: all its processes were zombies 2.1 to 2.6 s before nvidia-smi showed 17 GiB
#   as free. So "wait until nothing but zombies is left, then start the next server" starts it on a GPU
#   that is still taken. num_threads() tells them apart: it is 1 only for a zombie that has really ended.
# Seen: "status zombie, 2 threads: still answers "alive"", and after SIGKILL
#   "status zombie, 1 thread: connection refused".
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q psutil==7.2.1
cat > "$folder/server.py" <<'PY'
"""Answers on a port from a thread; its first thread ends, as pthread_exit(3) allows."""
import ctypes
import socket
import threading

listener = socket.create_server(("127.0.0.1", 0))


def answer():
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"alive")


threading.Thread(target=answer).start()
print(listener.getsockname()[1], flush=True)
ctypes.CDLL(None).pthread_exit(None)
PY
cat > "$folder/look.py" <<'PY'
import socket
import subprocess
import sys
import time

import psutil


def asked(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            return 'still answers "' + connection.recv(10).decode() + '"'
    except ConnectionRefusedError:
        return "connection refused"


def look(process, threads):
    """Its status, once it has as many threads."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if process.status() == psutil.STATUS_ZOMBIE and process.num_threads() == threads:
            break
        time.sleep(0.01)
    return process.status(), process.num_threads()


child = subprocess.Popen([sys.executable, sys.argv[1]], stdout=subprocess.PIPE, text=True)
port = int(child.stdout.readline())
process = psutil.Process(child.pid)
living = (*look(process, 2), asked(port))
print("status {}, {} threads: {}".format(*living))
child.kill()
dead = (*look(process, 1), asked(port))
print("killed:  status {}, {} thread: {}".format(*dead))
child.wait()
if living != ("zombie", 2, 'still answers "alive"') or dead != ("zombie", 1, "connection refused"):
    sys.exit("changed: a zombie is no longer shown for a process with living threads")
PY
"$folder/venv/bin/python" "$folder/look.py" "$folder/server.py"
