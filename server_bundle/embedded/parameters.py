"""llama.cpp's parameters: for the embedded model, and for any GGUF file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import xllamacpp

from server_bundle.embedded.server import MODEL, WINDOW

BATCH = 256
"""Prompt tokens per forward on a CPU. It gives progress about every second, and an aborted request
stops within 2 s; with llama.cpp's default of 2,048 that took 21 s (measured, 2 cores)."""
PENALTY_TOKENS = 64
"""How far back repetitions are punished; llama.cpp's own default."""


@dataclass(frozen=True)
class GgufOptions:
    """How a GGUF file is served; the fields of `ktserver up --gguf`."""

    name: str
    """The model's name for clients."""
    host: str
    port: int
    context: int | None
    """Tokens of each request's window; None: the file's own."""
    gpu_layers: int | None
    """Layers on the GPU; None: as many as fit, by llama.cpp."""
    parallel: int
    """How many requests are served simultaneously, each with a whole window."""
    key: str | None


def smollm2(weights: Path) -> xllamacpp.CommonParams:
    """For the embedded model, on a free port of this machine."""
    chosen = _served(weights, MODEL, "127.0.0.1", 0)
    chosen.n_ctx, chosen.n_parallel = WINDOW, 1
    chosen.n_batch = chosen.n_ubatch = BATCH
    # Such a small model repeats itself endlessly without penalties. llama.cpp counts the prompt's
    # tokens too, so over 512 tokens they also punish what was to be quoted: over 64, 9 instead of 4
    # of 10 answers about examples/reports/lighthouse.txt are right (tests/bench/facts.py).
    # Greedy, so that an example gives the same text everywhere.
    chosen.sampling.temp = 0.0
    chosen.sampling.penalty_repeat = 1.1
    chosen.sampling.dry_multiplier = 0.8
    chosen.sampling.penalty_last_n = chosen.sampling.dry_penalty_last_n = PENALTY_TOKENS
    return chosen


def gguf(file: Path, options: GgufOptions) -> xllamacpp.CommonParams:
    """For any GGUF file. Sampling stays as it is: llama.cpp takes the file's own defaults."""
    chosen = _served(file, options.name, options.host, options.port)
    chosen.n_parallel = options.parallel
    chosen.n_ctx = (options.context or 0) * options.parallel  # it is divided among the requests
    if options.context is not None:
        chosen.fit_params = False  # it would choose a smaller window in silence
    if options.gpu_layers is not None:
        chosen.n_gpu_layers = options.gpu_layers
    if not has_gpu() or options.gpu_layers == 0:
        chosen.n_batch = chosen.n_ubatch = BATCH
    if options.key is not None:
        chosen.api_keys = [options.key]
    return chosen


def has_gpu() -> bool:
    """Whether this build of llama.cpp sees a GPU here; that of PyPI is for CPUs."""
    cpu = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
    return any(one["type"] != cpu for one in xllamacpp.get_device_info())


def _served(file: Path, name: str, host: str, port: int) -> xllamacpp.CommonParams:
    """What holds for every model."""
    chosen = xllamacpp.CommonParams()
    chosen.model.path = str(file)
    chosen.model_alias = {name}
    chosen.hostnames = [host]
    chosen.port = port
    chosen.cpuparams.n_threads = chosen.cpuparams_batch.n_threads = _cores()
    chosen.endpoint_metrics = chosen.endpoint_slots = chosen.endpoint_props = True
    chosen.ui = False
    # The default lets any web page in the user's browser call the server.
    chosen.cors_origins, chosen.cors_origins_explicit = "http://127.0.0.1", True
    chosen.cors_credentials = False
    return chosen


def _cores() -> int:
    return min(8, len(os.sched_getaffinity(0)))
