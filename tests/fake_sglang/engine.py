"""The scheduler: who waits, whose prompt is prefilled, who decodes.

One thread, as in sglang, which looks at nothing inside of a chunk; decoding stands still while a
prompt is prefilled.

- A request in chunked prefill is in neither list: running 0, waiting 0, used tokens growing
  (recorded, sglang-0.5.17-h100/long.jsonl). A second one waits (pair.jsonl, noradix_two.jsonl).
  With --rate the rest of a chunk goes to those who wait, as in sglang; with --prefill-seconds each
  prompt takes that long, one after another.
- kt prefills an aborted prompt to its end (recorded, sglang-kt-0.7.2-cpu/cut.jsonl, abort.jsonl);
  upstream stops at the next chunk (sglang-0.5.17-h100/abort.jsonl).
- /health sends a prompt of one token when nothing runs. That can then stand in the queue behind a
  long one: waiting 1 while a single prompt is prefilled (recorded, sglang-kt-0.7.2-cpu/long.jsonl).
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from fake_sglang.gauges import Gauges, Load
from fake_sglang.hold import Hold
from fake_sglang.journal import Journal
from fake_sglang.options import Options
from fake_sglang.radix import Radix
from fake_sglang.requests import PROBE, Finished, Request, Started, Token
from fake_sglang.serverlog import ServerLog

LOG_INTERVAL = 40  # decode steps between two updates of the decode gauges (decode_log_interval)
UNAVAILABLE = 503
OUT_OF_MEMORY = "Out of memory even after retracting all other requests in the decode batch."


class Engine:
    """The scheduler thread and its books. Every public method may be called from any thread."""

    def __init__(self, options: Options, journal: Journal, log: ServerLog) -> None:
        self._options = options
        self._journal = journal
        self._log = log
        self._changed = threading.Condition()
        self._waiting: deque[Request] = deque()
        self._prefilling: list[Request] = []  # one whose prompt is not whole yet, and its chunk's
        self._running: list[Request] = []
        self._forgotten: list[str] = []
        self._boundary = 0
        self._radix = Radix(options.radix, options.count_tokens)
        self._gauges = Gauges(options)
        self._hold = Hold(options.record / "hold") if options.record else None

    def start(self) -> None:
        """Start the thread; it ends with the process."""
        threading.Thread(target=self._loop, name="scheduler", daemon=True).start()

    def submit(self, request: Request) -> None:
        """Put a request at the end of the queue, if there is room in it."""
        with self._changed:
            most = self._options.max_queued
            if most is not None and len(self._waiting) + 1 > most:
                self._refuse(request, "The request queue is full.")
                return
            request.queued = time.monotonic()
            self._waiting.append(request)
            self._changed.notify_all()

    def abort(self, prefix: str, everything: bool = False) -> list[str]:
        """/abort_request: whoever's rid starts so; an empty one matches all, as in sglang."""
        with self._changed:
            live = [r for r in self._live() if everything or r.rid.startswith(prefix)]
            for request in live:
                self._abort(request, told=True)
            return [request.rid for request in live]

    def leave(self, request: Request) -> None:
        """The client of this request is gone."""
        with self._changed:
            early = request in self._waiting or request in self._prefilling
            if early and self._options.is_kt and not request.aborted:
                # Seen of sglang-kt 0.7.2 on a CPU: its tokenizer process never forgets a request
                # whose client went before the first word, and then never ends on SIGTERM.
                self._forgotten.append(request.rid)
            if request in self._live():
                self._abort(request, told=False)

    def remaining(self) -> list[str]:
        """Whom a drain waits for: also for ghosts, on kt for ever."""
        with self._changed:
            live = [request.rid for request in self._live() if not request.is_probe]
            return [*self._forgotten, *(rid for rid in live if rid not in self._forgotten)]

    def settle(self, seconds: float) -> bool:
        """Wait for the end of the chunk in progress, as a question to the real scheduler does."""
        with self._changed:
            seen = self._boundary
            return self._changed.wait_for(
                lambda: self._boundary != seen or not self._is_busy(), timeout=seconds
            )

    def is_well(self, seconds: float) -> bool:
        """Whether anything comes from the scheduler in time: /health. When nothing runs, a prompt
        of one token is queued for it, and stays there when it is not run (kt scheduler.py:1371)."""
        with self._changed:
            if self._is_busy():
                return self.settle(seconds)
            seen = self._boundary
            self.submit(Request(0, f"{PROBE}{time.time()}", 1, 1, [""]))
            return self._changed.wait_for(lambda: self._boundary != seen, timeout=seconds)

    def load(self) -> Load:
        """The state of this moment: the chunk in progress counts as used (recorded)."""
        with self._changed:
            queued = sum(request.to_prefill for request in self._waiting)
            return Load(
                running=len(self._running),
                waiting=len(self._waiting),
                used=self._used(),
                pending=sum(request.left for request in self._prefilling) + queued,
                queued_tokens=queued,
                prefill_compute=self._gauges.prefill_compute,
                busy_us=self._gauges.busy_us,
            )

    def gauges(self) -> dict[str, float]:
        """What /metrics serves."""
        with self._changed:
            return self._gauges.read()

    # From here on: the lock is held by the caller, but for _loop, _prefill and _decode.

    def _live(self) -> list[Request]:
        return [*self._waiting, *self._prefilling, *self._running]

    def _is_busy(self) -> bool:
        return bool(self._prefilling or self._running)

    def _used(self) -> int:
        return sum(request.held for request in [*self._prefilling, *self._running])

    def _write_gauges(self, running: int | None = None) -> None:
        running = len(self._running) if running is None else running
        self._gauges.write(running, len(self._waiting), self._used())

    def _refuse(self, request: Request, message: str) -> None:
        self._event("refused", request, message=message)
        request.out.put(Finished("abort", 0, 0, status=UNAVAILABLE, message=message))

    def _abort(self, request: Request, told: bool) -> None:
        if request.aborted:
            return
        request.aborted = True
        self._gauges.aborted += 1
        if request in self._waiting:
            self._waiting.remove(request)
            self._retire(request, Finished("abort", 0, 0))
        elif told and request in self._prefilling and not self._options.has_ghosts:
            # Recorded: upstream's stream ends 20 ms after the call, with usage 0/0/0, while the
            # chunk still runs; kt's ends when the whole prefill has.
            request.out.put(Finished("abort", 0, 0))
        self._changed.notify_all()

    def _retire(self, request: Request, end: Finished) -> None:
        for where in (self._prefilling, self._running):
            if request in where:
                where.remove(request)
        self._radix.keep(request.text, min(request.prefilled, request.prompt_tokens))
        self._radix.evict(self._options.pool - self._used())
        details = {"prefilled": request.prefilled, "completion_tokens": request.said}
        self._event("finished", request, reason=end.reason, **details)
        request.out.put(end)

    def _event(self, kind: str, request: Request, **details: object) -> None:
        if not request.is_probe:
            self._journal.event(kind, n=request.n, rid=request.rid, **details)

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._expire()
                chunk = self._next_chunk()
                while not chunk and not self._running:
                    if not self._options.is_kt:
                        self._write_gauges()
                    self._changed.notify_all()
                    self._changed.wait(timeout=self._patience())
                    self._expire()
                    chunk = self._next_chunk()
                running = len(self._running)
            if chunk:
                self._prefill(chunk, running)
            else:
                self._decode()

    def _patience(self) -> float | None:
        return 0.05 if self._options.waiting_timeout > 0 and self._waiting else None

    def _expire(self) -> None:
        """SGLANG_REQ_WAITING_TIMEOUT and SGLANG_REQ_RUNNING_TIMEOUT; chunked ones never."""
        waiting, running = self._options.waiting_timeout, self._options.running_timeout
        now = time.monotonic()
        for request in [r for r in self._waiting if 0 < waiting < now - r.queued]:
            self._waiting.remove(request)
            self._refuse(request, "Request waiting timeout reached.")
        for request in self._running:
            if 0 < running < now - request.admitted:
                request.refusal = "Request running timeout reached."

    def _next_chunk(self) -> list[tuple[Request, int]]:
        """Whose tokens the next forward prefills, and how many of each."""
        room, chunk = self._options.chunk, []
        for request in self._prefilling:  # at most one: the rest of the last chunk's last
            chunk.append((request, size := min(room, request.left)))
            room -= size
        while room and (self._options.rate or not chunk) and self._admit():
            request = self._prefilling[-1]
            chunk.append((request, size := min(room, request.left)))
            room -= size
        for request, size in chunk:
            request.allocated += size
            self._gauges.begins(size)
        return chunk

    def _admit(self) -> bool:
        """Let the first in the queue begin, if it may: nobody overtakes it."""
        if not self._waiting:
            return False
        first, options = self._waiting[0], self._options
        if len(self._running) + len(self._prefilling) >= options.max_running:
            return False
        promised = sum(request.left for request in self._prefilling)
        fits = first.wanted(options.clip, options.page) < options.pool - self._used() - promised
        # kt holds back even a lone request that is too big, for ever (sglang #28530).
        if not (fits or (not options.is_kt and not self._is_busy())):
            return False
        self._prefilling.append(self._waiting.popleft())
        first.admitted = first.due = time.monotonic()
        first.cached = min(self._radix.match(first.text), first.prompt_tokens - 1)
        first.allocated = first.prefilled = first.cached
        self._event("prefill_started", first, prompt_tokens=first.prompt_tokens)
        if not first.retractions:
            first.out.put(Started())
        return True

    def _prefill(self, chunk: list[tuple[Request, int]], running: int) -> None:
        """One forward; `running`: who decoded when it was put together."""
        begun = end = time.monotonic()
        for request, size in chunk:
            start, prompt = request.prefilled, request.to_prefill
            if not request.is_probe or self._options.rate:
                request.due += self._options.prefill_time(prompt, start, start + size)
            end = max(end, request.due)
        time.sleep(max(0.0, end - time.monotonic()))
        self._wait_while_held(request for request, _ in chunk)
        with self._changed:
            for request, size in chunk:
                is_first = request.prefilled == request.cached
                request.prefilled += size
                self._gauges.prefilled(size, request.cached if is_first else 0)
                self._after_chunk(request)
            self._gauges.busy_us += round(1e6 * (time.monotonic() - begun))
            self._write_gauges(running)
            self._log_prefill(chunk, running)
            self._boundary += 1
            self._changed.notify_all()

    def _wait_while_held(self, requests: Iterable[Request]) -> None:
        """A forward lasts as long as the test that started us wants."""
        if self._hold is not None and not all(request.is_probe for request in requests):
            self._hold.wait()

    def _log_prefill(self, chunk: list[tuple[Request, int]], running: int) -> None:
        cached = sum(r.cached for r, size in chunk if r.prefilled == r.cached + size)
        new = sum(size for _, size in chunk)
        self._log.prefill(len(chunk), new, cached, replace(self.load(), running=running))

    def _after_chunk(self, request: Request) -> None:
        is_whole = request.left == 0
        stops_here = request.aborted and not self._options.has_ghosts
        if not (is_whole or stops_here):
            return
        details = {"prefilled": request.prefilled, "aborted": request.aborted}
        self._event("prefill_ended", request, **details)
        if stops_here:
            self._retire(request, Finished("abort", 0, 0))
            return
        self._prefilling.remove(request)
        self._gauges.prompts += request.prompt_tokens
        self._running.append(request)
        self._say(request)

    def _decode(self) -> None:
        """One step: a word for everybody who runs."""
        time.sleep(self._options.token_seconds)
        self._wait_while_held(self._running)
        with self._changed:
            self._make_room()
            for request in list(self._running):
                self._say(request)
            if self._gauges.step() % LOG_INTERVAL == 0:
                self._write_gauges()
                self._log.decode(LOG_INTERVAL, self._used(), len(self._running), len(self._waiting))
            self._boundary += 1
            self._changed.notify_all()

    def _make_room(self) -> None:
        """Retract: fewest words first, then the longest prompt (kt schedule_batch.py:1895)."""
        before, retracted = self._used(), 0
        order = sorted(self._running, key=lambda r: (-r.said, r.prompt_tokens))
        while self._used() + len(self._running) > self._options.pool and len(order) > 1:
            victim = order.pop()
            self._running.remove(victim)
            victim.drop()
            self._event("retracted", victim, said=victim.said)
            self._waiting.append(victim)
            retracted += 1
        if retracted:
            self._gauges.retracted += retracted
            self._log.retracts(retracted, before - self._used())
        if self._used() + len(self._running) > self._options.pool and self._running:
            self._cannot_go_on(self._running[0])

    def _cannot_go_on(self, request: Request) -> None:
        """One alone outgrows the pool: kt's whole server dies; upstream aborts it (#19881)."""
        if self._options.is_kt:
            self._log.dies(OUT_OF_MEMORY)
            self._journal.event("died", n=request.n, rid=request.rid)
            os._exit(1)
        self._finish(request, "abort")

    def _say(self, request: Request) -> None:
        """The next word. An abort takes effect after it (recorded: kt's says one word more)."""
        request.out.put(Token(request.words[request.said]))
        request.said += 1
        if request.refusal or request.aborted:
            self._finish(request, "abort")
        elif request.said == request.limit:
            self._finish(request, "stop" if request.limit == len(request.words) else "length")

    def _finish(self, request: Request, reason: str) -> None:
        tokens = (request.prompt_tokens, request.said, request.cached)
        status = UNAVAILABLE if request.refusal else 0
        self._retire(request, Finished(reason, *tokens, status, request.refusal))
