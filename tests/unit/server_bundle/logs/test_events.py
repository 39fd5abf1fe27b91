"""Lines of sglang's log: the recorded ones, those quoted from its sources, and any text at all."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_bundle.logs import events
from server_bundle.logs.access import HttpAnswer
from server_bundle.logs.batches import DecodeBatch, PrefillBatch
from server_bundle.logs.events import Event
from server_bundle.logs.failures import (
    Abort,
    Draining,
    End,
    Fatal,
    PythonError,
    Retract,
    TracebackBegins,
    Unhealthy,
)
from server_bundle.logs.ktransformers import LayerComputed, SlowPath
from server_bundle.logs.line import Line
from server_bundle.logs.memory import Limits, MemoryFigures, Pools
from server_bundle.logs.prefill_count import PrefillCount
from server_bundle.logs.start_stages import Bar, Ready, Stage, StageReached

pytestmark = pytest.mark.each_python

DATA = Path(__file__).parents[3] / "data" / "serverlog"
RECORDINGS = sorted(path.name for path in DATA.glob("*.log"))
KT = (
    "Prefill batch, #new-seq: 1, #new-token: 4096, #cached-token: 512, full token usage: 0.12, "
    "swa token usage: 0.04, #running-req: 0, #queue-req: 3, input throughput (token/s): 512.34, "
    "cuda graph: False"
)
UPSTREAM_DECODE = (
    "Decode batch, #running-req: 4, #full token: 214912, full token usage: 0.82, mamba num: 16, "
    "mamba usage: 0.42, accept len: 2.70, accept rate: 0.57, cuda graph: True, gen throughput "
    "(token/s): 123.73, #queue-req: 1"
)


def lines(name: str) -> list[str]:
    """Of a recording; a bar of tqdm's is several."""
    return (DATA / name).read_text(encoding="utf-8").splitlines()


def event(text: str) -> Event | None:
    return events.read(text)[1]


# --- recorded


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        (
            "kt-0.7.2-cpu.log",
            {"PrefillBatch": 26, "DecodeBatch": 2, "Limits": 1, "Pools": 1, "Ready": 1},
        ),
        (
            "kt-0.7.2-tp2-h200.log",
            {"PrefillBatch": 11, "Limits": 1, "Pools": 2, "MemoryFigures": 6, "PrefillSlots": 1},
        ),
        (
            "noradix-0.5.17-h100.log",
            {"PrefillBatch": 40, "DecodeBatch": 0, "Limits": 1, "Pools": 1, "Ready": 1},
        ),
        (
            "startup-0.5.17-h100.log",
            {"PrefillBatch": 9, "DecodeBatch": 1, "TracebackBegins": 1, "PythonError": 1},
        ),
    ],
)
def test_recordings_are_read_whole(name: str, counts: dict[str, int]) -> None:
    """As many events as grep finds of their words, with a time each."""
    found = [events.read(raw) for raw in lines(name)]
    kinds = Counter(type(one).__name__ for _, one in found)
    assert {kind: kinds[kind] for kind in counts} == counts
    text = (DATA / name).read_text(encoding="utf-8")
    assert kinds["HttpAnswer"] == text.count(' HTTP/1.1" ')
    assert all(line.at for line, one in found if isinstance(one, (PrefillBatch, HttpAnswer)))


def test_a_recorded_start_passes_its_stages_in_order() -> None:
    """With their seconds and memory, as an H100 wrote them."""
    found = [event(raw) for raw in lines("startup-0.5.17-h100.log")]
    stages = [(one.stage, one.is_done) for one in found if isinstance(one, StageReached)]
    assert stages == [
        *((Stage.DISTRIBUTED, done) for done in (False, True)),
        *((Stage.WEIGHTS, done) for done in (False, True)),
        (Stage.POOL, True),
        *((Stage.GRAPHS, done) for done in (False, True)),
        *((Stage.HTTP, done) for done in (False, True)),
    ]
    assert StageReached(Stage.GRAPHS, True, 45.37, 73.14, 0.10) in found
    assert StageReached(Stage.WEIGHTS, True, 0.13, 78.18, 0.32) in found
    assert Limits(2_400_000, 32_768, 32_768, 32, 1_048_576, 73.14) in found
    assert Pools(2_400_000, gigabytes=pytest.approx(4.58)) in found  # type: ignore[arg-type]
    assert Bar(Stage.GRAPHS, 1, 4) in found
    assert found.index(Ready()) > found.index(
        Limits(2_400_000, 32_768, 32_768, 32, 1_048_576, 73.14)
    )
    assert PythonError("AttributeError", "'str' object has no attribute 'get'") in found
    assert any(isinstance(one, HttpAnswer) and one.status == 503 for one in found)


