"""Every shape that goes over the wire, flavour by flavour, as recorded; no behaviour.

Recordings: sglang-kt 0.7.2 on CPU and sglang 0.5.17 on an H100; excerpts in tests/data/sglang.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from fake_sglang.options import Options

Json = dict[str, Any]


def models(options: Options) -> Json:
    """GET /v1/models."""
    entry = {
        "id": options.model,
        "object": "model",
        "created": int(time.time()),
        "owned_by": "sglang",
        "root": options.model,
        "parent": None,
        "max_model_len": options.window,
    }
    return {"object": "list", "data": [entry]}


def model_info(options: Options) -> Json:
    """GET /model_info, without upstream's "embedding" and "cache" keys."""
    return {
        "model_path": f"/models/{options.model}",
        "tokenizer_path": options.tokenizer or f"/models/{options.model}",
        "is_generation": True,
        "preferred_sampling_params": None,
        "weight_version": "default",
        "has_image_understanding": False,
        "has_audio_understanding": False,
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
    }


def server_info(options: Options) -> Json:
    """GET /server_info: a few of its 352 (kt) or 465 (upstream) keys. The key is in clear."""
    state = {"memory_usage": {"token_capacity": options.pool}, "last_gen_throughput": 0.0}
    return {
        **{key: model_info(options)[key] for key in ("model_path", "tokenizer_path")},
        # Recorded: null when the flag was not given, as on the H100.
        "context_length": options.window if options.is_kt else None,
        "max_running_requests": options.max_running,
        "max_total_tokens": options.pool,
        "max_queued_requests": options.max_queued,
        "chunked_prefill_size": options.chunk,
        "enable_metrics": options.metrics,
        "api_key": options.require_key,
        "admin_api_key": None,
        "served_model_name": options.model,
        "disable_radix_cache": not options.radix,
        "internal_states": [state],
        "max_total_num_tokens": options.pool,
        "max_req_input_len": options.max_input,
        "version": options.version,
        **(_OF_THE_FORK if options.is_kt else {}),
    }


_OF_THE_FORK = {"kt_gpu_prefill_token_threshold": None, "kt_lora_path": None}
"""Two of the options that only sglang-kt 0.7 has; recorded."""


def metrics(options: Options, gauges: dict[str, float]) -> str:
    """GET /metrics: the gauges and counters that tell of progress, with their labels."""
    lines: list[str] = []
    tail = f'model_name="{options.model}",moe_ep_rank="0",pp_rank="0",tp_rank="0"'
    for key, value in gauges.items():
        name, _, mode = key.partition(":")
        kind = "counter" if name.endswith("_total") else "gauge"
        labels = 'engine_type="unified",' + (f'mode="{mode}",' if mode else "") + tail
        header = f"# TYPE sglang:{name} {kind}"
        if header not in lines:
            lines += [f"# HELP sglang:{name} As sglang's.", header]
        lines.append(f"sglang:{name}{{{labels}}} {float(value)}")
    return "\n".join(lines) + "\n"


def usage(prompt: int, completion: int, cached: int = 0) -> Json:
    """The tokens of one request. Recorded: without cached ones there are no details."""
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
        "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": cached} if cached else None,
        "reasoning_tokens": 0,
    }


def completion(head: Json, text: str, reason: str, tokens: Json) -> Json:
    """The answer to a request without "stream"."""
    message = {
        "role": "assistant",
        "content": text,
        "reasoning_content": None,
        "tool_calls": None,
    }
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": reason,
        "matched_stop": _matched(reason),
    }
    body = {**head, "object": "chat.completion", "choices": [choice], "usage": tokens}
    return body | {"metadata": {"weight_version": "default"}}


def _matched(reason: str | None) -> int | None:
    """The id of the end token (recorded: 2, pair.jsonl; 1 is DeepSeek's), if that ended it."""
    return 1 if reason == "stop" else None


@dataclass(frozen=True)
class Stream:
    """The lines of one streamed answer."""

    is_kt: bool
    rid: str
    model: str

    def role(self) -> str:
        """The first chunk; it arrives together with the first word."""
        return self._choice({"role": "assistant", "content": ""}, None)

    def word(self, text: str) -> str:
        """One token."""
        return self._choice({"role": None, "content": text}, None)

    def finish(self, reason: str) -> str:
        """The chunk that says why it ended."""
        return self._choice({"role": None, "content": None}, reason)

    def usage(self, tokens: Json) -> str:
        """The chunk without choices that "include_usage" asks for."""
        return _data({**self._head(), "choices": [], "usage": tokens})

    def error(self, error: Json) -> str:
        """An error inside of a stream; json.dumps with its spaces, as recorded."""
        return f"data: {json.dumps({'error': error})}\n\n"

    def done(self) -> str:
        """The last line."""
        return "data: [DONE]\n\n"

    def _head(self) -> Json:
        head = {"id": self.rid, "object": "chat.completion.chunk", "created": int(time.time())}
        return {**head, "model": self.model}

    def _choice(self, said: Json, reason: str | None) -> str:
        """kt writes every key, null or not; upstream only what is set (and reasoning_content)."""
        delta: Json = {**said, "reasoning_content": None, "tool_calls": None}
        if not self.is_kt:
            kept = {key: value for key, value in said.items() if value is not None}
            delta = {"reasoning_content": None, **kept}
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": None,
            "finish_reason": reason,
            "matched_stop": _matched(reason),
        }
        chunk = {**self._head(), "choices": [choice]}
        return _data(chunk | {"usage": None} if self.is_kt else chunk)


def _data(body: Json) -> str:
    return f"data: {json.dumps(body, separators=(',', ':'), ensure_ascii=False)}\n\n"
