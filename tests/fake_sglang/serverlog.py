"""The server's own log, line by line as recorded (server.log, smol_noradix.log) or read.

`sglang-kt-0.7.2-cpu/server.log` and `sglang-0.5.17-h100/*.log` for everything but the lines of
DeepSeek V4 on GPUs (--log-hybrid) and the trouble lines, which are read from sglang-kt 0.7.2.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime
from http import HTTPStatus

from fake_sglang.gauges import Load
from fake_sglang.options import Options

SWA_RATIO = 0.1  # of the pool: DeepSeek V4's default swa_full_tokens_ratio


class ServerLog:
    """Appends to a file; without one it says nothing. Its clock runs --speed times as fast."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._wall, self._began = time.time(), time.monotonic()
        self._last: dict[str, float] = {}

    def line(self, message: str, every_rank: bool = False) -> None:
        """One message with its prefix, from rank 0 or from all."""
        if self._options.log is None:
            return
        stamp = datetime.fromtimestamp(self._wall + self._elapsed()).strftime("%Y-%m-%d %H:%M:%S")
        ranks = self._options.log_ranks
        names = [f" TP{rank}" for rank in range(ranks if every_rank else min(ranks, 1))] or [""]
        lines = "".join(f"[{stamp}{name}] {message}\n" for name in names)
        with self._lock, self._options.log.open("a", encoding="utf-8") as file:
            file.write(lines)

    def access(self, peer: tuple[str, int], request_line: str, status: int) -> None:
        """uvicorn's line for an answered request."""
        phrase = HTTPStatus(status).phrase
        self.line(f'INFO:     {peer[0]}:{peer[1]} - "{request_line}" {status} {phrase}')

    def weights(self) -> None:
        """The first stage that takes long."""
        self.line("Load weight begin. avail mem=78.50 GB", every_rank=True)

    def shards(self, done: int, total: int) -> None:
        """A progress bar: no prefix, and its line ends by coming back to its start."""
        share = f"{100 * done // total:3}% Completed | {done}/{total} [00:01<00:01,  1.00it/s]"
        self._raw(f"\rLoading safetensors checkpoint shards: {share}")

    def ends_bar(self) -> None:
        self._raw("\n")

    def _raw(self, text: str) -> None:
        if self._options.log is not None:
            with self._lock, self._options.log.open("a", encoding="utf-8") as file:
                file.write(text)

    def weights_loaded(self) -> None:
        dtype = "dtype=torch.bfloat16, " if self._options.is_kt else ""
        self.line(
            f"Load weight end. elapsed=0.60 s, type=LlamaForCausalLM, {dtype}"
            "avail mem=77.91 GB, mem usage=0.59 GB.",
            every_rank=True,
        )

    def experts(self) -> None:
        """kt_ep_wrapper.py:1656, 1796 (read)."""
        self.line("Using kt_num_gpu_experts=10 per layer, total GPU experts: 430")
        self.line(
            "Generated KT GPU experts masks using 'uniform' strategy: 43 MoE layers x 10 = 430"
        )

    def pools(self) -> None:
        options = self._options
        if options.log_hybrid:
            self.line(
                f"DSv4 pool sizes: full={options.pool}, swa={int(options.pool * SWA_RATIO)}, "
                f"c4={options.pool // 4}, c128={options.pool // 128}, c4_state=4096, "
                "c128_state=4096",
                every_rank=True,
            )
        else:
            kind = "" if options.is_kt else "dtype: torch.bfloat16, "
            size = "K size: 0.12 GB, V size: 0.12 GB"
            self.line(f"KV Cache is allocated. {kind}#tokens: {options.pool}, {size}")
        self.line("Memory pool end. avail mem=58.44 GB", every_rank=True)

    def graphs_begin(self) -> None:
        """model_runner.py:2202, 2216 (read)."""
        self.line(
            "Capture cuda graph begin. This can take up to several minutes. avail mem=5.61 GB",
            every_rank=True,
        )

    def graphs_end(self) -> None:
        self.line(
            "Capture cuda graph end. Time elapsed: 5.45 s. mem usage=0.27 GB. avail mem=5.34 GB.",
            every_rank=True,
        )

    def summary(self) -> None:
        options = self._options
        is_gpu = options.log_hybrid or not options.is_kt
        memory = "available_gpu_mem=58.31 GB" if is_gpu else "available_cpu_mem=20.72 GB"
        self.line(
            f"max_total_num_tokens={options.pool}, chunked_prefill_size={options.chunk}, "
            f"max_prefill_tokens={options.chunk}, max_running_requests={options.max_running}, "
            f"context_len={options.window}, {memory}"
        )

    def ready(self) -> None:
        self.line("INFO:     Application startup complete.")
        self.line("The server is fired up and ready to roll!")

    def memory(self) -> None:
        """Of DeepSeek V4 on GPUs."""
        pool = self._options.pool
        self.line(
            "Use compressed attention backend for DeepseekV4ForCausalLM, setting page_size to 256."
        )
        gigabytes = pool * 15955.85 / 2**30
        self.line(
            "DSv4 memory calculation: bytes_per_full_token=15955.85, "
            f"available_bytes={gigabytes:.2f} GB, full_token={pool}",
            every_rank=True,
        )

    def prefill(self, new_seqs: int, new: int, cached: int, load: Load) -> None:
        """After a chunk. `load.running` as it was when the chunk was put together."""
        options = self._options
        new = -(-new // options.page) * options.page if options.log_hybrid else new
        speed = self._throughput("prefill", new)
        head = f"Prefill batch, #new-seq: {new_seqs}, #new-token: {new}, #cached-token: {cached}, "
        lists = (
            f"{self._usage(load.used)}, #running-req: {load.running}, #queue-req: {load.waiting}, "
        )
        rate = f"input throughput (token/s): {speed:.2f}"
        graph = (
            "cpu graph: False" if options.is_kt and not options.log_hybrid else "cuda graph: False"
        )
        tail = (
            f"{rate}, {graph}"
            if options.is_kt
            else f"#pending-token: {load.pending}, {graph}, {rate}"
        )
        self.line(head + lists + tail, every_rank=True)

    def decode(self, steps: int, used: int, running: int, waiting: int) -> None:
        """After every 40th step."""
        options = self._options
        speed = self._throughput("decode", steps)
        tokens = f"#token: {used}"
        if options.log_hybrid:
            tokens = f"#full token: {used}"
        graph = (
            "cpu graph: False" if options.is_kt and not options.log_hybrid else "cuda graph: True"
        )
        self.line(
            f"Decode batch, #running-req: {running}, {tokens}, {self._usage(used)}, {graph}, "
            f"gen throughput (token/s): {speed:.2f}, #queue-req: {waiting}",
            every_rank=True,
        )

    def retracts(self, count: int, gained: int) -> None:
        """managers/scheduler.py, update_running_batch."""
        self.line(
            f"KV cache pool is full. Retract requests. #retracted_reqs: {count}, "
            f"#new_tokens_gained: {gained}, #new_token_ratio: 0.4321 -> 0.6543",
            every_rank=True,
        )

    def dies(self, error: str) -> None:
        """The scheduler's last words, and its parent's."""
        self.line(
            "Scheduler hit an exception: Traceback (most recent call last):\n"
            '  File "/site/sglang/srt/managers/scheduler.py", line 3339, in run_scheduler_process\n'
            f"    scheduler.run_event_loop()\nValueError: {error}\n",
            every_rank=True,
        )
        self.line("SIGQUIT received. signum=None, frame=None. It usually means one child failed.")

    def unhealthy(self, seconds: float, began: float) -> None:
        """/health gave up."""
        clock = time.strftime("%H:%M:%S", time.localtime(began))
        self.line(
            "Health check failed. Server couldn't get a response from detokenizer for last "
            f"{seconds:g} seconds. tic start time: {clock}. last_heartbeat time: {clock}"
        )

    def drains(self, rids: list[str]) -> None:
        """tokenizer_manager.py, sigterm_watchdog."""
        self.line(
            f"Gracefully exiting... Remaining number of requests {len(rids)}. "
            f"Remaining requests remaining_rids={rids}."
        )

    def _usage(self, used: int) -> str:
        share = used / self._options.pool
        if not self._options.log_hybrid:
            return f"token usage: {share:.2f}"
        swa = min(1.0, min(used, 5 * self._options.chunk) / (self._options.pool * SWA_RATIO))
        return f"full token usage: {share:.2f}, swa token usage: {swa:.2f}"

    def _throughput(self, kind: str, tokens: int) -> float:
        """Tokens per second of the server's clock since the last such line."""
        now = self._elapsed()
        last, self._last[kind] = self._last.get(kind, 0.0), now
        return tokens / max(now - last, 1e-3)

    def _elapsed(self) -> float:
        return (time.monotonic() - self._began) * self._options.speed