# --- quoted


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (
            KT,
            PrefillBatch(4096, 1, 512, 0, 3, None, 0.12, 0.04, None, 512.34, False),
        ),
        (  # 0.4: a dot, a hit rate, no throughput
            "Prefill batch. #new-seq: 2, #new-token: 7, #cached-token: 1, cache hit rate: 12.50%, "
            "token usage: 0.01, #running-req: 1, #queue-req: 0",
            PrefillBatch(7, 2, 1, 1, 0, usage=0.01),
        ),
        (  # SGLANG_LOG_FORWARD_ITERS, and what comes with --enable-mfu-metrics
            "Prefill batch [17], #new-seq: 1, #new-token: 8, token usage: 0.26, #pending-token: 80,"
            " cuda graph: True, input throughput (token/s): 0.00, est. prefill TFLOPS/s (x): 1",
            PrefillBatch(8, 1, None, None, None, 80, 0.26, None, None, 0.0, True),
        ),
        (
            UPSTREAM_DECODE,
            DecodeBatch(4, 1, 214_912, None, 0.82, None, 0.42, 123.73, 2.70, 0.57, True),
        ),
        ("Prefill batch, #new-seq: 1, #new-to", None),
        (
            "Prefill rank batch, #new-token: 16384, #cached-token: 0, #chunks: 1, gpu-ms: 3255.5",
            None,
        ),
        ("Decode rank batch, rank: 0, #round: 7453, bs: 5, #rows: 20", None),
        ("Load weight begin. avail mem=31.02 GB", StageReached(Stage.WEIGHTS, False, None, 31.02)),
        (
            "Capture cuda graph end. Time elapsed: 5.45 s. mem usage=0.21 GB. avail mem=4.05 GB.",
            StageReached(Stage.GRAPHS, True, 5.45, 4.05, 0.21),
        ),
        (
            "Loading safetensors checkpoint shards:  50% Completed | 23/46 [00:10<00:10,  2.2it/s]",
            Bar(Stage.WEIGHTS, 23, 46),
        ),
        (
            "Generated KT GPU experts masks using 'uniform' strategy: 43 MoE layers = 430",
            StageReached(Stage.EXPERTS, False),
        ),
        (
            "Memory profiling: available_gpu_memory=14.10, total_gpu_memory=31.36, "
            "mem_fraction_static=0.70, rest_memory=4.69",
            MemoryFigures(
                {
                    "available_gpu_memory": 14.10,
                    "total_gpu_memory": 31.36,
                    "mem_fraction_static": 0.70,
                    "rest_memory": 4.69,
                }
            ),
        ),
        (
            "DSv4 memory calculation: bytes_per_full_token=15955.85, available_bytes=14.34 GB, "
            "full_token=964864",
            MemoryFigures(
                {
                    "bytes_per_full_token": 15_955.85,
                    "available_bytes": 14.34,
                    "full_token": 964_864.0,
                }
            ),
        ),
        (
            "DSv4 pool sizes: full=964864, swa=96486, c4=241216",
            Pools(964_864, {"full": 964_864, "swa": 96_486, "c4": 241_216}),
        ),
        ("KV Cache is allocated. #tokens: 9, KV size: 3.25 GB", Pools(9, gigabytes=3.25)),
        (
            "max_total_num_tokens=9, chunked_prefill_size=None, context_len=8, "
            "max_prefill_tokens=7, max_running_requests=2, available_gpu_mem=1.50 GB",
            Limits(9, None, 7, 2, 8, 1.5),
        ),
        (
            "KV cache pool is full. Retract requests. #retracted_reqs: 1, "
            "#new_tokens_gained: 4096, #new_token_ratio: 0.4321 -> 0.6543",
            Retract(1, 4096),
        ),
        (
            "Scheduler hit an exception: Traceback (most recent call last):",
            Fatal(End.SCHEDULER, "Scheduler hit an exception: Traceback (most recent call last):"),
        ),
        (
            "SIGQUIT received. signum=None, frame=None. It usually means one child failed.",
            Fatal(
                End.CHILD,
                "SIGQUIT received. signum=None, frame=None. It usually means one child failed.",
            ),
        ),
        (
            "Scheduler watchdog timeout (self.watchdog_timeout=300, self.soft=False)",
            Fatal(
                End.WATCHDOG,
                "Scheduler watchdog timeout (self.watchdog_timeout=300, self.soft=False)",
            ),
        ),
        (
            "SIGTERM received. signum=15 frame=None. Draining requests and shutting down...",
            Draining(None),
        ),
        (
            "Gracefully exiting... Remaining number of requests 2. Remaining requests "
            "remaining_rids=['a', 'b'].",
            Draining(2),
        ),
        (
            "Health check failed. Server couldn't get a response from detokenizer for last 20 "
            "seconds. tic start time: 10:00:00.",
            Unhealthy(20.0),
        ),
        (
            "Request is disconnected from the client side (type 1). Abort request obj.rid='ab12'",
            Abort("ab12"),
        ),
        ("Traceback (most recent call last):", TracebackBegins()),
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
            PythonError(
                "torch.OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB."
            ),
        ),
        ("KeyboardInterrupt", PythonError("KeyboardInterrupt", "")),
        ("KT layerwise prefill: layer 12 compute = 21.50 ms", LayerComputed(12, 21.5)),
        (
            "KT layerwise prefill: layer 3 compute = 21.50 ms, expert update = 4.00 ms",
            LayerComputed(3, 21.5),
        ),
        ("KT layerwise prefill: layer 3 prepare weight = 9.00 ms", None),
        (
            "KT MXFP4 layerwise prefill: layer=7 epoch=2 slot=1 prefetch-hit",
            LayerComputed(7, None),
        ),
        (
            "KT MXFP4 layerwise prefill disabled; using hybrid CPU/GPU MoE: out of memory",
            SlowPath("out of memory"),
        ),
        (
            'INFO:     ::1:40422 - "POST /v1/chat/completions HTTP/1.1" 200 OK',
            HttpAnswer("::1:40422", "POST", "/v1/chat/completions", 200),
        ),
        ("The server is fired up and ready to roll!", Ready()),
        ("server_args=ServerArgs(model_path='/m', max_total_num_tokens=None)", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("prefix", ["", "[2026-11-24 01:31:01] ", "[2026-11-24 01:31:01 TP0] "])
def test_lines_quoted_from_the_sources(text: str, want: Event | None, prefix: str) -> None:
    """With sglang's prefix and without one. What Python writes itself has none."""
    if prefix and isinstance(want, PythonError):
        want = None
    assert event(prefix + text) == want


@pytest.mark.parametrize(
    ("raw", "at", "ranks"),
    [
        ("[2026-11-24 01:31:02] ", datetime(2026, 11, 24, 1, 31, 2), ()),
        (
            "[2026-11-24 01:31:02.250 TP3] ",
            datetime(2026, 11, 24, 1, 31, 2, 250_000),
            (("TP", 3),),
        ),
        (
            "[2026-11-24 01:31:02 DP1 PP0 ATTN_CP0 TP2 EP2] ",
            datetime(2026, 11, 24, 1, 31, 2),
            (("DP", 1), ("PP", 0), ("ATTN_CP", 0), ("TP", 2), ("EP", 2)),
        ),
        (
            "\x1b[32m[2026-11-24 01:31:02\x1b[0m TP0] \x1b[1m",
            datetime(2026, 11, 24, 1, 31, 2),
            (("TP", 0),),
        ),
        ("\0\0\0[2026-11-24 01:31:02] ", datetime(2026, 11, 24, 1, 31, 2), ()),
        (
            "  0%| | 0/4\r 25%| | 1/4 [00:43<02:11, 43.87s/it][2026-11-24 01:31:02] ",
            datetime(2026, 11, 24, 1, 31, 2),
            (),
        ),
        ("[2026-13-45 01:31:02 TP0] ", None, (("TP", 0),)),
        ("INFO 11-24 01:31:02 scheduler.py:99] ", None, ()),
        ("2026-11-24 01:31:02,250 - sglang.srt - INFO - ", None, ()),
    ],
)
def test_prefixes(raw: str, at: datetime | None, ranks: tuple[tuple[str, int], ...]) -> None:
    """Milliseconds, ranks, colours, holes, a bar glued to the line; another logging set-up."""
    line, found = events.read(raw + KT + "\r\n")
    assert (line.at, line.ranks) == (at, ranks)
    assert isinstance(found, PrefillBatch) and found.new_tokens == 4096
    assert found.uses_graph is False


def test_a_logged_prompt_is_no_batch() -> None:
    """--log-requests writes what users sent."""
    said = f"Receive: obj=GenerateReqInput(text='[2026-11-24 01:31:02] {KT}')"
    assert event(f"[2026-11-24 01:31:02] {said}") is None
    assert event(said) is None
    assert event(f"[2026-11-24 01:31:02] x: {KT}") is None


# --- any order, any text


@given(st.randoms(use_true_random=False), st.sampled_from([KT, UPSTREAM_DECODE]))
def test_the_order_of_the_keys_does_not_matter(rng: random.Random, text: str) -> None:
    head, *keys = text.split(", ")
    unknown = ["#new-thing: 7", "no value", "odd usage: 1"]
    mixed = [*keys, *unknown]
    rng.shuffle(mixed)
    assert event(", ".join([head, *mixed])) == event(text)


SCRAPS = [
    *("Prefill batch, ", "Decode batch. ", "[2026-11-24 01:31:02 TP0] ", "#new-token: ", "4096, "),
    *("max_total_num_tokens=", "1" * 400, "nan", "-5", ", ", "\r", "\n", "\0", "\x1b[", "\x1b]"),
    *('INFO:     1:1 - "GET / HTTP/1.1" ', "Load weight end. elapsed=", "shards: ", "| 1/2 ["),
    *("\ud800", "\u0661\u0662", "KT layerwise prefill: layer ", "DSv4 pool sizes: full=", ": "),
    *("Memory profiling: ", "Error: ", "KV cache pool is full. Retract requests. ", "e5", "٣"),
]


@given(st.lists(st.one_of(st.sampled_from(SCRAPS), st.text(max_size=12)), max_size=12).map("".join))
def test_no_text_raises(text: str) -> None:
    """Nor is a number made of digits that are none of ours."""
    line, found = events.read(text)
    assert isinstance(line, Line)
    PrefillCount().see(text)
    if isinstance(found, PrefillBatch):
        assert found.new_tokens >= 0


@given(st.sampled_from(RECORDINGS), st.data())
def test_a_truncated_line_tells_less_or_nothing(name: str, data: st.DataObject) -> None:
    """Never something else: the start of a file that was cut, a disk that was full."""
    raw = data.draw(st.sampled_from(lines(name)))
    whole, part = event(raw), event(raw[: data.draw(st.integers(0, len(raw)))])
    if isinstance(part, PrefillBatch):
        assert isinstance(whole, PrefillBatch) and str(whole.new_tokens).startswith(
            str(part.new_tokens)
        )


def test_a_line_of_megabytes_is_cut() -> None:
    assert len(events.read("x" * 5_000_000)[0].text) <= 8192


def test_the_event_tells_whether_the_chunk_is_done() -> None:
    done = event(KT)
    begun = event("Prefill batch, #new-token: 5")
    assert isinstance(done, PrefillBatch) and done.is_done
    assert isinstance(begun, PrefillBatch) and not begun.is_done
