"""`ktjob serve` beside LiteLLM's proxy and the server itself, alternating in one run:

    python -m venv /tmp/litellm && /tmp/litellm/bin/pip install 'litellm[proxy]==1.110.2'
    python tests/bench/gateway.py --litellm /tmp/litellm/bin/litellm

All three stand in front of the same scripted server. The client is a few lines of asyncio, the same
for all, so that it costs the same; times are wall time, and CPU seconds where load would blur them.

- a: time to first token of a chat of 2.5 MB (600K tokens), and what a gateway adds to it;
- b: 500 streams that wait on a server that runs two at a time: memory (PSS) of all processes of the
  gateway, per waiting client, and their CPU time while all are silent;
- c: 50 small chats at once: requests a second. Each is durable with ktjob, and none with the other;
- d: from the start of the program to its first answered request;
- e: 64 short chats at once: time, CPU time of all processes, and memory while they run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from fake_sglang.process import FakeServer, fake_sglang  # noqa: E402
from support import processes  # noqa: E402
from support.gateway import gateway  # noqa: E402
from support.long_document import long_document  # noqa: E402
from support.serving import free_port  # noqa: E402

from jobs.processes import identity  # noqa: E402
from jobs.store.state_dir import StateDir  # noqa: E402

MODEL = "DeepSeek-V4-Flash"
KEY = "sk-0a8f3c1d5e7b9a2c4d6e8f0a1b3c5d7e9f"
"""LiteLLM refuses to start with a key that looks weak."""
READY_SECONDS = 300.0
SETTLE_SECONDS = 15.0
QUICK = ("--prefill-seconds", "0.002", "--token-seconds", "0.002", "--max-running", "64")
"""A server whose own time hardly counts."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Front:
    """What a client talks to, and its processes."""

    name: str
    port: int
    pids: Callable[[], list[int]]

    def pss(self) -> float:
        """Megabytes of all its processes; pages that several share are divided among them."""
        return sum(map(_pss, self.pids()))

    def cpu(self) -> float:
        """CPU seconds of its living processes, and of those that they waited for."""
        return sum(map(_cpu, self.pids()))


