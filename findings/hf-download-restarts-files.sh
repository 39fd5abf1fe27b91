#!/usr/bin/env bash
# Tool: huggingface_hub 2.4.0
# Surprise: `hf_hub_download` continues a file only within one process. It writes to a file with a
#   random name, so after a kill the next process asks for the whole file without a Range, and the
#   first one's partial file stays beside it for ever. And only the size is compared: a file whose
#   bytes differ from the SHA-256 that the hub gave as its ETag is kept without a word.
#   (huggingface_hub #4196 and #4228 have the reason for the random name.)
# Seen: the second process asks with "no Range", 1 orphan is left, and the wrong bytes are kept.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-cache-dir --no-compile --disable-pip-version-check \
  huggingface-hub==2.4.0

cat > "$folder/show.py" <<'PYTHON'
import hashlib
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FILE = os.urandom(4_000_000)
SHA256 = hashlib.sha256(FILE).hexdigest()
asked = []
half_sent, killed = threading.Event(), threading.Event()


class Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        return

    def head(self):
        self.send_response(200)
        self.send_header("ETag", f'"{SHA256}"')
        self.send_header("X-Repo-Commit", "a" * 40)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(FILE)))
        self.end_headers()

    do_HEAD = head

    def do_GET(self):
        if "/resolve/" not in self.path:
            self.send_error(404)
            return
        asked.append(self.headers.get("Range", "no Range"))
        self.head()
        self.wfile.write(FILE[:2_000_000])
        if len(asked) == 1:
            half_sent.set()
            killed.wait()
            return
        self.wfile.write(bytes(2_000_000))  # of the right size, and wrong


server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
server.daemon_threads = True
server.handle_error = lambda *_: None  # the killed client
threading.Thread(target=server.serve_forever, daemon=True).start()
place = Path(sys.argv[1], "weights")
environment = {
    **os.environ,
    "HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}",
    "HF_HOME": sys.argv[1],
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
code = "import sys, huggingface_hub as h; h.hf_hub_download('a/b', 'x.bin', local_dir=sys.argv[1])"
command = [sys.executable, "-c", code, str(place)]
first = subprocess.Popen(command, env=environment)
half_sent.wait()
first.kill()
first.wait()
killed.set()
subprocess.run(command, env=environment, check=True)
orphans = len(list(place.rglob("*.incomplete")))
is_wrong = hashlib.sha256((place / "x.bin").read_bytes()).hexdigest() != SHA256
print(f"asked for: {asked}; partial files left: {orphans}; wrong bytes kept: {is_wrong}")
if (asked, orphans, is_wrong) != (["no Range", "no Range"], 1, True):
    sys.exit("changed: huggingface_hub continues files, or compares their bytes")
PYTHON
"$folder/venv/bin/python" "$folder/show.py" "$folder"
