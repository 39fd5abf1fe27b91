"""GET /v1/loads and /get_load, key by key as recorded in each flavour (basics.jsonl)."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any

from fake_sglang.gauges import Load
from fake_sglang.options import Options

Json = dict[str, Any]

_TRANSFER = {"kv_transfer_speed_gb_s": 0.0, "kv_transfer_latency_ms": 0.0}


def loads(options: Options, load: Load) -> Json:
    """GET /v1/loads."""
    now = datetime.now(timezone.utc).isoformat()
    head: Json = {"timestamp": now, "version": options.version}
    if not options.is_kt:
        machine: Json = {"accelerator": "NVIDIA H100 80GB HBM3", "num_accelerators": 1}
        entry = _upstream(options, load)
        if options.counts_chunks:  # recorded on a CPU
            machine["accelerator"], entry["decode_moments"] = None, None
        return {**head, **machine, "loads": [entry]}
    total = load.running + load.waiting
    lists = {"total_running_reqs": load.running, "total_waiting_reqs": load.waiting}
    means = {"avg_token_usage": _usage(options, load), "avg_throughput": 0.0}
    aggregate = {**lists, "total_reqs": total, **means, "avg_utilization": 0.0}
    return {**head, "dp_rank_count": 1, "loads": [_kt(options, load)], "aggregate": aggregate}


def get_load(options: Options, load: Load) -> list[Json]:
    """GET /get_load, deprecated in both."""
    counts = {
        "num_reqs": load.running + load.waiting,
        "num_waiting_reqs": load.waiting,
        "num_tokens": load.used + load.queued_tokens,
    }
    tick = {"ts_tic": time.monotonic()}
    if options.is_kt:
        return [{"rid": None, "http_worker_ipc": None, "dp_rank": None, **counts, **tick}]
    return [{"dp_rank": 0, **counts, "num_pending_tokens": load.pending, **tick}]


def _usage(options: Options, load: Load) -> float:
    return round(load.used / options.pool, 4)


def _memory(options: Options) -> Json:
    sizes = {"weight_gb": 0.312, "kv_cache_gb": 0.23, "graph_gb": 0}
    return {**sizes, "token_capacity": options.pool}


def _queues(load: Load) -> Json:
    return {"waiting": load.waiting, "grammar": 0, "paused": 0, "retracted": 0}


def _kt(options: Options, load: Load) -> Json:
    return {
        "num_running_reqs": load.running,
        "num_waiting_reqs": load.waiting,
        "num_used_tokens": load.used,
        "max_total_num_tokens": options.pool,
        "token_usage": _usage(options, load),
        "gen_throughput": 0.0,
        "cache_hit_rate": 0.0,
        "utilization": 0.0,
        "max_running_requests": options.max_running,
        "memory": _memory(options),
        "disaggregation": {
            "mode": "null",
            "prefill_prealloc_queue_reqs": 0,
            "prefill_inflight_queue_reqs": 0,
            "decode_prealloc_queue_reqs": 0,
            "decode_transfer_queue_reqs": 0,
            "decode_retracted_queue_reqs": 0,
            **_TRANSFER,
        },
        "queues": _queues(load),
        "num_total_reqs": load.running + load.waiting,
    }


def _upstream(options: Options, load: Load) -> Json:
    return {
        "timestamp": time.time(),
        "dp_rank": 0,
        "num_running_reqs": load.running,
        "num_waiting_reqs": load.waiting,
        "num_waiting_uncached_tokens": load.pending,
        "num_used_tokens": load.used,
        "num_total_tokens": load.used + load.queued_tokens,
        "num_active_tokens": load.used,
        **({"num_prealloc_ready_tokens": 0} if options.counts_chunks else {}),
        "max_total_num_tokens": options.pool,
        "max_running_requests": options.max_running,
        "token_usage": _usage(options, load),
        "gen_throughput": 0.0,
        "cache_hit_rate": 0.0,
        "utilization": 0.0,
        "total_prefill_uncached_tokens": load.prefill_compute,
        "total_prefill_busy_us": load.busy_us if options.counts_chunks else 0,
        "decode_moments": [0.0] * 6,
        "memory": _memory(options),
        "disaggregation": {
            "mode": "null",
            "prefill_bootstrap_queue_reqs": 0,
            "prefill_inflight_queue_reqs": 0,
            "decode_prealloc_queue_reqs": 0,
            "decode_transfer_queue_reqs": 0,
            "decode_retracted_queue_reqs": 0,
            **_TRANSFER,
        },
        "queues": {**_queues(load), "prealloc_ready": 0},
    }