@dataclass
class Answer:
    """When things came, in seconds since the request began to be sent."""

    status: int = 0
    first_byte: float = 0.0
    first_token: float = 0.0
    end: float = 0.0
    body: bytes = field(default=b"", repr=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--litellm", default=os.environ.get("KTJOB_LITELLM"), metavar="PROGRAM")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=500, help="of part b")
    parser.add_argument("--silent-seconds", type=float, default=30.0, help="of part b")
    parser.add_argument("--parts", default="abcde")
    asked = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    parts: dict[str, Callable[[argparse.Namespace], None]] = {
        "a": first_token,
        "b": waiting,
        "c": many_at_once,
        "d": start,
        "e": short_chats,
    }
    for part in asked.parts:
        parts[part](asked)
        print(f"   (load average {os.getloadavg()[0]:.1f})", flush=True)


def first_token(asked: argparse.Namespace) -> None:
    body = _body(long_document(), stream=True)
    found: dict[str, list[float]] = {}
    cpus: dict[str, list[float]] = {}
    with _fronts(asked, *QUICK) as fronts:
        for number in range(asked.rounds + 1):
            for front in fronts:
                before = front.cpu()
                # Each one another: a gateway that knows the text would be faster.
                own = body.replace(b"@@", f"{number:02d}".encode())
                answer = asyncio.run(_ask(front, own))
                assert answer.status == 200, answer
                if number:  # the first is for what is loaded then
                    found.setdefault(front.name, []).append(answer.first_token)
                    cpus.setdefault(front.name, []).append(front.cpu() - before)
    middle = {name: statistics.median(times) for name, times in found.items()}
    print(f"a: first token of a {len(body) / 1e6:.1f} MB chat, median of {asked.rounds}")
    _print_seconds(middle)
    added = {name: middle[name] - middle["server"] for name in middle if name != "server"}
    _print_ratio("added", added, "s")
    _print_ratio("CPU time", {name: statistics.median(cpus[name]) for name in added}, "s")


def waiting(asked: argparse.Namespace) -> None:
    print(f"b: {asked.clients} streams wait on a server that runs two at a time")
    per_client, share = {}, {}
    slow = ("--prefill-seconds", "3600", "--max-running", "2")
    with _fronts(asked, *slow) as fronts:
        for front in fronts[1:]:
            alone = front.pss()
            memory, cpu = asyncio.run(_hold(front, asked.clients, asked.silent_seconds))
            per_client[front.name] = memory * 1000 / asked.clients
            share[front.name] = 100 * cpu / asked.silent_seconds
            print(
                f"   {front.name}: {alone:.0f} MB before, {memory:.0f} MB in "
                f"{len(front.pids())} processes with all of them"
            )
    _print_ratio("per waiting client", per_client, "kB")
    _print_ratio("CPU while silent, of a core", share, "%")


def many_at_once(asked: argparse.Namespace) -> None:
    rates: dict[str, list[float]] = {}
    cpus: dict[str, list[float]] = {}
    with _fronts(asked, *QUICK) as fronts:
        for number in range(asked.rounds + 1):
            for front in fronts:
                before = front.cpu()
                seconds = asyncio.run(_all(front, 50, f"c{number}"))
                if number:
                    cpus.setdefault(front.name, []).append((front.cpu() - before) / 50)
                    rates.setdefault(front.name, []).append(50 / seconds)
    middle = {name: statistics.median(found) for name, found in rates.items()}
    print(f"c: 50 small chats at once, median of {asked.rounds}")
    print("   " + ", ".join(f"{name} {rate:.1f}/s" for name, rate in middle.items()))
    others = [name for name in middle if name != "server"]
    _print_ratio("requests/s", {name: middle[name] for name in others}, "/s")
    each = {name: 1000 * statistics.median(cpus[name]) for name in others}
    _print_ratio("CPU time of each", each, "ms")


def start(asked: argparse.Namespace) -> None:
    found: dict[str, list[float]] = {}
    with _folder() as folder, fake_sglang(folder, *QUICK) as server:
        for _ in range(asked.rounds):
            for name, run in _programs(asked, server, folder):
                begun = time.monotonic()
                with run() as front:
                    asyncio.run(_answered(front))
                    found.setdefault(name, []).append(time.monotonic() - begun)
    print(f"d: from the start to the first answer, median of {asked.rounds}")
    _print_ratio("start", {name: statistics.median(one) for name, one in found.items()}, "s")


def short_chats(asked: argparse.Namespace) -> None:
    print("e: 64 short chats at once, each of about a second at the server")
    options = ("--prefill-seconds", "0.002", "--token-seconds", "0.06", "--max-running", "64")
    seconds, cpus, most = {}, {}, {}
    with _fronts(asked, *options) as fronts:
        for front in fronts:
            asyncio.run(_all(front, 2, "warm"))
            before = front.cpu()
            seconds[front.name], most[front.name] = asyncio.run(_all_seen(front, 64))
            cpus[front.name] = front.cpu() - before
    _print_seconds(seconds)
    for name in seconds:
        if name != "server":
            print(f"   {name}: {cpus[name]:.1f} CPU s, at most {most[name]:.0f} MB")


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ktjob-gateway-", ignore_cleanup_errors=True) as found:
        yield Path(found)


@contextmanager
def _fronts(asked: argparse.Namespace, *options: str) -> Iterator[list[Front]]:
    """The server itself, ktjob's gateway, and LiteLLM's where there is one."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(_folder())
        server = stack.enter_context(fake_sglang(folder, *options))
        found = [Front("server", server.port, list)]
        for _, run in _programs(asked, server, folder):
            front = stack.enter_context(run())
            asyncio.run(_answering(front))
            found.append(front)
        yield found


_Program = tuple[str, "Callable[[], contextlib.AbstractContextManager[Front]]"]


def _programs(asked: argparse.Namespace, server: FakeServer, folder: Path) -> list[_Program]:
    found: list[_Program] = [("ktjob", lambda: _ktjob(server, folder))]
    if asked.litellm:
        found.append(("litellm", lambda: _litellm(asked.litellm, server, folder)))
    return found


@contextmanager
def _ktjob(server: FakeServer, folder: Path) -> Iterator[Front]:
    state = StateDir(Path(tempfile.mkdtemp(dir=folder)) / "state").create()
    given = {"KTJOB_CONFIG": str(folder / "config"), "KTJOB_CACHE": str(folder / "cache")}
    with gateway(state, server.url, **given) as one:

        def pids() -> list[int]:
            runner = identity.holder(state.runner_lock)
            roots = [one.process.pid, *([runner.pid] if runner else [])]
            return [pid for root in roots for pid in _tree(root)]

        try:
            yield Front("ktjob", one.port, pids)
        finally:
            one.kill()
            processes.end_all(state)


@contextmanager
def _litellm(program: str, server: FakeServer, folder: Path) -> Iterator[Front]:
    port = free_port()
    config = {
        "model_list": [
            {
                "model_name": MODEL,
                "litellm_params": {
                    "model": f"openai/{MODEL}",
                    "api_base": f"{server.url}/v1",
                    "api_key": "none",
                    "timeout": 6000,
                },
            }
        ],
        "litellm_settings": {"request_timeout": 6000, "num_retries": 0, "telemetry": False},
        "general_settings": {"master_key": KEY},
    }
    path = folder / "litellm.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    given = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "DISABLE_ADMIN_UI": "True"}
    command = [program, "--config", str(path), "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "litellm.txt").open("w") as out:
        process = subprocess.Popen(command, env={**os.environ, **given}, stdout=out, stderr=out)
    with process:
        try:
            yield Front("litellm", port, lambda: _tree(process.pid))
        finally:
            process.kill()


def _body(text: str, *, stream: bool) -> bytes:
    message = {"role": "user", "content": f"@@ {text}"}
    fields = {"model": MODEL, "messages": [message], "stream": stream, "max_tokens": 32}
    return json.dumps(fields, ensure_ascii=False).encode()


async def _ask(front: Front, body: bytes, until_end: bool = True) -> Answer:
    """One chat: bytes out, bytes in, and the clock."""
    begun = time.monotonic()
    answer = Answer()
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port, limit=1 << 20)
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n"
        f"authorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    try:
        writer.write(head.encode() + body)
        await writer.drain()
        answer.status = int((await reader.readline()).split()[1])
        answer.first_byte = time.monotonic() - begun
        async for line in reader:
            answer.body += line
            if b'"content":"' in line.replace(b" ", b"") and b'"content":""' not in line.replace(
                b" ", b""
            ):
                answer.first_token = answer.first_token or time.monotonic() - begun
                if not until_end:
                    break
        answer.end = time.monotonic() - begun
    finally:
        writer.close()
    return answer


async def _answered(front: Front) -> Answer:
    """The first answer of a program that is starting."""
    body = _body("hello", stream=False)
    deadline = time.monotonic() + READY_SECONDS
    while True:
        with contextlib.suppress(OSError, IndexError, ValueError):
            answer = await _ask(front, body)
            if answer.status == 200 and b'"choices"' in answer.body:
                return answer
        assert time.monotonic() < deadline, front.name
        await asyncio.sleep(0.02)


async def _answering(front: Front) -> None:
    """Wait until it lists its models: a slow server must not be given a chat for that."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, IndexError, ValueError):
            reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
            head = f"GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {KEY}\r\n"
            writer.write(f"{head}connection: close\r\n\r\n".encode())
            status = int((await reader.readline()).split()[1])
            writer.close()
            if status == 200:
                return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{front.name} does not answer")


async def _all(front: Front, number: int, mark: str) -> float:
    """Seconds until all of so many chats, sent at once, are answered."""
    begun = time.monotonic()
    bodies = [_body(f"{mark} {front.name} {one}", stream=False) for one in range(number)]
    answers = await asyncio.gather(*(_ask(front, body) for body in bodies))
    wrong = [one for one in answers if one.status != 200 or b'"choices"' not in one.body]
    assert not wrong, (front.name, len(wrong), wrong[0].body[:500])
    return time.monotonic() - begun


async def _all_seen(front: Front, number: int) -> tuple[float, float]:
    """The same, and the most memory that was seen meanwhile, in MB."""
    most = 0.0
    task = asyncio.create_task(_all(front, number, "e"))
    while not task.done():
        most = max(most, await asyncio.to_thread(front.pss))
        await asyncio.sleep(0.2)
    return await task, most


async def _hold(front: Front, clients: int, silent: float) -> tuple[float, float]:
    """Megabytes with all clients waiting, and CPU seconds in that silence."""
    bodies = [_body(f"b {front.name} {one}", stream=True) for one in range(clients)]
    tasks = []
    for body in bodies:
        tasks.append(asyncio.create_task(_ask(front, body)))
        await asyncio.sleep(0.01)
    await _settled(front)
    failed = [one for one in tasks if one.done()]
    assert not failed, (front.name, len(failed), failed[0])
    memory, before = front.pss(), front.cpu()
    await asyncio.sleep(silent)
    used = front.cpu() - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return memory, used


async def _settled(front: Front) -> None:
    """Until all that the clients caused is done: its CPU time falls no more."""
    deadline = time.monotonic() + READY_SECONDS
    used, last = front.cpu(), float("inf")
    while time.monotonic() < deadline:
        await asyncio.sleep(SETTLE_SECONDS)
        now = front.cpu()
        if now - used >= 0.8 * last:
            return
        used, last = now, now - used


def _tree(root: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found, new = [], [root]
    while new:
        found += new
        new = [child for one in new for child in children.get(one, [])]
    return found


def _pss(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1000
    return 0.0


def _cpu(pid: int) -> float:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / TICKS
    return 0.0


def _print_seconds(found: dict[str, float]) -> None:
    print("   " + ", ".join(f"{name} {seconds:.3f} s" for name, seconds in found.items()))


def _print_ratio(what: str, found: dict[str, float], unit: str) -> None:
    told = ", ".join(f"{name} {one:.3g} {unit}" for name, one in found.items())
    others: Sequence[str] = [name for name in found if name != "ktjob"]
    ratios = [f"{found['ktjob'] / found[name]:.2f} x {name}" for name in others if found[name]]
    print(f"   {what}: {told}" + (f"; ktjob is {', '.join(ratios)}" if ratios else ""), flush=True)


if __name__ == "__main__":
    main()
