"""What is read from the log of a start: recorded ones, quoted ones, and parts of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from server_bundle.launch.start_progress import StartUp

DATA = Path(__file__).parents[3] / "data" / "sglang"
GPU = """\
[2026-05-10 10:00:00 TP0] Load weight begin. avail mem=30.59 GB
[2026-05-10 10:00:00 TP1] Load weight begin. avail mem=30.59 GB
[2026-05-10 10:00:01 TP0] Using kt_num_gpu_experts=10 per layer, total GPU experts: 430
[2026-05-10 10:00:01 TP0] Generated KT GPU experts masks using 'uniform' strategy: 43 MoE layers
[2026-05-10 10:01:00 TP0] Load weight end. elapsed=60 s, type=DeepseekV4ForCausalLM, mem usage=9 GB.
[2026-05-10 10:01:01 TP0] DSv4 memory calculation: bytes_per_full_token=15955.85, full_token=964864
[2026-05-10 10:01:02 TP0] DSv4 pool sizes: full=964864, swa=96486, c4=241216, c128=7538
[2026-05-10 10:01:03 TP0] Capture cuda graph begin. This can take up to several minutes.
[2026-05-10 10:01:08 TP0] Capture cuda graph end. Time elapsed: 5.45 s. mem usage=0.27 GB.
[2026-05-10 10:01:08 TP1] Capture cuda graph end. Time elapsed: 5.47 s. mem usage=0.27 GB.
[2026-05-10 10:01:09 TP0] max_total_num_tokens=964864, chunked_prefill_size=4096, \
max_prefill_tokens=4096, max_running_requests=2, context_len=1048576, available_gpu_mem=5.34 GB
[2026-05-10 10:01:10] INFO:     Application startup complete.
[2026-05-10 10:01:10] The server is fired up and ready to roll!
"""


def read(text: str) -> tuple[StartUp, list[str]]:
    start, stages = StartUp(), []
    for line in text.splitlines():
        start.read(line)
        if not stages or stages[-1] != start.stage:
            stages.append(start.stage)
    return start, stages


def test_the_guides_deployment_stage_by_stage() -> None:
    """The figures are those that the guide says to check."""
    start, stages = read(GPU)
    assert stages == [
        "loading weights",
        "placing experts",
        "allocating the KV pool",
        "capturing graphs",
        "opening its port",
        "ready",
    ]
    assert start.is_ready
    assert start.figures == {
        "pool": 964864.0,
        "chunk": 4096.0,
        "max_prefill": 4096.0,
        "max_running": 2.0,
        "window": 1048576.0,
        "available": 5.34,
        "graphs": 5.45,
    }


@pytest.mark.parametrize(
    ("log", "pool"), [("kt-0.7.2.log", 964864), ("upstream-0.5.17.log", 900000)]
)
def test_recorded_logs(log: str, pool: int) -> None:
    """Of a CPU and of an H100; the whole command line in one of their lines misleads nobody."""
    start, _ = read("server_args=ServerArgs(kt_num_gpu_experts=10, context_len=7)\n")
    assert start.stage == "starting" and not start.figures
    start, stages = read((DATA / log).read_text())
    assert start.is_ready and stages[-1] == "ready"
    assert start.figures["pool"] == pool


def test_memory_that_ktransformers_takes() -> None:
    """Lines that sglang-kt 0.7.2 wrote on two H200: reserved at the start, allocated at the first
    long prompt, once for both ranks."""
    start, stages = read(
        "[2026-11-29 13:35:52 TP0] [KT] Created shared staging buffer: 32.0 MiB (shape=torch.Size("
        "[4096, 4096]), dtype=torch.bfloat16)\n"
        "[2026-11-29 13:36:03 TP0] Memory profiling: available_gpu_memory=134.52 GB, "
        "total_gpu_memory=138.28 GB, mem_fraction_static=0.70, lazy_mxfp4_slot_reservation=1.73 GB,"
        " rest_memory=91.30 GB\n"
        "[2026-11-29 13:36:03 TP1] Memory profiling: available_gpu_memory=134.52 GB, "
        "total_gpu_memory=138.28 GB, mem_fraction_static=0.70, lazy_mxfp4_slot_reservation=1.73 GB,"
        " rest_memory=91.30 GB\n"
        "[2026-11-29 13:36:25] The server is fired up and ready to roll!\n"
    )
    assert stages == ["placing experts", "allocating the KV pool", "ready"]
    assert start.figures == {"staging": 32.0, "reserved": 1.73}
    start.read(
        "[2026-11-29 13:36:40 TP0] KT MXFP4 layerwise prefill lazily initialized two raw + two "
        "Marlin prepared full-layer slots on cuda:0 (raw=0.94 GiB, prepared=0.80 GiB, total=1.73 "
        "GiB)"
    )
    assert start.figures["slots"] == 1.73 and start.is_ready and not start.warnings


def test_a_recorded_start_of_two_ranks_is_counted_once() -> None:
    """Of sglang-kt 0.7.2 on two H200: seconds and memory are one rank's, not the sum of both."""
    log = DATA.parent / "serverlog" / "kt-0.7.2-tp2-h200.log"
    start, stages = read(log.read_text())
    assert start.is_ready and stages[-1] == "ready"
    assert {name: start.figures[name] for name in ("pool", "reserved", "slots", "graphs")} == {
        "pool": 964_864.0,
        "reserved": 1.73,
        "slots": 1.73,
        "graphs": 6.46,
    }


def test_upstreams_words_for_graphs() -> None:
    """As of 0.5.17; each kind adds to the time."""
    start, _ = read(
        "[2026-11-24 01:31:28] Capture target decode CUDA graph begin. backend=full, bs=[1, 2]\n"
        "Capturing batches (bs=8 avail_mem=73.18 GB):  25%|x | 1/4 [00:43<02:11, 43.87s/it]\n"
    )
    assert (start.stage, start.done, start.total) == ("capturing graphs", 1, 4)
    start.read("[2026-11-24 01:32:14] Capture target decode CUDA graph end. elapsed=45.37 s, mem=1")
    start.read("[2026-11-24 01:32:15] Capture draft decode CUDA graph end. elapsed=1.5 s, mem=1")
    assert start.figures["graphs"] == 46.87


def test_a_bar_tells_how_far_the_weights_are() -> None:
    """safetensors' own."""
    start, _ = read(
        "Loading safetensors checkpoint shards:  50% Completed | 23/46 [00:10<00:10,  2.2it/s]"
    )
    assert (start.stage, start.done, start.total) == ("loading weights", 23, 46)


def test_stages_never_go_back() -> None:
    """A draft model is loaded after the first one's pools."""
    start, _ = read(GPU + "[2026-05-10 10:02:00] Load weight begin. avail mem=1 GB\n")
    assert start.stage == "ready"


def test_what_somebody_should_know() -> None:
    """Said once for all ranks; and what a draining server still has."""
    start, _ = read(
        "".join(
            f"[2026-05-10 10:00:00 TP{rank}] KT MXFP4 layerwise prefill disabled; using hybrid "
            "CPU/GPU MoE: out of memory\n"
            for rank in range(4)
        )
        + "[2026-05-10 10:00:09] Gracefully exiting... Remaining number of requests 2. Remaining "
        "requests remaining_rids=['aa', 'bb'].\n"
    )
    assert len(start.warnings) == 1 and "out of memory" in start.warnings[0]
    assert start.remaining == ("aa", "bb")
    start.read(
        "Gracefully exiting... Remaining number of requests 0. Remaining requests "
        "remaining_rids=[]."
    )
    assert start.remaining == ()
