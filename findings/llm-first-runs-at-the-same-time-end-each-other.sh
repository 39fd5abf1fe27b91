#!/usr/bin/env bash
# Tool: llm 0.36, with sqlite-utils 4.2.1, Python 3.11
# Surprise: llm makes its log database in two dozen steps, with no lock around them, before it sends
#   the prompt. Where there is no database yet, commands that start at the same time take the same
#   steps, and some of them end with a traceback of SQLite: "table ... already exists", "no such
#   table: log", "UNIQUE constraint failed". Most of those never send their prompts; one that fails
#   later prints its answer, logs nothing, and ends with exit code 1 all the same. So a first loop
#   with `&` over a folder, in a new container or as a new user, loses some of its documents. With a
#   database that is there, the same loop sends all: run one command alone first.
# Seen: without a database, of four at the same time 3 failed, 1 was sent and answered (how many fail
#   differs each time); after one alone, of four at the same time 4 were sent and answered, and once
#   one of them found its log locked.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-cache-dir --disable-pip-version-check \
  llm==0.36 sqlite-utils==4.2.1

NO_PROXY=127.0.0.1 "$folder/venv/bin/python" - "$folder" <<'PYTHON'
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading

folder = pathlib.Path(sys.argv[1])
user = folder / "user"
MESSAGE = {"role": "assistant", "content": "An answer."}
ANSWER = json.dumps(
    {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "small",
        "choices": [{"index": 0, "finish_reason": "stop", "message": MESSAGE}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
).encode()
sent: list[str] = []


class Server(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        sent.append(self.path)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()


def become_a_new_user() -> None:
    shutil.rmtree(user, ignore_errors=True)
    user.mkdir()
    (user / "extra-openai-models.yaml").write_text(
        "- model_id: small\n  model_name: small\n"
        f"  api_base: http://127.0.0.1:{server.server_port}/v1\n"
    )


def run(number: int) -> tuple[int, int, int, set[str]]:
    """So many at the same time: how many failed, were sent, were answered; and their last words."""
    sent.clear()
    started = [
        subprocess.Popen(
            [folder / "venv/bin/llm", "-m", "small", "--no-stream", "Hello."],
            env={**os.environ, "LLM_USER_PATH": str(user), "OPENAI_API_KEY": "none"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(number)
    ]
    ends = [(*one.communicate(), one.returncode) for one in started]
    failed = [said.strip().splitlines()[-1] for _, said, code in ends if code]
    answered = sum(printed == "An answer.\n" for printed, _, _ in ends)
    return len(failed), len(sent), answered, set(failed)


for _ in range(8):  # a race: mostly the first time shows it
    become_a_new_user()
    failed, asked, answered, words = run(4)
    if failed and asked < 4:
        break
print(f"without a database: {failed} of 4 failed, {asked} sent, {answered} answered")
print(*sorted(words), sep="\n")
if not failed or asked == 4:
    sys.exit("changed: first runs at the same time do not keep each other from sending")
become_a_new_user()
run(1)
failed, asked, answered, words = run(4)
print(f"after one alone: {failed} of 4 failed, {asked} sent, {answered} answered")
if answered != 4:
    sys.exit(f"changed: with a database, runs at the same time fail too: {words}")
PYTHON
